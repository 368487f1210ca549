//! Who lives in a world.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::super::guards;
use super::super::{Claimant, CollectOptions};
use super::world::{Dice, Line, World};
use crate::fs;
use crate::hash::{FileId, TreeId, expand};
use crate::object::{Entry, Node, Root, Tree};
use crate::path::Name;
use crate::progress::Progress;
use crate::remote::transport::Transport as _;
use crate::remote::{PushRoot, RemoteError, RemoteStore, Wanted};
use crate::store::{Access, Cache, PackKind};

const DAY: u64 = 86_400;
/// Who reads for longer may find that what he wanted moved.
const PATIENT: Duration = Duration::from_secs(DAY / 2);

const fn days(days: u64) -> Duration {
    Duration::from_secs(days * DAY)
}

/// What came of a world.
#[derive(Default)]
pub(super) struct Told {
    pub(super) lost: Vec<String>,
    pub(super) pushed: u64,
    pub(super) swept: u64,
    /// What all did, in a number.
    pub(super) trace: u64,
}

/// The history of a repository, as git has it: all clones see the same.
#[derive(Default)]
struct History {
    /// Versions that were ever made: by number, what they consist of.
    versions: BTreeMap<u64, Vec<u64>>,
    /// Those that some ref names, each with how often it was brought in.
    named: BTreeMap<u64, u64>,
    /// Those of which a writer was told that they are stored, and that were named ever since: as of which bringing in.
    stored: BTreeMap<u64, u64>,
}

struct Shared {
    histories: Vec<History>,
    next: u64,
    told: Told,
}

impl History {
    fn forget(&mut self, version: u64) {
        self.named.remove(&version);
        self.stored.remove(&version);
    }
}

type Common = Arc<Mutex<Shared>>;
type Roots = Arc<Mutex<BTreeMap<Vec<u64>, Root>>>;

fn lock(common: &Common) -> std::sync::MutexGuard<'_, Shared> {
    common.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The content of a file.
fn blob(number: u64) -> Vec<u8> {
    let len = match number % 9 {
        0 => 300_000,
        _ => 200 + (number * 37) % 3000,
    };
    expand(format!("blob {number}").as_bytes(), len as usize)
}

/// Stores a version in a cache; its root.
fn store(cache: &Cache, blobs: &[u64]) -> Root {
    let transaction = cache.transaction(&Arc::new(Progress::new())).unwrap();
    let file = |n: u64| Entry {
        name: Name::new(format!("f{n}").as_bytes()).unwrap(),
        node: Node::File {
            id: FileId::of(&blob(n)),
            size: blob(n).len() as u64,
            executable: false,
        },
    };
    for n in blobs {
        transaction.add_bytes(PackKind::Data, &blob(*n)).unwrap();
    }
    let tree = |transaction: &crate::store::Transaction, entries: Vec<Entry>| -> (TreeId, u64, u64) {
        let tree = Tree::new(entries).unwrap();
        let (id, bytes) = tree.encode();
        transaction.add_bytes(PackKind::Tree, &bytes).unwrap();
        (id, tree.size(), tree.files())
    };
    let (inner, outer) = blobs.split_at(blobs.len() / 2);
    let mut entries: Vec<Entry> = outer.iter().map(|n| file(*n)).collect();
    if !inner.is_empty() {
        let (id, size, files) = tree(&transaction, inner.iter().map(|n| file(*n)).collect());
        entries.push(Entry {
            name: Name::new(b"sub").unwrap(),
            node: Node::Dir { id, size, files },
        });
    }
    let root = Root::Tree(tree(&transaction, entries).0);
    transaction.commit().unwrap();
    root
}

/// A directory in memory, where there is one: nobody here cares for durability.
fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap()
}

/// The root of a version, without storing it.
fn root_of(blobs: &[u64]) -> Root {
    let dir = scratch();
    store(&open(dir.path()), blobs)
}

fn open(dir: &Path) -> Cache {
    Cache::open(dir, Access::Shared, &Progress::new(), |_| {}).unwrap()
}

/// One process after the other in one clone.
struct Process {
    world: Arc<World>,
    actor: usize,
    repository: usize,
    dir: PathBuf,
    dice: Dice,
    common: Common,
    roots: Roots,
}

impl Process {
    fn claimant(&self) -> Claimant {
        Claimant {
            repository: ["alpha", "beta"][self.repository].to_owned(),
            holder: format!("clone {}", self.actor),
        }
    }

