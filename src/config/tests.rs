//! Behaviour of the settings as a whole.

use std::fs;

use proptest::prelude::*;
use tempfile::TempDir;

use super::*;

const SECRET: &str = "wJalrXUtnFEMI-K7MDENG";

struct World {
    dir: TempDir,
    sources: ConfigSources,
}

impl World {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(dir.path().join(name));
        let sources = ConfigSources {
            system: path("etc/config.toml"),
            user: path("home/config.toml"),
            project: path("work/mv.toml"),
            local: path("work/.git/modver/config.toml"),
            ..ConfigSources::default()
        };
        Self { dir, sources }
    }

    fn write(&self, layer: FileLayer, text: &str) {
        let path = self.sources.path(layer).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn read(&self, layer: FileLayer) -> String {
        fs::read_to_string(self.sources.path(layer).unwrap()).unwrap()
    }

    fn load(&self) -> Result<Config> {
        Config::load(&self.sources)
    }

    /// The message of the error that loading gives, without the temporary directory.
    fn error(&self) -> String {
        self.load()
            .unwrap_err()
            .to_string()
            .replace(&format!("{}/", self.dir.path().display()), "")
    }

    fn file(&self, layer: FileLayer) -> ConfigFile {
        self.sources.file(layer).unwrap()
    }

    fn env(&mut self, name: &str, value: &str) {
        self.sources.env.push((name.into(), value.into()));
    }

    fn flag(&mut self, key: &str, value: &str) {
        self.sources.flags.push((key.into(), value.into()));
    }
}

fn key(text: &str) -> Key {
    Key::parse(text).unwrap()
}

fn name(text: &str) -> RemoteName {
    RemoteName::new(text).unwrap()
}

fn project_error(text: &str) -> String {
    let world = World::new();
    world.write(FileLayer::Project, text);
    world.error()
}

