//! `stage add` and `remove`, `freeze` and `unfreeze`: what they leave of a file that people wrote.

use super::support::{Output, Scratch};

const FILE: &str = r#"# Everybody's pipeline.
vars = [{ seed = 1 }] # for all

[core]
jobs = 2

# Prepares.
[stages.prepare]
cmd = "prepare" # with care
deps = [
  "raw.csv", # from the lab
]
outs = ["data.csv"]

# Trains.
[stages.train]
cmd = "train"
deps = ["data.csv"]
outs = ["model.bin"]

# Grid of train.
[stages.train.matrix]
model = ["cnn"]

[remote.lab]
url = "../lab"
"#;

fn text(s: &Scratch) -> String {
    String::from_utf8(s.read("mv.toml")).unwrap()
}

fn modver(s: &Scratch, args: &str) -> Output {
    s.repo().modver(args.split(' '))
}

#[test]
fn adding_keeps_what_is_there_and_comes_at_the_end() {
    let s = Scratch::new();
    s.write("mv.toml", FILE);
    assert_eq!(
        modver(
            &s,
            "stage add report -d model.bin -d report.sh -o report -O log -p a,b.c,the.long.key.of.a.parameter -p conf.yaml:x -p all.json: -M m.json \
             -m n.json --plots p.csv --env SEED --desc Reports. --always sh report.sh --fast a=b"
        )
        .ok(),
        "added report to mv.toml"
    );
    assert_eq!(
        text(&s),
        format!(
            "{FILE}\n[stages.report]\ndesc = \"Reports.\"\ncmd = \"sh report.sh --fast a=b\"\n\
             deps = [\"model.bin\", \"report.sh\"]\n\
             params = [\n  \"a\",\n  \"b.c\",\n  \"the.long.key.of.a.parameter\",\n  {{ file = \"conf.yaml\", keys = [\"x\"] }},\n  {{ file = \"all.json\" }},\n]\n\
             outs = [\"report\", {{ path = \"log\", cache = false }}]\n\
             metrics = [{{ path = \"n.json\", cache = true }}, \"m.json\"]\nplots = [\"p.csv\"]\nenv = [\"SEED\"]\nalways = true\n"
        )
    );
    assert_eq!(s.git(["diff", "--cached", "--name-only"]).ok(), "mv.toml");
    // DVC's way to name it; a command of one word is the shell's.
    modver(&s, "stage add -n late -w sub pwd").ok();
    assert!(text(&s).ends_with("\n[stages.late]\ncmd = \"pwd\"\nwdir = \"sub\"\n"));
    s.repo()
        .modver(["stage", "add", "-n", "more", "a > b; echo ${seed}"])
        .ok();
    assert!(text(&s).ends_with("\n[stages.more]\ncmd = \"a > b; echo ${seed}\"\n"));
    modver(&s, "stage list").ok();

    // In another directory it is another file.
    s.write("sub/.keep", "");
    let sub = s.path("sub");
    let added = s.at(&sub).modver(["stage", "add", "x", "-d", "../raw.csv", "true"]);
    assert_eq!(added.ok(), "added x to sub/mv.toml");
    assert_eq!(
        s.read("sub/mv.toml"),
        b"[stages.x]\ncmd = \"true\"\ndeps = [\"../raw.csv\"]\n"
    );
}

#[test]
fn what_would_be_wrong_is_not_written() {
    let s = Scratch::new();
    s.write("mv.toml", FILE);
    for (args, message) in [
        (
            "train true",
            "error: mv.toml:16: there is a stage `train` already\nhint: modver stage add --force train ...\n",
        ),
        ("a@b true", "error: `a@b` is not a name of a stage: letters, digits,"),
        (
            "x -o data.csv/x true",
            "output `data.csv/x` of stage `x` overlaps output `data.csv` of stage `prepare` (mv.toml:8)",
        ),
        (
            "x -d model.bin -o raw.csv true",
            "in a circle: `prepare` → `train@cnn` → `x` → `prepare`",
        ),
        ("x -o ../out true", "output `../out` is outside the repository"),
        ("x -o o echo ${sed}", "unknown variable `sed`; did you mean `seed`?"),
    ] {
        let refused = modver(&s, &format!("stage add {args}"));
        assert!(refused.err().contains(message), "{args}\n{refused}");
        refused.fails(1);
        assert_eq!(text(&s), FILE);
    }
    modver(&s, "stage add x").fails(2);
    s.write("mv.toml", "stages = { a = { cmd = 'x' } }\n");
    let refused = modver(&s, "stage add x true");
    assert!(
        refused.err().contains("is not written as tables [stages.NAME]"),
        "{refused}"
    );
    refused.fails(1);
    // Nor where there is nothing yet, nor through a link that others made.
    s.write("sub/.keep", "");
    let sub = s.path("sub");
    s.at(&sub).modver(["stage", "add", "x", "-o", "/x", "true"]).fails(1);
    assert!(!s.at(&sub).has("mv.toml"));
    s.sh("rm mv.toml; echo '[stages]' > ../elsewhere; ln -s ../elsewhere mv.toml")
        .ok();
    let refused = modver(&s, "stage add x true");
    refused.fails(1);
    assert_eq!(std::fs::read(s.root().join("elsewhere")).unwrap(), b"[stages]\n");
}