    fn remote(&self) -> Arc<RemoteStore> {
        let line = Line {
            world: Arc::clone(&self.world),
            actor: self.actor,
        };
        Arc::new(RemoteStore::new(
            "world",
            Arc::new(line),
            self.dir.join("meta"),
            1,
            Arc::new(Progress::new()),
        ))
    }

    fn say(&self, what: &str) {
        self.world.say(self.actor, what);
    }

    /// Waits until it is its turn; from then on nobody else computes until the next request.
    fn turn(&self) {
        let line = Line {
            world: Arc::clone(&self.world),
            actor: self.actor,
        };
        while line.stat("turn").is_err() {
            self.world.revive(self.actor);
        }
    }

    fn root(&self, blobs: &[u64]) -> Root {
        let mut roots = self.roots.lock().unwrap_or_else(PoisonError::into_inner);
        *roots.entry(blobs.to_vec()).or_insert_with(|| root_of(blobs))
    }

    fn write(&mut self, times: u64) {
        let cache = open(&self.dir.join("cache"));
        for _ in 0..times {
            self.turn();
            match self.dice.below(10) {
                0..=1 => self.forget(),
                _ => {
                    let version = self.choose();
                    self.push(&cache, version);
                }
            }
        }
    }

    /// Takes a version out of history.
    fn forget(&mut self) {
        let mut common = lock(&self.common);
        let history = &mut common.histories[self.repository];
        let named: Vec<u64> = history.named.keys().copied().collect();
        if named.len() > 2 {
            let version = named[self.dice.below(named.len() as u64) as usize];
            history.forget(version);
            drop(common);
            self.say(&format!("forgets version {version}"));
        }
    }

    /// A version to push: a new one or one that there was.
    fn choose(&mut self) -> u64 {
        let mut common = lock(&self.common);
        let fresh = common.next;
        let history = &mut common.histories[self.repository];
        let known: Vec<u64> = history.versions.keys().copied().collect();
        if !known.is_empty() && self.dice.below(10) >= 6 {
            return known[self.dice.below(known.len() as u64) as usize];
        }
        // A change of an earlier one, of this repository.
        let mut blobs = match known.is_empty() {
            true => Vec::new(),
            false => history.versions[&known[self.dice.below(known.len() as u64) as usize]].clone(),
        };
        for _ in 0..1 + self.dice.below(4) {
            if blobs.len() > 3 && self.dice.one_in(2) {
                blobs.remove(self.dice.below(blobs.len() as u64) as usize);
            }
            blobs.push(self.dice.below(60));
        }
        blobs.sort_unstable();
        blobs.dedup();
        history.versions.insert(fresh, blobs);
        fresh
    }

    fn push(&self, cache: &Cache, version: u64) {
        let (blobs, times, lineage) = {
            let mut common = lock(&self.common);
            let fresh = common.next;
            let history = &mut common.histories[self.repository];
            let blobs = history.versions[&version].clone();
            history.named.entry(version).or_insert(fresh);
            let times = history.named[&version];
            let mut lineage: Vec<Vec<u64>> = Vec::new();
            for (earlier, _) in history
                .named
                .iter()
                .rev()
                .filter(|(earlier, _)| **earlier != version)
                .take(3)
            {
                lineage.push(history.versions[earlier].clone());
            }
            common.next += 1;
            (blobs, times, lineage)
        };
        let root = store(cache, &blobs);
        let push = PushRoot {
            root,
            lineage: lineage.iter().map(|blobs| self.root(blobs)).collect(),
        };
        self.say(&format!("pushes version {version}: {}", root.id().short()));
        let remote = self.remote();
        let mut work = || -> Result<bool, RemoteError> {
            let done = remote.plan_push(cache, std::slice::from_ref(&push))?;
            let present = done.present.contains(&root);
            let done = done.execute(&remote, cache)?;
            Ok(present || done.pushed.contains(&root))
        };
        let done = remote.write_beside_collectors(&self.claimant(), &HashSet::from([root]), &mut work);
        if self.world.revive(self.actor) {
            self.say("is another process");
            return;
        }
        match done {
            Ok(stored) => {
                self.say(&format!("was told of version {version}: {stored}"));
                let mut common = lock(&self.common);
                assert!(stored, "the cache has all of it");
                common.told.pushed += 1;
                let history = &mut common.histories[self.repository];
                if history.named.get(&version) == Some(&times) {
                    history.stored.insert(version, times);
                }
            }
            // It was not told that anything is stored.
            Err(RemoteError::LeaseLost { .. }) => self.say("gives up"),
            Err(error) => {
                let what = format!("a push failed: {error} {error:?}");
                lock(&self.common).told.lost.push(what);
            }
        }
    }