#[test]
fn defaults_without_any_file() {
    let world = World::new();
    let config = world.load().unwrap();
    assert!(config.autostage());
    assert!(!config.cache_shared());
    assert_eq!(config.jobs(), None);
    assert_eq!(
        config.cache_dir().unwrap(),
        world.dir.path().join("work/.git/modver/cache")
    );
    assert!(config.default_remote().is_none());
    assert!(config.remotes().is_empty());
    assert_eq!(config.get(&key("core.jobs")).unwrap().origin.to_string(), "built-in");
    assert_eq!(Config::load(&ConfigSources::default()).unwrap().cache_dir(), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn the_highest_layer_wins(present in proptest::array::uniform6(any::<bool>())) {
        let mut world = World::new();
        let mut expected = (Layer::BuiltIn, 0);
        for (index, layer) in FileLayer::ALL.into_iter().enumerate() {
            if present[index] {
                let number = u32::try_from(index).unwrap() + 1;
                world.write(layer, &format!("# comment\n[core]\njobs = {number}\n"));
                expected = (layer.into(), number);
            }
        }
        if present[4] {
            world.env("MODVER_CORE_JOBS", "5");
            expected = (Layer::Environment, 5);
        }
        if present[5] {
            world.flag("core.jobs", "6");
            expected = (Layer::Flag, 6);
        }
        let config = world.load().unwrap();
        let setting = config.get(&key("core.jobs")).unwrap();
        prop_assert_eq!(setting.origin.layer, expected.0);
        prop_assert_eq!(&setting.value, &Value::Count(expected.1));
        prop_assert_eq!(config.jobs().map_or(0, NonZeroU32::get), expected.1);
        prop_assert_eq!(setting.origin.line, setting.origin.file.as_ref().map(|_| 3));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for layer in [Layer::Project, Layer::Local] {
            let _ = file::parse(layer, Path::new("mv.toml"), &bytes).map_err(|error| error.to_string());
        }
    }

    #[test]
    fn damaged_settings_never_panic_or_leak(at in 0_usize..400, byte in any::<u8>()) {
        let mut bytes = FULL.as_bytes().to_vec();
        let at = at % bytes.len();
        bytes[at] = byte;
        match file::parse(Layer::Local, Path::new("c"), &bytes) {
            Ok(settings) => {
                let shown = format!("{settings:?}");
                prop_assert!(!shown.contains(SECRET));
            }
            Err(error) => {
                let shown = format!("{error} {error:?}");
                prop_assert!(!shown.contains(SECRET), "{}", shown);
            }
        }
        if let Ok(text) = std::str::from_utf8(&bytes) {
            let world = World::new();
            world.write(FileLayer::Local, text);
            let _ = world.file(FileLayer::Local).unset(&key("remote.lab.url"));
            let _ = world.file(FileLayer::Local).rename_remote(&name("lab"), &name("new"));
        }
    }

    #[test]
    fn edits_change_nothing_else(
        pieces in proptest::sample::subsequence(PIECES.to_vec(), 0..=PIECES.len()),
        field in proptest::sample::select(vec!["core.jobs", "cache.shared", "remote.lab.anonymous", "remote.new.anonymous"]),
    ) {
        let text = pieces.concat();
        let world = World::new();
        world.write(FileLayer::Local, &text);
        let before = world.load().unwrap();
        let target = key(field);
        let edit = world.file(FileLayer::Local);
        let typed = if field == "core.jobs" { "7" } else { "true" };
        prop_assert!(edit.set(&target, typed).unwrap().changed);
        prop_assert!(!edit.set(&target, typed).unwrap().changed);
        let set = world.read(FileLayer::Local);
        let after = world.load().unwrap();
        prop_assert_eq!(after.get(&target).unwrap().value.to_string(), typed);
        for line in text.lines().filter(|line| !line.contains(&format!("{} = ", target.spec().name))) {
            prop_assert!(set.contains(line), "{} is not in\n{}", line, set);
        }
        let others = |config: &Config| -> Vec<(String, Value)> {
            config.list().into_iter().filter(|s| s.key != target).map(|s| (s.key.to_string(), s.value)).collect()
        };
        prop_assert_eq!(others(&before), others(&after));
        prop_assert!(edit.unset(&target).unwrap().changed);
        prop_assert_eq!(others(&before), others(&world.load().unwrap()));
        if before.get(&target).is_none_or(|s| s.origin.layer == Layer::BuiltIn) && text.contains("# lab") {
            prop_assert!(world.read(FileLayer::Local).contains("# lab\n"));
        }
        edit.rename_remote(&name("lab"), &name("x.y")).unwrap();
        let renamed = world.load().unwrap();
        let count = |config: &Config, remote: &str| {
            config.list().iter().filter(|s| s.key.remote() == Some(&name(remote))).count()
        };
        prop_assert_eq!(count(&renamed, "x.y"), before.list().iter()
            .filter(|s| s.key != target && s.key.remote() == Some(&name("lab"))).count());
        prop_assert_eq!(count(&renamed, "lab"), 0);
        edit.remove_remote(&name("x.y")).unwrap();
        prop_assert_eq!(count(&world.load().unwrap(), "x.y"), 0);
    }
}

const PIECES: &[&str] = &[
    "# header of the file\n\n",
    "cache.shared = false # why not\n",
    "[core]\n# how many\njobs = 3 # three\nremote = \"lab\"\n",
    "\n# lab\n[remote.lab]\nurl = '/data' # where\nanonymous = false\n",
    "\n[remote.other] # other\nurl = \"/x\"\n",
    "\n# the end",
];

const FULL: &str = "# mine\n[core]\nremote = \"lab\"\njobs = 4\n\n[cache]\ndir = \"store\"\nshared = true\n\n\
    [remote.lab]\nurl = \"s3://bucket/x\"\nendpoint = \"http://localhost:9000\"\nregion = \"eu\"\nprofile = \"p\"\n\
    anonymous = false\npath_style = true\naccess_key_id = \"wJalrXUtnFEMI-K7MDENG\"\n\
    secret_access_key = \"wJalrXUtnFEMI-K7MDENG\"\nsession_token = \"wJalrXUtnFEMI-K7MDENG\"\n";

#[test]
fn remotes_are_put_together_from_layers_and_secrets_never_show() {
    let mut world = World::new();
    world.write(FileLayer::Local, FULL);
    world.write(
        FileLayer::Project,
        "[remote.lab]\nurl = '../far'\n[remote.\"b.c\"]\nurl = '../near'\n",
    );
    world.write(FileLayer::User, "[remote.half]\nregion = 'x'\n");
    world.env("MODVER_REMOTE_B_C_SECRET_ACCESS_KEY", SECRET);
    world.env("MODVER_REMOTE_NEW_URL", "/new");
    world.flag("remote.b.c.session_token", SECRET);
    let config = world.load().unwrap();
    let lab = config.remote("lab").unwrap();
    assert_eq!(lab.url, "s3://bucket/x");
    assert_eq!(lab.origin.layer, Layer::Local);
    assert_eq!(lab.endpoint.as_deref(), Some("http://localhost:9000"));
    assert_eq!(lab.path_style, Some(true));
    assert_eq!(lab.secret_access_key.as_ref().unwrap().expose(), SECRET);
    let dotted = config.remote("b.c").unwrap();
    assert_eq!(dotted.base.as_deref(), Some(world.dir.path().join("work").as_path()));
    assert_eq!(dotted.secret_access_key.as_ref().unwrap().expose(), SECRET);
    assert_eq!(
        config.remote("new").unwrap().origin.to_string(),
        "MODVER_REMOTE_NEW_URL"
    );
    let names: Vec<String> = config.remotes().keys().map(ToString::to_string).collect();
    assert_eq!(names, ["b.c", "lab", "new"]);
    assert_eq!(
        config.cache_dir().unwrap(),
        world.dir.path().join("work/.git/modver/store")
    );

    let list = config.list();
    let shown: Vec<String> = list
        .iter()
        .map(|s| format!("{} {} {}", s.key, s.value, s.origin))
        .collect();
    let mut outputs = vec![format!("{config:?} {lab:?} {:?} {shown:?}", world.sources)];
    outputs.push(serde_json::to_string(&list).unwrap());
    outputs.push(serde_json::to_string(&config.remotes()).unwrap());
    for output in outputs {
        assert!(!output.contains(SECRET), "{output}");
        assert!(!output.contains("wJalr"), "{output}");
    }
    let setting = serde_json::to_value(config.get(&key("remote.b.c.session_token")).unwrap()).unwrap();
    assert_eq!(
        setting,
        serde_json::json!({"key": "remote.b.c.session_token", "value": "***", "layer": "flag"})
    );
}

#[test]
fn unknown_and_incomplete_remotes() {
    let world = World::new();
    assert_eq!(
        world.load().unwrap().remote("lab").unwrap_err().to_string(),
        "no remote is named `lab`; there are no remotes"
    );
    world.write(
        FileLayer::Local,
        "[remote.lab]\nurl = '/x'\n[remote.half]\nregion = 'x'\n",
    );
    let config = world.load().unwrap();
    assert_eq!(
        config.remote("lba").unwrap_err().to_string(),
        "no remote is named `lba`; did you mean `lab`? (there are: lab)"
    );
    let error = config.remote("half").unwrap_err().to_string();
    assert!(
        error.ends_with("config.toml:4: the remote `half` has settings but no `remote.half.url`"),
        "{error}"
    );
    let error = config.remote(&format!("s3://key:{SECRET}@bucket")).unwrap_err();
    assert_eq!(error.to_string(), "expected the name of a remote, found a URL");
    assert!(!format!("{error:?}").contains(SECRET));
}

#[test]
fn messages_of_files() {
    for (text, message) in [
        ("[core\n", "work/mv.toml:1:6: unclosed table, expected `]`"),
        ("[core]\nöä = 1\n", "work/mv.toml:2:1: "),
        ("[core]\nremote = \n", "work/mv.toml:2:10: "),
        (
            "[core]\njobs = 1\njobs = 2\n",
            "work/mv.toml:3:1: there are two definitions of `jobs`",
        ),
        (
            "[core]\n<<<<<<< HEAD\njobs = 1\n",
            "work/mv.toml:2: conflict markers of an unfinished merge",
        ),
        (
            "\n[core]\nremot = 'x'\n",
            "work/mv.toml:3: unknown key `core.remot`; did you mean `core.remote`?",
        ),
        ("[core]\ncolour = 'x'\n", "work/mv.toml:2: unknown key `core.colour`"),
        (
            "[remotes.x]\nurl = ''\n",
            "work/mv.toml:1: unknown key `remotes`; did you mean `remote`?",
        ),
        (
            "[remote.x]\nurll = ''\n",
            "work/mv.toml:2: unknown key `remote.x.urll`; did you mean `remote.x.url`?",
        ),
        (
            "[core]\njobs = 'x'\n",
            "work/mv.toml:2: `core.jobs` must be a whole number from 0 to 4294967295, not a string",
        ),
        (
            "[core]\njobs = -1\n",
            "work/mv.toml:2: `core.jobs` must be a whole number from 0 to 4294967295",
        ),
        (
            "core.autostage = 1\n",
            "work/mv.toml:1: `core.autostage` must be true or false, not an integer",
        ),
        ("cache = 3\n", "work/mv.toml:1: `cache` must be a table, not an integer"),
        (
            "[[remote]]\nx = 1\n",
            "work/mv.toml:1: `remote` must be a table, not an array of tables",
        ),
        (
            "[remote]\nurl = 'x'\n",
            "work/mv.toml:2: `remote.url` must be a table, not a string",
        ),
        (
            "[remote.a.b]\nurl = 'x'\n",
            "work/mv.toml:1: `remote.a.b` is a table in a remote's settings; \
             write a name with a dot in quotes: [remote.\"a.b\"]",
        ),
        (
            "[remote.\"a b\"]\nurl = 'x'\n",
            "work/mv.toml:1: `a b` is not a remote's name: letters, digits, `-`, `_` and `.` only, not ' '",
        ),
        (
            "[remote.-a]\nurl = 'x'\n",
            "work/mv.toml:1: `-a` is not a remote's name: it must start with a letter, a digit or `_`",
        ),
        ("[remote.a]\nurl = ''\n", "work/mv.toml:2: `remote.a.url` is empty"),
        (
            "[remote.a]\nurl = \"a\\nb\"\n",
            "work/mv.toml:2: `remote.a.url` holds a control character",
        ),
        (
            "[remote.a]\nurl = 's3://k:s@b'\n",
            "work/mv.toml:2: `remote.a.url` has credentials in the URL",
        ),
        (
            "[remote.a]\nendpoint = 'host'\n",
            "work/mv.toml:2: `remote.a.endpoint` must start with http:// or https://",
        ),
        (
            "[cache]\ndir = '~/x'\n",
            "work/mv.toml:2: `cache.dir` starts with `~`, which is not replaced here: write the whole path",
        ),
        (
            "[core]\nremote = 'a/b'\n",
            "work/mv.toml:2: `core.remote` is not the name of a remote: `a/b` is not a remote's name: \
             letters, digits, `-`, `_` and `.` only, not '/'",
        ),
        (
            "[remote.a]\nurl = 's3://b'\nsecret_access_key = 'x'\n",
            "work/mv.toml:3: the secret `remote.a.secret_access_key` is in a file that git shares with everybody",
        ),
    ] {
        let error = project_error(text);
        if message.ends_with(": ") {
            assert!(error.starts_with(message) && error.len() > message.len() + 8, "{error}");
        } else {
            assert_eq!(error, message);
        }
    }
    let world = World::new();
    fs::create_dir_all(world.dir.path().join("work")).unwrap();
    fs::write(world.dir.path().join("work/mv.toml"), b"# x\n\xff").unwrap();
    assert_eq!(world.error(), "work/mv.toml:2: not UTF-8 text");
    fs::write(
        world.dir.path().join("work/mv.toml"),
        vec![b'#'; usize::try_from(MAX_FILE).unwrap() + 1],
    )
    .unwrap();
    assert!(world.error().starts_with("cannot read `"));
}

#[test]
fn a_broken_line_with_a_secret_is_not_quoted() {
    let world = World::new();
    world.write(
        FileLayer::Local,
        &format!("[remote.a]\nsecret_access_key = \"{SECRET}\n"),
    );
    let error = world.load().unwrap_err();
    assert!(!format!("{error} {error:?}").contains(SECRET), "{error:?}");
    assert!(error.to_string().contains("config.toml:2:"), "{error}");
}

#[test]
fn other_tables_belong_to_the_project_file_only() {
    let world = World::new();
    let text = "[stages.train]\ncmd = 'x'\n[vars]\na = [1]\n[project]\nname = 'x'\n[core]\njobs = 2\n";
    world.write(FileLayer::Project, text);
    assert_eq!(world.load().unwrap().jobs(), NonZeroU32::new(2));
    world.write(FileLayer::Local, "[stages.train]\n");
    assert_eq!(world.error(), "work/.git/modver/config.toml:1: unknown key `stages`");
}

#[test]
fn variables() {
    let mut world = World::new();
    world.write(
        FileLayer::Local,
        "[remote.My-Lab]\nurl = '/a'\n[remote.a-b]\nurl = '/a'\n[remote.a_b]\nurl = '/a'\n",
    );
    for (name, value) in [
        ("MODVER_REMOTE_MY_LAB_URL", "/b"),
        ("MODVER_REMOTE_A_B_URL", "/b"),
        ("MODVER_CACHE_DIR", "rel"),
        ("MODVER_CORE_AUTOSTAGE", "off"),
        ("MODVER_CORE_REMOTE", ""),
        ("MODVER_TEST_FAULT", "x"),
        ("MODVER_CORE_REMOT", "x"),
        ("MODVER_REMOTE__URL", "x"),
        ("HOME", "x"),
    ] {
        world.env(name, value);
    }
    let config = world.load().unwrap();
    assert_eq!(config.remote("My-Lab").unwrap().url, "/b");
    assert_eq!(config.remote("a-b").unwrap().url, "/a");
    assert_eq!(config.cache_dir().unwrap(), world.dir.path().join("work/rel"));
    assert!(!config.autostage());
    assert!(config.default_remote().is_none());
    let warnings: Vec<String> = config.warnings().iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "the environment variable MODVER_REMOTE_A_B_URL fits several remotes (a-b, a_b) and is ignored",
            "the environment variable MODVER_CORE_REMOT is not a setting and is ignored; \
             did you mean `MODVER_CORE_REMOTE`?",
            "the environment variable MODVER_REMOTE__URL is not a setting and is ignored; \
             did you mean `MODVER_REMOTE_<NAME>_URL`?",
        ]
    );
    world.env("MODVER_CORE_JOBS", "many");
    assert_eq!(
        world.error(),
        "MODVER_CORE_JOBS: `core.jobs` must be a whole number from 0 to 4294967295"
    );
}

