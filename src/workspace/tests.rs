//! The whole way: a directory is stored, checked out, changed.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::object::{Node, Trees as _};
use crate::path::RepoPath;
use crate::progress::Progress;
use crate::store::{Access, Cache};

/// What a directory holds, for comparing.
#[derive(Clone, PartialEq, Eq)]
enum Thing {
    File(Vec<u8>, bool),
    Link(Vec<u8>),
    Dir(BTreeMap<Vec<u8>, Thing>),
}

impl std::fmt::Debug for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::File(content, executable) => {
                let id = crate::hash::FileId::of(content).short();
                write!(f, "{} bytes {id} {executable}", content.len())
            }
            Self::Link(target) => write!(f, "-> {}", crate::path::quote(target)),
            Self::Dir(entries) => {
                let named = entries.iter().map(|(name, thing)| (crate::path::quote(name), thing));
                f.debug_map().entries(named).finish()
            }
        }
    }
}

impl Thing {
    fn write(&self, path: &Path) {
        match self {
            Self::File(content, executable) => {
                std::fs::write(path, content).unwrap();
                let mode = if *executable { 0o755 } else { 0o644 };
                std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
            }
            Self::Link(target) => symlink(OsStr::from_bytes(target), path).unwrap(),
            Self::Dir(entries) => {
                std::fs::create_dir(path).unwrap();
                for (name, thing) in entries {
                    thing.write(&path.join(OsStr::from_bytes(name)));
                }
            }
        }
    }

    fn read(path: &Path) -> Self {
        let meta = std::fs::symlink_metadata(path).unwrap();
        if meta.is_symlink() {
            Self::Link(std::fs::read_link(path).unwrap().as_os_str().as_bytes().to_vec())
        } else if meta.is_dir() {
            let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
            let entries = entries.map(|e| (e.file_name().as_bytes().to_vec(), Self::read(&e.path())));
            Self::Dir(entries.collect())
        } else {
            Self::File(std::fs::read(path).unwrap(), meta.mode() & 0o100 != 0)
        }
    }
}

struct Desk {
    dir: tempfile::TempDir,
    cache: Cache,
    progress: Arc<Progress>,
}

impl Desk {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(
            &dir.path().join("cache"),
            Access::Shared,
            &crate::progress::Progress::new(),
            |_| {},
        )
        .unwrap();
        Self {
            dir,
            cache,
            progress: Arc::default(),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn state(&self, name: &str) -> Option<State> {
        State::read(&self.state_file(name).path)
    }

    fn state_file(&self, name: &str) -> StateFile {
        StateFile {
            path: self.path(&format!("{name}.state")),
            output: rel(name),
        }
    }

    fn scan(&self, name: &str) -> Scan {
        let (root, state, ignore) = (self.path(name), self.state(name), IgnoreRules::none());
        let request = ScanRequest {
            root: &root,
            state: state.as_ref(),
            ignore: &ignore,
        };
        scan(&request, &self.progress).unwrap()
    }

    fn try_add(&self, name: &str) -> Result<Snapshot> {
        let state = self.state(name);
        let scopes = state.as_ref().map_or_else(Scopes::whole, |s| s.scopes().clone());
        let base = state.as_ref().and_then(State::base);
        let transaction = self.cache.transaction(&self.progress)?;
        let snapshot =
            self.scan(name)
                .snapshot(Mode::Store(&transaction), base, &scopes, &self.cache, &self.progress)?;
        transaction.commit()?;
        snapshot.write_state(&self.state_file(name), snapshot.root(), &scopes)?;
        Ok(snapshot)
    }

    fn add(&self, name: &str) -> Node {
        self.try_add(name).unwrap().node.unwrap()
    }

    fn look(&self, name: &str) -> Snapshot {
        self.scan(name)
            .snapshot(Mode::HashOnly, None, &Scopes::whole(), &self.cache, &self.progress)
            .unwrap()
    }

    fn plan(&self, name: &str, target: Option<&Node>, scopes: &Scopes, force: bool) -> CheckoutPlan {
        let state = self.state(name);
        let request = CheckoutRequest {
            target,
            scopes,
            base: state.as_ref().and_then(State::base),
            present: state.as_ref().map(State::scopes),
            force,
        };
        CheckoutPlan::new(request, self.look(name), &self.cache).unwrap()
    }

    fn run(&self, name: &str, plan: CheckoutPlan) -> Checked {
        plan.execute(&self.state_file(name), &self.progress).unwrap()
    }

    fn checkout(&self, name: &str, target: &Node) -> Checked {
        let plan = self.plan(name, Some(target), &Scopes::whole(), false);
        assert_eq!(plan.conflicts, []);
        let checked = self.run(name, plan);
        assert!(checked.failures.is_empty(), "{:?}", checked.failures);
        checked
    }

    fn write(&self, path: &str, content: &[u8]) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn changes(&self, before: &Node, name: &str) -> Vec<(String, ChangeKind)> {
        let snapshot = self.look(name);
        let found = changes(&snapshot.over(&self.cache), Some(before), snapshot.node.as_ref()).unwrap();
        found
            .into_iter()
            .map(|change| (change.path.to_string(), change.kind))
            .collect()
    }
}

fn scopes(paths: &[&str]) -> Scopes {
    Scopes::new(paths.iter().map(|path| rel(path)).collect())
}

fn rel(path: &str) -> RepoPath {
    RepoPath::new(path.as_bytes()).unwrap()
}

/// Longer than a tick of the clock, so that nothing written before is racy.
fn tick() {
    std::thread::sleep(Duration::from_millis(30));
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 1..5),
        proptest::collection::vec(
            prop_oneof![Just(b'a'), Just(b'A'), Just(b'\n'), Just(b'.'), Just(0xff)],
            1..4
        ),
        Just(vec![b'n'; 255]),
    ]
    .prop_filter("a name that may be tracked", |name| {
        crate::path::check_name(name).is_ok() && !name.eq_ignore_ascii_case(b".git")
    })
}

