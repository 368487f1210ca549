//! Stages that fail, misbehave, are stopped or run beside each other; and `repro` that is killed.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::repro::{commit, define, nothing_to_do, project, ran, ready, results, says};
use super::support::{Output, Scratch, digest};

const FAULT: &str = "MODVER_TEST_FAULT";
pub(super) const MODVER: &str = env!("CARGO_BIN_EXE_modver");

/// One stage that ran well with `in` = 1, in git; then `cmd` is its command and `in` is 2.
pub(super) fn with_command(cmd: &str) -> Scratch {
    let s = ready("");
    let r = s.repo();
    s.write("in", "1");
    let stages = |cmd: &str| {
        format!(
            "[stages.make]\ncmd = '''{cmd}'''\ndeps = ['in']\nouts = ['file', 'dir', {{ path = 'kept', persist = true }}]\n\
             metrics = ['m.json']\n\
             [stages.next]\ncmd = 'echo next >> \"$RUNS\"; cat file > next'\ndeps = ['file']\nouts = ['next']\n\
             [stages.solo]\ncmd = 'echo solo >> \"$RUNS\"; cat in > solo'\ndeps = ['in']\nouts = ['solo']\n"
        )
    };
    define(
        &s,
        &stages("cat in > file; mkdir dir; cat in > dir/a; cat in >> kept; echo {} > m.json"),
    );
    r.modver(["repro", "-j1"]).ok();
    define(&s, &stages(cmd));
    commit(r, "One");
    ran(&s);
    s.write("in", "2");
    s
}

pub(super) fn failing(cmd: &str) -> (Scratch, Output) {
    let s = with_command(cmd);
    let before = digest(&s.path(""));
    let output = s.repo().modver(["repro", "-j1"]);
    assert_eq!(digest(&s.path("")), before, "{output}");
    says(&output, &["failed    make", "blocked   next"]);
    assert!(!output.err().contains("panicked"), "{output}");
    assert_eq!(output.code, 1, "{output}");
    (s, output)
}

pub(super) const HALF: &str =
    "echo half > file; mkdir dir; echo half > dir/b; echo half >> kept; echo half > m.json;";

#[test]
fn a_failed_run_leaves_everything() {
    let (s, output) = failing(&format!("{HALF} exit 7"));
    says(&output, &["ended with exit code 7", "stopped   solo"]);
    assert_eq!(ran(&s), [""; 0]);
    let again = s.repo().modver(["repro", "-j1", "-k", "--json"]);
    assert_eq!(results(&again.json()), ["make failed", "next blocked", "solo ran"]);
    assert_eq!(again.code, 1);
    let json = again.json();
    let make = json["stages"]
        .as_array()
        .unwrap()
        .iter()
        .find(|stage| stage["stage"] == "make")
        .unwrap();
    assert_eq!(make["exit"], 7);
    assert_eq!(s.read("kept"), b"1");

    let (_, output) = failing(&format!("{HALF} kill -9 $$"));
    says(&output, &["was ended by signal 9"]);
    let (_, output) = failing("nonsense-that-is-no-command");
    says(&output, &["ended with exit code 127"]);
}

#[test]
fn a_run_that_does_not_keep_to_what_it_declares_does_not_count() {
    for cmd in ["rm in;", "echo other > in;", "cat in in > in.2; command mv in.2 in;"] {
        let s = with_command(&format!("{cmd} {HALF}"));
        let (file, kept, lock) = (s.read("file"), s.read("kept"), s.read("mv.lock"));
        let output = s.repo().modver(["repro", "-j1"]);
        says(&output, &["stage `make` changed its input `in` while it ran"]);
        assert_eq!(
            (s.read("file"), s.read("kept"), s.read("mv.lock")),
            (file, kept, lock),
            "{cmd}"
        );
        assert!(!s.repo().has("dir/b"));
        output.fails(1);
    }
    let (_, output) = failing("echo half > file; mkdir dir;");
    says(&output, &["stage `make` did not make its output `m.json`"]);
    let (_, output) = failing(&format!("{HALF} rm file; ln -s in file"));
    says(
        &output,
        &["output `file` of stage `make` cannot be kept: it is not a file or directory"],
    );
    let (_, output) = failing(&format!("{HALF} rm file; mkfifo file"));
    says(&output, &["output `file` of stage `make` cannot be kept"]);
    let (_, output) = failing(&format!("{HALF} mkfifo dir/fifo"));
    says(
        &output,
        &["cannot add `dir`", "`fifo` is not a file, directory or link"],
    );
}