#[test]
fn flags() {
    let mut world = World::new();
    world.flag("core.jobs", "1");
    world.flag("core.jobs", "2");
    assert_eq!(world.load().unwrap().jobs(), NonZeroU32::new(2));
    world.flag("remote.lab.ulr", "x");
    assert_eq!(
        world.error(),
        "command line: unknown key `remote.lab.ulr`; did you mean `remote.lab.url`?"
    );
    assert_eq!(
        Key::parse("core.job").unwrap_err().to_string(),
        "unknown key `core.job`; did you mean `core.jobs`?"
    );
    assert_eq!(Key::parse("jobs").unwrap_err().to_string(), "unknown key `jobs`");
    assert!(Key::parse("remote.url").is_err() && Key::parse("core.x.jobs").is_err());
}

#[test]
fn secrets_go_where_only_the_user_reads() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = World::new();
    let secret = key("remote.lab.secret_access_key");
    for (layer, word) in [(FileLayer::Project, "project"), (FileLayer::System, "system")] {
        let error = world.file(layer).set(&secret, SECRET).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("`remote.lab.secret_access_key` is a secret, which the {word} settings do not keep")
        );
        assert!(
            error
                .hint()
                .unwrap()
                .starts_with("modver config set --local remote.lab.secret_access_key")
        );
    }
    for layer in [FileLayer::Local, FileLayer::User] {
        world.file(layer).set(&secret, SECRET).unwrap();
        let path = world.sources.path(layer).unwrap();
        assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(world.load().unwrap().warnings(), []);
    }
    let local = world.sources.path(FileLayer::Local).unwrap();
    fs::set_permissions(local, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(
        world.load().unwrap().warnings(),
        [ConfigWarning::ReadableSecrets { file: local.to_owned() }]
    );
    let error = world
        .file(FileLayer::Local)
        .set(&key("remote.lab.url"), "s3://k:s@b")
        .unwrap_err();
    assert_eq!(error.to_string(), "`remote.lab.url` has credentials in the URL");
    assert!(
        error
            .hint()
            .unwrap()
            .contains("modver config set --local remote.lab.access_key_id")
    );
}