    fn collect(&mut self, times: u64, last: bool) {
        let cache = open(&self.dir.join("cache"));
        for _ in 0..times {
            self.turn();
            let options = CollectOptions {
                claimant: self.claimant(),
                also: Vec::new(),
                grace: days([0, 1, 7][self.dice.below(3) as usize]),
                claims_older_than: days([2, 3, 10, 30][self.dice.below(4) as usize]),
                leases_older_than: days([1, 7][self.dice.below(2) as usize]),
                unclaimed: self.dice.one_in(3),
                repack: !self.dice.one_in(4),
                dry_run: false,
            };
            let done = self.collect_once(&cache, &options);
            if self.world.revive(self.actor) {
                continue;
            }
            match done {
                Err(error) if last => {
                    let what = format!("a collection failed: {error} {error:?}");
                    lock(&self.common).told.lost.push(what);
                }
                Err(error) => self.say(&format!("cannot collect: {error}")),
                Ok(()) => {}
            }
            if !last {
                self.world.leap(days(self.dice.below(6)));
            }
        }
    }

    fn collect_once(&self, cache: &Cache, options: &CollectOptions) -> Result<(), RemoteError> {
        self.say(&format!(
            "collects: {:?} {:?}",
            options.grace, options.claims_older_than
        ));
        let mut named = || -> Result<HashSet<Root>, RemoteError> {
            // Whoever comes to history now was not there before, and is claimed later than the collector's lease.
            let common = lock(&self.common);
            let history = &common.histories[self.repository];
            Ok(history
                .named
                .keys()
                .map(|version| self.root(&history.versions[version]))
                .collect())
        };
        match self.remote().collect(cache, &mut named, options) {
            Ok(done) => {
                self.say(&format!("collected: {done:?}"));
                lock(&self.common).told.swept += done.swept.packs;
                Ok(())
            }
            Err(RemoteError::LeaseLost { .. } | RemoteError::Unsettled { .. }) => {
                self.say("gives up");
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Reads what is stored, again and again.
    fn pull(&mut self, times: u64) {
        for _ in 0..times {
            self.turn();
            let stored = |common: &Common| lock(common).histories[self.repository].stored.clone();
            let before = stored(&self.common);
            let Some((version, times)) = before.iter().nth(self.dice.below(before.len() as u64) as usize) else {
                continue;
            };
            let blobs = lock(&self.common).histories[self.repository].versions[version].clone();
            let since = self.world.clock();
            let read = self.read(&blobs);
            let took = self.world.clock().duration_since(since).unwrap_or_default();
            if self.world.revive(self.actor) {
                continue;
            }
            if let Err(problem) = read
                && took < PATIENT
                && stored(&self.common).get(version) == Some(times)
            {
                let what = format!("version {version} cannot be read, in {took:?}: {problem}");
                lock(&self.common).told.lost.push(what);
            }
        }
    }

    /// Reads all that must be there.
    fn read_stored(&self) {
        let versions: Vec<(u64, Vec<u64>)> = {
            let common = lock(&self.common);
            let history = &common.histories[self.repository];
            let blobs = |version: &u64| (*version, history.versions[version].clone());
            history.stored.keys().map(blobs).collect()
        };
        for (version, blobs) in versions {
            if let Err(problem) = self.read(&blobs) {
                let what = format!("version {version} of repository {}: {problem}", self.repository);
                lock(&self.common).told.lost.push(what);
            }
        }
    }

    /// Fetches a version into a new cache.
    fn read(&self, blobs: &[u64]) -> Result<(), String> {
        let dir = scratch();
        let cache = open(dir.path());
        let remote = self.remote();
        let wanted = Wanted {
            root: self.root(blobs),
            parts: Vec::new(),
            lineage: Vec::new(),
        };
        let plan = remote
            .plan_fetch(&cache, &[wanted])
            .map_err(|error| error.to_string())?;
        if !plan.absent.is_empty() {
            return Err("no run names it".to_owned());
        }
        if let Some((_, error)) = plan.broken.first() {
            return Err(error.to_string());
        }
        if !plan.lost.is_empty() || !plan.failed.is_empty() {
            return Err(format!("{} files are lost, {:?}", plan.lost.len(), plan.failed));
        }
        let done = plan.execute(&remote, &cache).map_err(|error| error.to_string())?;
        if let Some((file, error)) = done.failed.first() {
            return Err(format!("{file}: {error}"));
        }
        for n in blobs {
            let content = cache
                .read_file(FileId::of(&blob(*n)), u64::MAX)
                .map_err(|error| error.to_string())?;
            if content != blob(*n) {
                return Err("it has another content".to_owned());
            }
        }
        Ok(())
    }
}

/// A world, what is known in it, and who comes.
struct Life {
    world: Arc<World>,
    common: Common,
    roots: Roots,
    dice: Dice,
    dir: tempfile::TempDir,
    without: Option<&'static str>,
}

impl Life {
    fn new(seed: u64, without: Option<&'static str>) -> Self {
        Self {
            world: World::new(seed),
            common: Arc::new(Mutex::new(Shared {
                histories: vec![History::default(), History::default()],
                next: 1,
                told: Told::default(),
            })),
            roots: Arc::default(),
            dice: Dice(seed),
            dir: scratch(),
            without,
        }
    }

    /// A process in a clone of a repository, in a thread.
    fn start(
        &mut self,
        repository: usize,
        mortal: bool,
        live: impl FnOnce(&mut Process) + Send + 'static,
    ) -> JoinHandle<()> {
        let actor = self.world.enter(mortal);
        let mut process = Process {
            dir: self.dir.path().join(actor.to_string()),
            world: Arc::clone(&self.world),
            actor,
            repository,
            dice: Dice(self.dice.next()),
            common: Arc::clone(&self.common),
            roots: Arc::clone(&self.roots),
        };
        let without = self.without;
        std::thread::spawn(move || {
            guards::take_away(without);
            fs::drawn::by(process.dice.next());
            live(&mut process);
            process.world.end(process.actor);
        })
    }

    /// One that is alone.
    fn alone(&mut self, repository: usize, live: impl FnOnce(&mut Process) + Send + 'static) {
        let thread = self.start(repository, false, live);
        self.world.run();
        thread.join().unwrap();
    }

    /// Reads what must be there.
    fn end(mut self) -> Told {
        for repository in [0, 1] {
            self.alone(repository, |reader| reader.read_stored());
        }
        let mut told = std::mem::take(&mut lock(&self.common).told);
        told.trace = self.world.trace();
        told
    }
}

/// Lets a world live, and reads at the end what must be there.
pub(super) fn live(seed: u64, without: Option<&'static str>) -> Told {
    let mut life = Life::new(seed, without);
    let mut threads = Vec::new();
    for actor in 0..6 {
        let times = 3 + life.dice.below(6);
        threads.push(life.start([0, 0, 1, 0, 1, 0][actor], true, move |clone| match actor {
            0..=2 => clone.write(times),
            3 | 4 => clone.collect(times, false),
            _ => clone.pull(2 * times),
        }));
    }
    life.world.run();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    // What is still marked goes.
    for repository in [0, 1] {
        for _ in 0..2 {
            life.world.leap(days(40));
            life.alone(repository, |clone| clone.collect(1, true));
        }
    }
    life.end()
}

/// What was collected once comes back: a push of it runs between two requests of the sweep, behind its request of number
/// `after`. `None` when the sweep does not do so many.
pub(super) fn return_within_sweep(after: u64, without: Option<&'static str>) -> Option<Told> {
    const VERSIONS: [&[u64]; 2] = [&[1, 2, 3], &[3, 4, 5]];
    let options = |clone: &Process, grace| CollectOptions {
        claimant: clone.claimant(),
        also: Vec::new(),
        grace,
        claims_older_than: days(3),
        leases_older_than: days(1),
        unclaimed: false,
        repack: true,
        dry_run: false,
    };
    let mut life = Life::new(0, without);
    life.world.lets_nobody_sleep();
    life.alone(0, |clone| {
        let cache = open(&clone.dir.join("cache"));
        for (version, blobs) in (1..).zip(VERSIONS) {
            lock(&clone.common).histories[0]
                .versions
                .insert(version, blobs.to_vec());
            clone.push(&cache, version);
        }
    });
    lock(&life.common).histories[0].forget(1);
    life.world.leap(days(40));
    life.alone(0, move |clone| {
        let cache = open(&clone.dir.join("cache"));
        clone.collect_once(&cache, &options(clone, days(7))).unwrap();
    });
    life.world.leap(days(8));
    let threads = [
        life.start(0, false, move |clone| {
            let cache = open(&clone.dir.join("cache"));
            clone.collect_once(&cache, &options(clone, days(7))).unwrap();
        }),
        life.start(0, false, |clone| {
            let cache = open(&clone.dir.join("cache"));
            clone.push(&cache, 1);
        }),
    ];
    let whole = life.world.run_within(after);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    whole.then(|| life.end())
}