#[test]
fn what_is_written_elsewhere_stays_there() {
    let s = with_command(&format!("{HALF} echo out > ../outside; echo in > inside"));
    s.repo().modver(["repro"]).ok();
    assert_eq!(fs::read(s.root().join("outside")).unwrap(), b"out\n");
    assert_eq!(s.read("inside"), b"in\n");
    assert_eq!(s.read("file"), b"half\n");
    assert_eq!(s.read("kept"), b"1half\n");
    commit(s.repo(), "Two");
    ran(&s);
    nothing_to_do(&s, s.repo(), &s.path(""));
}

#[test]
fn children_that_are_left_running() {
    // One in the group is ended with it; one that left the group keeps nobody from anything.
    let s = with_command(&format!(
        "{HALF} (sleep 3; echo late > dir/b) & (setsid sh -c 'echo $$ >> ../pid; exec sleep 60') & while ! test -s ../pid; do sleep 0.01; done"
    ));
    s.repo().modver(["repro"]).ok();
    assert_eq!(s.read("dir/b"), b"half\n");
    s.write("in", "3");
    s.repo().modver(["repro"]).ok();
    s.repo().sh("kill $(cat ../pid) || true").ok();
    ran(&s);
    nothing_to_do(&s, s.repo(), &s.path(""));
}

#[test]
fn much_output_is_kept_in_part() {
    let s = with_command(&format!(
        "echo first; yes modver | head -c 100000000; echo; echo last; {HALF}"
    ));
    let output = Output::of(
        s.repo()
            .command(MODVER)
            .args(["repro", "make", "--quiet"])
            .stderr(Stdio::null()),
    );
    output.ok();
    let log = s.repo().modver(["logs", "make"]).ok();
    assert!(
        log.starts_with("first\nmodver\n") && log.ends_with("last"),
        "{}",
        log.len()
    );
    assert!(log.len() < 20 << 20);
    assert!(log.contains("bytes of output left out"));
}

#[test]
fn too_long_and_again() {
    let s = ready(
        "[stages.slow]\ncmd = 'echo x >> \"$RUNS\"; echo half > out; sleep 60'\nouts = ['out']\ntimeout = 0.3\nretries = 1\n",
    );
    let output = s.repo().modver(["repro"]);
    says(&output, &["took too long and was stopped", "attempt 1 failed"]);
    output.fails(1);
    assert_eq!(ran(&s), ["x", "x"]);
    assert!(!s.repo().has("out"));
    // The third attempt finds what the first found, not what the second left.
    define(
        &s,
        "[stages.slow]\ncmd = 'echo x >> \"$RUNS\"; test ! -e out && echo x >> kept && echo > out && test $(wc -l < \"$RUNS\") -eq 3'\nouts = ['out', { path = 'kept', persist = true }]\nretries = 5\n",
    );
    s.write("kept", "0\n");
    s.repo().modver(["repro"]).ok();
    assert_eq!(ran(&s), ["x", "x", "x"]);
    assert_eq!(s.read("kept"), b"0\nx\n");
    let json = s.repo().modver(["runs", "--json"]).json();
    assert_eq!(json["runs"][0]["attempts"], 3);
}