#[test]
fn a_secret_in_the_project_file_is_refused_and_can_be_removed() {
    let world = World::new();
    world.write(
        FileLayer::Project,
        &format!("[remote.a]\nurl = 's3://b'\nsession_token = '{SECRET}' # oops\n"),
    );
    let error = world.load().unwrap_err();
    let hint = error.hint().unwrap();
    assert!(
        hint.starts_with("modver config unset --project remote.a.session_token"),
        "{hint}"
    );
    assert!(!format!("{error:?}").contains(SECRET));
    assert!(
        world
            .file(FileLayer::Project)
            .unset(&key("remote.a.session_token"))
            .unwrap()
            .changed
    );
    assert_eq!(world.read(FileLayer::Project), "[remote.a]\nurl = 's3://b'\n");
    world.load().unwrap();
}

#[test]
fn edits_keep_comments_and_order() {
    let world = World::new();
    world.write(FileLayer::Project, PROJECT_TEMPLATE);
    let file = world.file(FileLayer::Project);
    file.set(&key("core.remote"), "origin").unwrap();
    file.set(&key("remote.origin.url"), "../store").unwrap();
    file.set(&key("remote.b.url"), "/b").unwrap();
    file.set(&key("remote.origin.region"), "eu").unwrap();
    let start = PROJECT_TEMPLATE.replace("[core]\n", "[core]\nremote = \"origin\"\n");
    let text = world.read(FileLayer::Project);
    assert_eq!(
        text,
        format!("{start}\n[remote.origin]\nurl = \"../store\"\nregion = \"eu\"\n\n[remote.b]\nurl = \"/b\"\n")
    );
    file.rename_remote(&name("origin"), &name("lab")).unwrap();
    let renamed = world.read(FileLayer::Project);
    let expected = text.replace("\nremote = \"origin\"", "\nremote = \"lab\"");
    assert_eq!(renamed, expected.replace("\n[remote.origin]", "\n[remote.lab]"));
    let error = file.rename_remote(&name("lab"), &name("b")).unwrap_err();
    assert!(
        error.to_string().ends_with("mv.toml has a remote `b` already"),
        "{error}"
    );
    file.remove_remote(&name("lab")).unwrap();
    assert_eq!(
        world.read(FileLayer::Project),
        format!("{PROJECT_TEMPLATE}\n[remote.b]\nurl = \"/b\"\n")
    );
    assert!(file.unset(&key("remote.b.url")).unwrap().changed);
    assert_eq!(world.read(FileLayer::Project), PROJECT_TEMPLATE);
    assert!(!file.unset(&key("remote.b.url")).unwrap().changed);
    assert!(!world.dir.path().join("work/mv.toml.lock").exists());
    assert!(!world.file(FileLayer::System).remove_remote(&name("b")).unwrap().changed);
    assert!(!world.dir.path().join("etc").exists());
}