fn leaf() -> impl Strategy<Value = Thing> {
    prop_oneof![
        6 => (proptest::collection::vec(any::<u8>(), 0..40), any::<bool>()).prop_map(|(c, x)| Thing::File(c, x)),
        1 => (270_000..300_000usize, any::<u8>()).prop_map(|(n, b)| Thing::File(vec![b; n], false)),
        1 => prop_oneof![Just(b"a".to_vec()), Just(b"./x/\xff".to_vec())].prop_map(Thing::Link),
    ]
}

fn tree() -> impl Strategy<Value = Thing> {
    let node = leaf().prop_recursive(3, 24, 5, |inner| {
        proptest::collection::btree_map(name(), inner, 0..5).prop_map(Thing::Dir)
    });
    proptest::collection::btree_map(name(), node, 0..6).prop_map(Thing::Dir)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_tree_comes_back_and_becomes_any_other(first in tree(), second in tree()) {
        let desk = Desk::new();
        first.write(&desk.path("one"));
        second.write(&desk.path("two"));
        let (one, two) = (desk.add("one"), desk.add("two"));
        desk.checkout("out", &one);
        prop_assert_eq!(Thing::read(&desk.path("out")), first.clone());
        // Adding what was checked out gives the same id, whatever the order on disk.
        prop_assert_eq!(desk.add("out"), one.clone());
        desk.checkout("out", &two);
        prop_assert_eq!(Thing::read(&desk.path("out")), second);
        prop_assert_eq!(desk.changes(&two, "out"), []);
        desk.checkout("out", &one);
        prop_assert_eq!(Thing::read(&desk.path("out")), first);
        let plan = desk.plan("out", Some(&one), &Scopes::whole(), false);
        prop_assert!(plan.counts.is_empty());
    }
}

#[test]
fn unchanged_files_are_not_read_and_racy_ones_are() {
    let desk = Desk::new();
    desk.write("d/a", b"1111");
    desk.write("d/sub/b", b"2222");
    tick();
    desk.add("d");
    assert_eq!(desk.try_add("d").unwrap().read, (0, 0));
    // Same size within one tick of being recorded: only reading tells.
    std::fs::write(desk.path("d/a"), b"3333").unwrap();
    let racy = desk.add("d");
    std::fs::write(desk.path("d/a"), b"4444").unwrap();
    assert_ne!(desk.add("d"), racy);
    tick();
    desk.add("d");
    // Same size, modification time set back: the status change tells.
    let old = std::fs::metadata(desk.path("d/sub/b")).unwrap().modified().unwrap();
    std::fs::write(desk.path("d/sub/b"), b"5555").unwrap();
    let file = std::fs::File::options().write(true).open(desk.path("d/sub/b")).unwrap();
    file.set_modified(old).unwrap();
    assert_eq!(desk.try_add("d").unwrap().read, (1, 4));
}