#[test]
fn replacing_changes_the_stage_alone() {
    let s = Scratch::new();
    s.write("mv.toml", FILE);
    let replaced = modver(
        &s,
        "stage add --force prepare -d raw.csv -o data.csv -o more.csv prepare",
    );
    assert_eq!(replaced.ok(), "replaced prepare in mv.toml");
    assert_eq!(
        text(&s),
        FILE.replace("outs = [\"data.csv\"]", "outs = [\"data.csv\", \"more.csv\"]")
    );
    let same = modver(
        &s,
        "stage add --force prepare -d raw.csv -o data.csv -o more.csv prepare",
    );
    assert_eq!(same.ok(), "mv.toml says so already: prepare");
    // A matrix is part of the old definition.
    modver(&s, "stage add -f train -d more.csv -o model.bin train").ok();
    assert!(!text(&s).contains("matrix") && text(&s).contains("# Trains.\n[stages.train]\n"));
    assert!(text(&s).contains("[remote.lab]\nurl = \"../lab\"\n"));
}

#[test]
fn freezing_and_unfreezing_is_as_if_nothing_was() {
    let s = Scratch::new();
    s.write("mv.toml", FILE);
    assert_eq!(modver(&s, "freeze prepare train").ok(), "froze prepare\nfroze train");
    let frozen = text(&s);
    assert_eq!(
        frozen,
        FILE.replace("outs = [\"data.csv\"]\n", "outs = [\"data.csv\"]\nfrozen = true\n")
            .replace("outs = [\"model.bin\"]\n", "outs = [\"model.bin\"]\nfrozen = true\n")
    );
    let again = modver(&s, "freeze train");
    assert_eq!(again.err(), "train is frozen already\n");
    again.ok();
    assert_eq!(text(&s), frozen);
    assert!(modver(&s, "stage list train").ok().ends_with("(frozen)"));
    assert_eq!(
        modver(&s, "unfreeze train prepare").ok(),
        "unfroze train\nunfroze prepare"
    );
    assert_eq!(text(&s), FILE);
    let member = modver(&s, "freeze train@cnn");
    assert_eq!(
        member.err(),
        "error: `train@cnn` is one of several: only all of `train` can be changed\nhint: name train\n"
    );
    member.fails(1);
    let unknown = modver(&s, "freeze train prepar");
    assert_eq!(
        unknown.err(),
        "error: there is no stage, output or project file `prepar`\nhint: did you mean prepare?\n"
    );
    unknown.fails(1);
    assert_eq!(text(&s), FILE);
    // Also where the definitions are wrong, and with the line ends that are there.
    s.write(
        "mv.toml",
        "[stages.a]\r\ncmd = 'x'\r\nnonsense = 1\r\n\r\n[stages.b]\r\ncmd = 'x'\r\n",
    );
    modver(&s, "freeze a").ok();
    assert_eq!(
        text(&s),
        "[stages.a]\r\ncmd = 'x'\r\nnonsense = 1\r\nfrozen = true\r\n\r\n[stages.b]\r\ncmd = 'x'\r\n"
    );
}

#[test]
fn removing_takes_the_stage_its_comment_and_its_past() {
    let s = Scratch::new();
    s.write("mv.toml", FILE);
    s.write(
        "mv.lock",
        "version = 1\n\n[stages.other]\ncmd = [\"x\"]\n\n[stages.\"train@cnn\"]\ncmd = [\"train\"]\n",
    );
    assert_eq!(modver(&s, "stage remove train").ok(), "removed train");
    let start = FILE.find("\n# Trains.").unwrap();
    let end = FILE.find("\n[remote.lab]").unwrap();
    assert_eq!(text(&s), format!("{}{}", &FILE[..start], &FILE[end..]));
    let lock = String::from_utf8(s.read("mv.lock")).unwrap();
    assert!(lock.contains("[stages.other]") && !lock.contains("train"), "{lock}");
    modver(&s, "stage remove train").fails(1);
    modver(&s, "stage remove prepare").ok();
    assert_eq!(
        text(&s),
        "# Everybody's pipeline.\nvars = [{ seed = 1 }] # for all\n\n[core]\njobs = 2\n\n[remote.lab]\nurl = \"../lab\"\n"
    );
}

#[test]
fn many_at_once_lose_nothing() {
    let s = Scratch::new();
    s.write("mv.toml", FILE);
    std::thread::scope(|scope| {
        for at in 0..6 {
            let s = &s;
            scope.spawn(move || {
                let (name, out) = (format!("s{at}"), format!("o{at}"));
                s.repo().modver(["stage", "add", &name, "-o", &out, "true"]).ok();
                if at == 3 {
                    s.repo().modver(["config", "set", "core.jobs", "7"]).ok();
                }
            });
        }
    });
    let text = text(&s);
    assert!((0..6).all(|at| text.contains(&format!("[stages.s{at}]\n"))), "{text}");
    assert!(text.contains("jobs = 7\n"), "{text}");
    assert_eq!(modver(&s, "stage list").ok().lines().count(), 8);
}

#[test]
fn killed_or_on_a_full_disk_the_file_is_old_or_new() {
    let s = Scratch::new();
    let run = |fault: &str| {
        s.write("mv.toml", FILE);
        let mut command = s.repo().command(env!("CARGO_BIN_EXE_modver"));
        command.args(["freeze", "train"]).env("MODVER_TEST_FAULT", fault);
        (Output::of(&mut command), text(&s))
    };
    let count = s.root().join("count");
    let (done, new) = run(&format!("count:{}", count.display()));
    done.ok();
    let steps: u64 = std::fs::read_to_string(&count).unwrap().parse().unwrap();
    assert!(steps > 2);
    for at in 1..=steps {
        for fault in [format!("kill@{at}"), format!("errno=28@{at}+")] {
            let (_, there) = run(&fault);
            assert!(there == FILE || there == new, "{fault}\n{there}");
            // And nothing is in the way of the next.
            modver(&s, "freeze train").ok();
            assert_eq!(text(&s), new);
        }
    }
    // Nothing is left beside it.
    assert_eq!(s.git(["status", "--short", "--untracked-files=all"]).ok(), "A  mv.toml");
}