#[test]
fn edits_of_unusual_layouts() {
    for (text, set, unset, renamed) in [
        (
            "remote = { lab = { url = '/x' } }\n",
            "remote = { lab = { url = '/x' , region = \"eu\" } }\n",
            "remote = { lab = { region = \"eu\" } }\n",
            "remote = { new = { region = \"eu\" } }\n",
        ),
        (
            "remote.lab.url = '/x' # why\n\n[core]\n",
            "remote.lab.url = '/x' # why\nremote.lab.region = \"eu\"\n\n[core]\n",
            "remote.lab.region = \"eu\"\n\n[core]\n",
            "remote.new.region = \"eu\"\n\n[core]\n",
        ),
        (
            "[remote]\nlab.url = '/x'\r\n",
            "[remote]\r\nlab.url = '/x'\r\nlab.region = \"eu\"\r\n",
            "[remote]\r\nlab.region = \"eu\"\r\n",
            "[remote]\r\nnew.region = \"eu\"\r\n",
        ),
    ] {
        let world = World::new();
        world.write(FileLayer::Project, text);
        let file = world.file(FileLayer::Project);
        file.set(&key("remote.lab.region"), "eu").unwrap();
        assert_eq!(world.read(FileLayer::Project), set);
        file.unset(&key("remote.lab.url")).unwrap();
        assert_eq!(world.read(FileLayer::Project), unset);
        file.rename_remote(&name("lab"), &name("new")).unwrap();
        assert_eq!(world.read(FileLayer::Project), renamed);
        file.remove_remote(&name("new")).unwrap();
        assert!(!world.read(FileLayer::Project).contains("region"));
        world.load().unwrap();
    }
    let world = World::new();
    world.write(FileLayer::Project, "core = 3\n");
    let error = world
        .file(FileLayer::Project)
        .set(&key("core.jobs"), "1")
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("mv.toml: its layout is too unusual"), "{error}");
}