pub(super) fn start(s: &Scratch, args: &[&str]) -> Child {
    s.repo()
        .command(MODVER)
        .args(args)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

pub(super) fn end(child: Child) -> Output {
    use std::os::unix::process::ExitStatusExt as _;
    let output = child.wait_with_output().unwrap();
    let text = format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    let code = output.status.code().unwrap_or_else(|| -output.status.signal().unwrap());
    let mut shown = Output::of(Command::new("sh").args(["-c", "cat", "sh"]).stdin(Stdio::null()));
    (shown.stderr, shown.code) = (text.into_bytes(), code);
    shown
}

pub(super) fn signal(name: &str, pid: u32) {
    Output::of(Command::new("kill").args([name, &pid.to_string()])).ok();
}

/// Waits until there is something in the file; returns it.
pub(super) fn wait_for(path: &Path) -> String {
    let until = Instant::now() + Duration::from_secs(60);
    while Instant::now() < until {
        match fs::read_to_string(path) {
            Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
            _ => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    panic!("{} did not come", path.display());
}

pub(super) fn is_alive(pid: &str) -> bool {
    // A zombie whom nobody waits for is dead.
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

#[test]
fn interrupted_it_leaves_everything() {
    // The first ends at the first signal, the second at the second or third.
    for (trap, signals) in [("", "-INT"), ("trap '' INT;", "-INT"), ("", "-TERM")] {
        let s = with_command(&format!(
            "{trap} {HALF} echo $$ > ../pid; while true; do sleep 0.05; done"
        ));
        let before = digest(&s.path(""));
        let child = start(&s, &["repro"]);
        let pid = wait_for(&s.root().join("pid"));
        assert!(is_alive(&pid));
        signal(signals, child.id());
        let output = end(child);
        assert_eq!(output.code, 130, "{output}");
        says(&output, &["stopped   make"]);
        assert!(!is_alive(&pid));
        if s.repo().has("solo") {
            // It may have run beside.
            s.write("solo", "1");
        }
        s.git(["checkout", "--quiet", "HEAD", "--", "mv.lock"]).ok();
        assert_eq!(digest(&s.path("")), before, "{output}");
    }
}

#[test]
fn a_stage_that_is_waited_for_can_be_given_up() {
    let s = ready("[stages.slow]\ncmd = 'echo $$ > ../pid; sleep 600'\n");
    let first = start(&s, &["repro"]);
    let pid = wait_for(&s.root().join("pid"));
    let mut second = start(&s, &["repro"]);
    std::thread::sleep(Duration::from_millis(500));
    assert!(second.try_wait().unwrap().is_none());
    signal("-INT", second.id());
    let output = end(second);
    assert_eq!(output.code, 130, "{output}");
    assert!(is_alive(&pid));
    signal("-INT", first.id());
    assert_eq!(end(first).code, 130);
}

#[test]
fn killed_while_a_command_runs() {
    let s = with_command(&format!(
        "echo make >> \"$RUNS\"; {HALF} if ! test -e ../go; then echo $$ > ../pid; while ! test -e ../go; do sleep 0.02; done; fi; echo done >> \"$RUNS\""
    ));
    let before = digest(&s.path("dir"));
    let child = start(&s, &["repro", "make"]);
    let pid = wait_for(&s.root().join("pid"));
    signal("-KILL", child.id());
    assert_eq!(end(child).code, -9);
    assert!(is_alive(&pid));
    assert_ne!(digest(&s.path("dir")), before);
    // The next one waits for what still runs.
    let next = start(&s, &["repro", "make"]);
    std::thread::sleep(Duration::from_millis(700));
    assert_eq!(ran(&s), ["make"]);
    fs::write(s.root().join("go"), "").unwrap();
    let output = end(next);
    assert_eq!(output.code, 0, "{output}");
    says(&output, &["ran       make"]);
    assert_eq!(ran(&s), ["done", "make", "done"], "{output}");
    assert_eq!(s.read("kept"), b"1half\n", "it started from what was there before");
    s.repo().modver(["repro"]).ok();
    ran(&s);
    nothing_to_do(&s, s.repo(), &s.path(""));
}

pub(super) fn count(s: &Scratch, args: &[&str]) -> u64 {
    let file = s.root().join("count");
    with_fault(s, &format!("count:{}", file.display()), args).ok();
    fs::read_to_string(file).unwrap().parse().unwrap()
}

pub(super) fn with_fault(s: &Scratch, fault: &str, args: &[&str]) -> Output {
    Output::of(s.repo().command(MODVER).args(args).env(FAULT, fault))
}

/// The workspace without the file that names the directory of the test.
pub(super) fn seen(s: &Scratch) -> Vec<String> {
    let lines = digest(&s.path(""));
    let lines = lines.lines().filter(|line| !line.starts_with("mv.toml "));
    lines.map(str::to_owned).collect()
}

pub(super) const MAKE: &str =
    "echo make >> \"$RUNS\"; cat in > file; mkdir dir; cat in > dir/a; cat in >> kept; echo {} > m.json";

#[test]
fn killed_at_every_step_it_is_done_by_the_next() {
    let args = ["repro", "-j1"];
    let s = with_command(MAKE);
    let n = count(&s, &args);
    let after = seen(&s);
    assert!(n > 30, "{n}");
    let step = (n / 40).max(1);
    for point in (1..=n).filter(|point| point % step == 0 || *point < 5 || *point + 5 > n) {
        let s = with_command(MAKE);
        let killed = with_fault(&s, &format!("kill@{point}"), &args);
        assert!(killed.code == -9 || killed.code == 0, "{killed}");
        let again = s.repo().modver(args);
        assert_eq!(again.code, 0, "{point} of {n}\n{again}");
        assert_eq!(seen(&s), after, "{point} of {n}\n{killed}\n{again}");
        let done = s.repo().modver(["repro"]);
        says(&done, &["everything is up to date"]);
        done.ok();
        s.repo().modver(["verify"]).ok();
    }
}

#[test]
fn killed_at_every_step_of_a_restore() {
    let s = project();
    let one = digest(&s.path(""));
    s.write("params.toml", "[train]\nrate = 0.5\n");
    s.repo().modver(["repro"]).ok();
    let two = digest(&s.path(""));
    ran(&s);
    let to_one = "other = 1\n[train]\nrate = 0.1\n";
    s.write("params.toml", to_one);
    let n = count(&s, &["repro"]);
    assert_eq!(digest(&s.path("")), one);
    for point in 1..=n {
        s.write("params.toml", "[train]\nrate = 0.5\n");
        s.repo().modver(["repro"]).ok();
        assert_eq!(digest(&s.path("")), two);
        s.write("params.toml", to_one);
        s.write("model/w", format!("mine {point}"));
        let killed = with_fault(&s, &format!("kill@{point}"), &["repro"]);
        assert!(killed.code == -9 || killed.code == 0, "{killed}");
        s.repo().modver(["repro"]).ok();
        assert_eq!(digest(&s.path("")), one, "{point} of {n}");
    }
    assert_eq!(ran(&s), [""; 0]);
}

#[test]
fn a_full_disk_changes_nothing() {
    let args = ["repro", "-j1", "make"];
    let n = count(&with_command(MAKE), &args);
    let mut s = with_command(MAKE);
    let before = seen(&s);
    for fault in ["errno=28@", "errno=5@"] {
        for point in (1..=n).step_by(usize::try_from(n / 30).unwrap().max(1)) {
            let output = with_fault(&s, &format!("{fault}{point}"), &args);
            assert!(!output.err().contains("panicked"), "{output}");
            if seen(&s) == before {
                assert_eq!(output.code, 1, "{output}");
                continue;
            }
            // What failed did not matter, or it was the lock file, when everything else was done.
            assert_eq!(s.read("kept"), b"12", "{fault}{point} of {n}\n{output}");
            s.repo().modver(args).ok();
            nothing_to_do_here(&s, "make");
            s = with_command(MAKE);
        }
    }
    s.repo().modver(args).ok();
    assert_eq!(s.read("kept"), b"12");
}

#[test]
fn what_comes_between_a_kill_and_the_next_run_is_not_lost() {
    let s = ready("[stages.make]\ncmd = 'echo $$ > ../pid; exec sleep 600'\nouts = ['out']\n");
    let child = start(&s, &["repro"]);
    let pid = wait_for(&s.root().join("pid"));
    signal("-KILL", child.id());
    let _ = end(child);
    signal("-KILL", pid.parse().unwrap());
    s.write("out", "the user's");
    define(&s, "[stages.make]\ncmd = 'echo made > out'\nouts = ['out']\n");
    s.repo().modver(["repro"]).ok();
    assert_eq!(s.read("out"), b"made\n");
    let id = modver::hash::FileId::of(b"the user's");
    let node = modver::object::Node::File {
        id,
        size: 10,
        executable: false,
    };
    assert!(super::locks::open(&s.path("")).has_content(&node).unwrap());
}

/// Four stages that wait for each other: they end only if all run at once.
#[test]
fn stages_run_at_once() {
    let mut stages = String::new();
    for n in 1..=4 {
        stages += &format!(
            "[stages.s{n}]\ncmd = 'touch ../here-{n}; for i in $(seq 600); do test $(ls .. | grep -c here-) -eq 4 && break; sleep 0.05; done; test $(ls .. | grep -c here-) -eq 4; echo {n} > out-{n}'\nouts = ['out-{n}']\n"
        );
    }
    let s = ready(&stages);
    let output = s.repo().modver(["repro", "-j4"]);
    assert_eq!(output.code, 0, "{output}");
    commit(s.repo(), "All");
    nothing_to_do(&s, s.repo(), &s.path(""));
}

#[test]
fn resources_are_not_shared() {
    // Each would see the other.
    let cmd = "test ! -e ../busy; touch ../busy; sleep 0.3; rm ../busy";
    let stages = |gpus: u32| {
        (1..=3)
            .map(|n| format!("[stages.s{n}]\ncmd = ['set -e; {cmd}', 'echo > o{n}']\nouts = ['o{n}']\nresources = {{ gpus = {gpus} }}\n"))
            .collect::<String>()
    };
    let s = ready(&stages(1));
    let output = s.repo().modver(["repro", "-j4", "--resource", "gpus=1"]);
    assert_eq!(output.code, 0, "{output}");
    // Where nothing runs, nothing is needed.
    nothing_to_do_here(&s, "mv.toml");
    define(&s, &stages(2).replace("> o", ">> o"));
    let refused = s.repo().modver(["repro", "-j4", "--resource", "gpus=1"]);
    says(
        &refused,
        &["needs 2 of `gpus`, and there is 1", "modver repro --resource gpus=2"],
    );
    refused.fails(1);
    s.repo().modver(["repro", "-j4", "--resource", "gpus=3"]).ok();
    s.repo().modver(["repro", "--resource", "gpus"]).fails(2);
}

pub(super) fn nothing_to_do_here(s: &Scratch, target: &str) {
    let again = s.repo().modver(["repro", target]);
    says(&again, &["everything is up to date"]);
    again.ok();
}

#[test]
fn two_processes_and_one_stage() {
    let s = ready("[stages.make]\ncmd = 'echo make >> \"$RUNS\"; sleep 0.5; echo > out'\nouts = ['out']\n");
    let children: Vec<Child> = (0..3).map(|_| start(&s, &["repro"])).collect();
    for child in children {
        let output = end(child);
        assert_eq!(output.code, 0, "{output}");
    }
    assert_eq!(ran(&s), ["make"]);
}

#[test]
fn two_processes_and_everything_else() {
    let stage = |n: &str| {
        format!(
            "[stages.{n}]\ncmd = 'touch ../here-{n}; while ! test -e ../go; do sleep 0.02; done; echo > out-{n}'\nouts = ['out-{n}']\n"
        )
    };
    let s = ready(&(stage("a") + &stage("b")));
    let children: Vec<Child> = ["a", "b"].map(|n| start(&s, &["repro", n])).into();
    for n in ["a", "b"] {
        let until = Instant::now() + Duration::from_secs(60);
        while !s.root().join(format!("here-{n}")).exists() && Instant::now() < until {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    // Neither a lock nor a wait.
    s.write("data/x", "x");
    s.repo().modver(["add", "data"]).ok();
    s.repo().modver(["status"]).ok();
    s.repo().modver(["commit"]).ok();
    fs::write(s.root().join("go"), "").unwrap();
    for child in children {
        let output = end(child);
        assert_eq!(output.code, 0, "{output}");
    }
    let lock = String::from_utf8(s.read("mv.lock")).unwrap();
    assert!(lock.contains("out-a") && lock.contains("out-b"), "{lock}");
    nothing_to_do_here(&s, "mv.toml");
}

#[test]
fn the_first_failure_stops_the_others() {
    let s = ready(
        "[stages.bad]\ncmd = 'while ! test -e ../pid; do sleep 0.01; done; exit 4'\n\
         [stages.long]\ncmd = 'echo half > out; echo $$ > ../pid; sleep 600'\nouts = ['out']\n",
    );
    let output = s.repo().modver(["repro", "-j2", "--fail-fast"]);
    says(&output, &["failed    bad", "stopped   long"]);
    output.fails(1);
    assert!(!s.repo().has("out"));
    let pid = wait_for(&s.root().join("pid"));
    assert!(!is_alive(&pid));
}