#[test]
fn a_racy_file_stays_racy_through_a_checkout() {
    let desk = Desk::new();
    desk.write("d/stays", b"1111");
    desk.write("d/new", b"n");
    let target = desk.add("d");
    // Present before, and modified later than it can have been read, as a clock that is set back makes it; hashed for
    // the plan, not written.
    desk.write("out/stays", b"1111");
    let file = std::fs::File::options()
        .write(true)
        .open(desk.path("out/stays"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(3600))
        .unwrap();
    let plan = desk.plan("out", Some(&target), &Scopes::whole(), false);
    tick();
    let checked = desk.run("out", plan);
    assert_eq!((checked.done.created, checked.done.replaced), (1, 0));
    let state = desk.state("out").unwrap();
    let racy: Vec<_> = state
        .dir(&RepoPath::root())
        .map(|(name, row)| (name.to_vec(), row.is_racy()))
        .collect();
    assert!(racy.contains(&(b"stays".to_vec(), true)), "{racy:?}");
}

#[test]
fn files_that_vanish_after_the_scan_are_nothing() {
    let desk = Desk::new();
    desk.write("d/stays", b"1");
    let smaller = desk.add("d");
    desk.write("d/goes", b"2");
    desk.write("d/sub/goes", &[7; 300_000]);
    let scanned = desk.scan("d");
    std::fs::remove_file(desk.path("d/goes")).unwrap();
    std::fs::remove_file(desk.path("d/sub/goes")).unwrap();
    std::fs::remove_dir(desk.path("d/sub")).unwrap();
    let snapshot = scanned
        .snapshot(Mode::HashOnly, None, &Scopes::whole(), &desk.cache, &desk.progress)
        .unwrap();
    assert_eq!(snapshot.node.unwrap().files(), smaller.files());
}

#[test]
fn changes_are_told_by_file() {
    let desk = Desk::new();
    for (path, content) in [
        ("d/keep", "k"),
        ("d/mod", "1"),
        ("d/gone", "g"),
        ("d/old/moved", "mmm"),
        ("d/old/other", "o"),
        ("d/whole/sub/x", "x"),
        ("d/type", "t"),
    ] {
        desk.write(path, content.as_bytes());
    }
    let before = desk.add("d");
    desk.write("d/mod", b"22");
    desk.write("d/new", b"n");
    desk.write("d/elsewhere/moved", b"mmm");
    std::fs::create_dir(desk.path("d/empty")).unwrap();
    std::fs::remove_dir_all(desk.path("d/old")).unwrap();
    std::fs::rename(desk.path("d/whole"), desk.path("d/elsewhere/whole")).unwrap();
    std::fs::remove_file(desk.path("d/gone")).unwrap();
    std::fs::remove_file(desk.path("d/type")).unwrap();
    symlink("keep", desk.path("d/type")).unwrap();
    let expected = [
        ("elsewhere/moved", ChangeKind::Renamed { from: rel("old/moved") }),
        ("elsewhere/whole", ChangeKind::Renamed { from: rel("whole") }),
        ("empty", ChangeKind::Added),
        ("gone", ChangeKind::Deleted),
        ("mod", ChangeKind::Modified),
        ("new", ChangeKind::Added),
        ("old/other", ChangeKind::Deleted),
        ("type", ChangeKind::TypeChanged),
    ];
    assert_eq!(
        desk.changes(&before, "d"),
        expected.map(|(path, kind)| (path.to_owned(), kind))
    );
}

#[test]
fn nothing_that_is_not_stored_is_lost() {
    let desk = Desk::new();
    desk.write("d/same", b"s");
    desk.write("d/mod", b"1");
    desk.write("d/gone", b"g");
    let first = desk.add("d");
    desk.write("d/mod", b"2");
    std::fs::remove_file(desk.path("d/gone")).unwrap();
    desk.write("d/in-way", b"tracked");
    let second = desk.add("d");
    // Back to the first, with edits that exist nowhere else.
    desk.checkout("d", &first);
    desk.write("d/mod", b"precious");
    desk.write("d/in-way", b"never stored");
    desk.write("d/other", b"untracked");
    desk.write("d/gone", b"edited");
    let plan = desk.plan("d", Some(&second), &Scopes::whole(), false);
    let conflicts: Vec<_> = plan.conflicts.iter().map(|c| (c.path.to_string(), c.reason)).collect();
    let expected = [
        ("gone", ConflictReason::Modified),
        ("in-way", ConflictReason::Untracked),
        ("mod", ConflictReason::Modified),
    ];
    assert_eq!(conflicts, expected.map(|(path, reason)| (path.to_owned(), reason)));
    let before = Thing::read(&desk.path("d"));
    let refused = plan.execute(&desk.state_file("d"), &desk.progress);
    assert!(matches!(refused, Err(WorkspaceError::Conflicts { count: 3, .. })));
    assert_eq!(Thing::read(&desk.path("d")), before);
    let checked = desk.run("d", desk.plan("d", Some(&second), &Scopes::whole(), true));
    assert!(checked.failures.is_empty() && checked.done.left == 1);
    assert_eq!(std::fs::read(desk.path("d/mod")).unwrap(), b"2");
    assert_eq!(std::fs::read(desk.path("d/other")).unwrap(), b"untracked");
    assert!(!desk.path("d/gone").exists());
}

#[test]
fn links_in_the_workspace_are_never_written_through() {
    let desk = Desk::new();
    desk.write("d/sub/file", b"new");
    let target = desk.add("d");
    std::fs::create_dir(desk.path("victim")).unwrap();
    std::fs::create_dir(desk.path("out")).unwrap();
    symlink(desk.path("victim"), desk.path("out/sub")).unwrap();
    let plan = desk.plan("out", Some(&target), &Scopes::whole(), false);
    assert_eq!(plan.conflicts.len(), 1);
    let checked = desk.run("out", desk.plan("out", Some(&target), &Scopes::whole(), true));
    assert!(checked.failures.is_empty(), "{:?}", checked.failures);
    assert_eq!(std::fs::read_dir(desk.path("victim")).unwrap().count(), 0);
    assert_eq!(Thing::read(&desk.path("out")), Thing::read(&desk.path("d")));
    // A link that appears between plan and execution is not followed either.
    let plan = desk.plan("late", Some(&target), &Scopes::whole(), false);
    symlink(desk.path("victim"), desk.path("late")).unwrap();
    let checked = desk.run("late", plan);
    assert_eq!(checked.failures.len(), 1);
    assert_eq!(std::fs::read_dir(desk.path("victim")).unwrap().count(), 0);
    // Nor the output itself.
    assert_eq!(
        desk.plan("late", Some(&target), &Scopes::whole(), false)
            .conflicts
            .len(),
        1
    );
}

#[test]
fn parts_of_an_output_are_enough_to_work_with() {
    let desk = Desk::new();
    for path in ["d/a/x", "d/a/y", "d/b/x", "d/b/c/z", "d/top"] {
        desk.write(path, path.as_bytes());
    }
    let whole = desk.add("d");
    let plan = desk.plan("part", Some(&whole), &scopes(&["b/c", "a/x"]), false);
    let checked = desk.run("part", plan);
    assert!(checked.failures.is_empty());
    assert!(!desk.path("part/top").exists() && !desk.path("part/a/y").exists());
    assert_eq!(desk.add("part"), whole, "what was never here is not deleted");
    desk.write("part/b/c/new", b"n");
    desk.write("part/b/d/new", b"n");
    desk.write("part/b/x", b"changed");
    desk.write("d/b/c/new", b"n");
    desk.write("d/b/d/new", b"n");
    desk.write("d/b/x", b"changed");
    let bigger = desk.add("d");
    assert_eq!(desk.add("part"), bigger);
    // Deleting inside a part deletes, also when the directories above go too.
    std::fs::remove_dir_all(desk.path("part/a")).unwrap();
    std::fs::remove_file(desk.path("d/a/x")).unwrap();
    assert_eq!(desk.add("part"), desk.add("d"));
    // More of it, later.
    let target = desk.add("d");
    let checked = desk.run("part", desk.plan("part", Some(&target), &scopes(&["top"]), false));
    assert_eq!((checked.done.created, checked.done.deleted), (1, 0));
    assert_eq!(desk.state("part").unwrap().scopes(), &scopes(&["a/x", "b/c", "top"]));
    assert_eq!(desk.add("part"), target);
}

#[test]
fn what_cannot_be_tracked_is_listed_completely() {
    let desk = Desk::new();
    desk.write("d/fine", b"");
    desk.write("d/sub/.git/HEAD", b"ref: x");
    symlink("/etc/passwd", desk.path("d/absolute")).unwrap();
    symlink("../../x", desk.path("d/sub/out")).unwrap();
    symlink("../fine", desk.path("d/sub/in")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(desk.path("d/socket")).unwrap());
    let Err(WorkspaceError::Problems(problems)) = desk.try_add("d") else {
        panic!("added");
    };
    let mut texts: Vec<_> = problems.iter().map(ToString::to_string).collect();
    texts.sort();
    assert_eq!(
        texts,
        [
            "`socket` is not a file, directory or link",
            "`sub/.git` belongs to a git repository of its own",
            "link `absolute` points to the absolute path `/etc/passwd`",
            "link `sub/out` points outside the tracked directory, to `../../x`",
        ]
    );
    symlink("d", desk.path("linked")).unwrap();
    assert!(matches!(desk.try_add("linked"), Err(WorkspaceError::Problems(_))));
}

#[test]
fn ignored_files_are_neither_added_nor_deleted() {
    let desk = Desk::new();
    desk.write("d/.mvignore", b"*.tmp\nscratch/\n");
    desk.write("d/a", b"a");
    desk.write("d/sub/b", b"b");
    let first = desk.add("d");
    desk.write("d/x.tmp", b"ignored");
    desk.write("d/sub/y.tmp", b"ignored");
    desk.write("d/scratch/z", b"ignored");
    desk.write("d/.modver-tmp-1-2", b"left by a killed process");
    assert_eq!(desk.add("d"), first);
    std::fs::remove_dir_all(desk.path("other")).ok();
    desk.write("other/.mvignore", b"*.tmp\nscratch/\n");
    let second = desk.add("other");
    desk.checkout("d", &second);
    assert!(desk.path("d/x.tmp").exists() && desk.path("d/sub/y.tmp").exists() && desk.path("d/scratch/z").exists());
    assert!(!desk.path("d/a").exists() && !desk.path("d/sub/b").exists());
    assert!(!desk.path("d/.modver-tmp-1-2").exists());
}

#[test]
fn missing_content_is_listed_and_the_rest_is_done() {
    let desk = Desk::new();
    desk.write("d/here", b"here");
    let good = desk.add("d");
    let Node::Dir { id, .. } = &good else { panic!() };
    let mut entries = desk.cache.tree(*id).unwrap().into_entries();
    let named = |name: &str, node| crate::object::Entry {
        name: crate::path::Name::new(name.as_bytes()).unwrap(),
        node,
    };
    let nowhere = |text: &str| crate::hash::FileId::of(text.as_bytes());
    let file = |text: &str, size| Node::File {
        id: nowhere(text),
        size,
        executable: false,
    };
    entries.push(named("small", file("s", 1)));
    entries.push(named("large", file("l", 1 << 20)));
    entries.push(named(".GIT", file("here", 4)));
    entries.push(named(
        "out",
        Node::Symlink {
            target: b"../x".as_slice().into(),
        },
    ));
    entries.push(named(
        "tree",
        Node::Dir {
            id: crate::hash::TreeId::of(b"nowhere"),
            size: 1,
            files: 1,
        },
    ));
    let tree = crate::object::Tree::new(entries).unwrap();
    let (id, bytes) = tree.encode();
    let transaction = desk.cache.transaction(&desk.progress).unwrap();
    transaction.add_bytes(crate::store::PackKind::Tree, &bytes).unwrap();
    transaction.commit().unwrap();
    let (size, files) = (tree.size(), tree.files());
    let target = Node::Dir { id, size, files };
    let plan = desk.plan("out", Some(&target), &Scopes::whole(), false);
    let checked = desk.run("out", plan);
    let failed: Vec<_> = checked.failures.iter().map(|f| f.path.to_string()).collect();
    assert_eq!(failed, [".GIT", "large", "out", "small", "tree"]);
    assert_eq!(std::fs::read_dir(desk.path("out")).unwrap().count(), 1);
    assert_eq!(std::fs::read(desk.path("out/here")).unwrap(), b"here");
    assert_eq!(desk.state("out").unwrap().files(), 1, "the state says what is there");
}

#[test]
fn odd_files_come_back() {
    let desk = Desk::new();
    desk.write("d/zero", b"");
    desk.write("d/one", b"linked");
    std::fs::hard_link(desk.path("d/one"), desk.path("d/two")).unwrap();
    let sparse = std::fs::File::create(desk.path("d/sparse")).unwrap();
    sparse.set_len(3 << 20).unwrap();
    let target = desk.add("d");
    assert_eq!(target.size(), 12 + (3 << 20));
    desk.checkout("out", &target);
    assert_eq!(Thing::read(&desk.path("out")), Thing::read(&desk.path("d")));
    // Replacing one name of a pair leaves the other as it is.
    desk.write("out/one", b"first");
    assert_eq!(std::fs::read(desk.path("d/one")).unwrap(), b"linked");
    // An output that is a file, and becomes a directory, and a file again.
    desk.write("single", b"linked");
    let file = desk.add("single");
    desk.checkout("o", &file);
    assert_eq!(Thing::read(&desk.path("o")), Thing::File(b"linked".to_vec(), false));
    assert_eq!(desk.add("o"), file);
    desk.checkout("o", &target);
    assert_eq!(Thing::read(&desk.path("o")), Thing::read(&desk.path("d")));
    desk.checkout("o", &file);
    assert_eq!(Thing::read(&desk.path("o")), Thing::File(b"linked".to_vec(), false));
    // The executable bit alone costs no writing.
    std::fs::set_permissions(desk.path("o"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let inode = std::fs::metadata(desk.path("o")).unwrap().ino();
    let checked = desk.checkout("o", &file);
    assert_eq!(
        (checked.done.chmods, std::fs::metadata(desk.path("o")).unwrap().ino()),
        (1, inode)
    );
}

#[test]
fn an_edit_between_plan_and_execution_is_kept() {
    let desk = Desk::new();
    desk.write("d/a", b"1");
    desk.write("d/gone", b"g");
    let first = desk.add("d");
    desk.write("d/a", b"2");
    std::fs::remove_file(desk.path("d/gone")).unwrap();
    let second = desk.add("d");
    desk.checkout("d", &first);
    let plan = desk.plan("d", Some(&second), &Scopes::whole(), false);
    desk.write("d/a", b"edited");
    desk.write("d/gone", b"edited too");
    let checked = desk.run("d", plan);
    assert_eq!(checked.failures.len(), 2);
    assert!(
        checked
            .failures
            .iter()
            .all(|f| matches!(f.reason, FailureReason::Changed))
    );
    assert_eq!(std::fs::read(desk.path("d/a")).unwrap(), b"edited");
    assert_eq!(std::fs::read(desk.path("d/gone")).unwrap(), b"edited too");
}

#[test]
fn an_interrupted_checkout_goes_on() {
    let desk = Desk::new();
    for i in 0..300 {
        desk.write(&format!("d/{}/{i}", i % 3), i.to_string().as_bytes());
    }
    let target = desk.add("d");
    let plan = desk.plan("out", Some(&target), &Scopes::whole(), false);
    let stopped = Progress::new();
    stopped.interrupt();
    let checked = plan.execute(&desk.state_file("out"), &stopped).unwrap();
    assert!(checked.interrupted);
    desk.checkout("out", &target);
    assert_eq!(Thing::read(&desk.path("out")), Thing::read(&desk.path("d")));
    let names = std::fs::read_dir(desk.dir.path())
        .unwrap()
        .map(|e| e.unwrap().file_name());
    assert!(names.into_iter().all(|name| !crate::fs::TempFile::is_temp_name(&name)));
}