#[test]
fn people_may_link_their_own_settings_but_not_the_projects() {
    let world = World::new();
    world.write(FileLayer::User, "");
    let real = world.dir.path().join("dotfiles.toml");
    for layer in [FileLayer::User, FileLayer::Project] {
        fs::write(&real, "[core]\njobs = 1\n").unwrap();
        let path = world.sources.path(layer).unwrap();
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = fs::remove_file(path);
        std::os::unix::fs::symlink(&real, path).unwrap();
        world.file(layer).set(&key("core.jobs"), "2").unwrap();
        assert_eq!(world.load().unwrap().jobs(), NonZeroU32::new(2));
        let followed = fs::read_to_string(&real).unwrap().contains('2');
        assert_eq!(followed, layer == FileLayer::User);
    }
}

#[test]
fn concurrent_edits_are_all_kept() {
    let world = World::new();
    world.write(FileLayer::Project, PROJECT_TEMPLATE);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let file = world.file(FileLayer::Project);
            scope.spawn(move || {
                for number in 0..5 {
                    file.set(&key(&format!("remote.r{thread}-{number}.url")), "/x").unwrap();
                }
            });
        }
    });
    assert_eq!(world.load().unwrap().remotes().len(), 20);
}

#[test]
fn templates_are_valid() {
    assert_eq!(
        file::parse(Layer::Project, Path::new("mv.toml"), PROJECT_TEMPLATE.as_bytes()).unwrap(),
        []
    );
    let uncommented = PROJECT_TEMPLATE
        .replace("\n# remote", "\nremote")
        .replace("\n# [", "\n[")
        .replace("\n# url", "\nurl");
    assert_eq!(
        file::parse(Layer::Project, Path::new("mv.toml"), uncommented.as_bytes())
            .unwrap()
            .len(),
        2
    );
}

#[test]
fn the_documentation_has_every_key() {
    let page = include_str!("../../docs/config.md");
    for spec in KEYS {
        let row = format!("| `{}` | `{}` |", spec.pattern(), spec.variable());
        let line = page
            .lines()
            .find(|line| line.starts_with(&row))
            .unwrap_or_else(|| panic!("no row {row}"));
        assert!(line.contains(spec.about), "{line}");
        assert!(
            spec.default
                .is_none_or(|default| line.contains(&format!("| `{default}` |"))),
            "{line}"
        );
    }
    assert_eq!(
        page.lines()
            .filter(|line| line.starts_with("| `") && line.contains("| `MODVER_"))
            .count(),
        KEYS.len()
    );
}

#[test]
fn a_table_goes_with_the_tables_in_it() {
    let text = "# File.\n\n# One.\n[a.one]\nx = 1 # x\n\n# Two.\n[a.two]\ny = [\n  1,\n]\n\n# Of one.\n[a.one.in]\nz = 1\n\n[[a.one.list]]\nw = 1\n\n[b]\n";
    let without = |names: &[&str]| without_entry(Path::new("x"), text, names).unwrap();
    assert_eq!(
        without(&["a", "one"]),
        "# File.\n\n# Two.\n[a.two]\ny = [\n  1,\n]\n\n[b]\n"
    );
    assert_eq!(
        without(&["a", "two"]),
        "# File.\n\n# One.\n[a.one]\nx = 1 # x\n\n# Of one.\n[a.one.in]\nz = 1\n\n[[a.one.list]]\nw = 1\n\n[b]\n"
    );
    assert_eq!(without(&["a", "none"]), text);
}

#[test]
fn a_table_that_is_there_twice_is_named() {
    let error = file::document(Path::new("mv.toml"), "[stages.a]\nx = 1\n[stages.a]\n").unwrap_err();
    assert_eq!(error.to_string(), "mv.toml:3:9: there are two definitions of `a`");
}
