//! Scan, add and checkout of a directory that you name:
//! `cargo bench --bench workspace -- DIR SCRATCH`; with `scan` or `checkout`, only that, against the state that the run
//! before left. Prints milliseconds and resident memory; compare with `find DIR -printf '%s %T@\n'` and
//! `cp -r DIR SCRATCH/copy` on the same machine.

#![allow(
    missing_docs,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "a program for people who measure"
)]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use modver::object::{Node, Root};
use modver::path::RepoPath;
use modver::progress::Progress;
use modver::store::{Access, Cache};
use modver::workspace::{
    CheckoutPlan, CheckoutRequest, IgnoreRules, Mode, ScanRequest, Scopes, State, StateFile, scan,
};

fn timed<T>(what: &str, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    println!("{what:<28} {:>9.1} ms", start.elapsed().as_secs_f64() * 1e3);
    result
}

/// The most memory this process has had resident, in MiB.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    line.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .map_or(0, |kib| kib / 1024)
}

fn main() {
    let args: Vec<PathBuf> = std::env::args_os()
        .skip(1)
        .filter(|a| a != "--bench")
        .map(PathBuf::from)
        .collect();
    let (root, scratch, only) = match &args[..] {
        [root, scratch] => (root, scratch, ""),
        [root, scratch, only] => (root, scratch, only.to_str().unwrap()),
        _ => {
            println!("usage: cargo bench --bench workspace -- DIR SCRATCH [scan|checkout]");
            return;
        }
    };
    std::fs::create_dir_all(scratch).unwrap();
    let state_path = scratch.join("state");
    let state_file = |path| StateFile {
        path,
        output: RepoPath::root(),
    };
    let progress = Arc::new(Progress::new());
    let whole = Scopes::whole();
    let ignore = IgnoreRules::none();
    let look = |root: &Path, state: Option<&State>| {
        scan(
            &ScanRequest {
                root,
                state,
                ignore: &ignore,
            },
            &progress,
        )
        .unwrap()
    };
    let cache = Cache::open(
        &scratch.join("cache"),
        Access::Shared,
        &modver::progress::Progress::new(),
        |_| {},
    )
    .unwrap();
    if only == "scan" {
        let state = timed("read state", || State::read(&state_path));
        let scanned = timed("scan, unchanged", || look(root, state.as_ref()));
        println!("peak memory {} MiB", peak());
        drop(state);
        timed("trees", || {
            scanned
                .snapshot(Mode::HashOnly, None, &whole, &cache, &progress)
                .unwrap()
        });
        println!("peak memory {} MiB", peak());
        return;
    }
    let out = scratch.join("out");
    let checkout = |node: Option<&Node>| {
        timed("checkout", || {
            let snapshot = look(&out, None)
                .snapshot(Mode::HashOnly, None, &whole, &cache, &progress)
                .unwrap();
            let request = CheckoutRequest {
                target: node,
                scopes: &whole,
                base: None,
                present: None,
                force: false,
            };
            let plan = timed("  of it, plan", || {
                CheckoutPlan::new(request, snapshot, &cache).unwrap()
            });
            let checked = plan.execute(&state_file(scratch.join("out.state")), &progress).unwrap();
            println!("{:?}, {} failures", checked.done, checked.failures.len());
        })
    };
    if only == "checkout" {
        let Some(Root::Tree(id)) = State::read(&state_path).and_then(|state| state.base()) else {
            return;
        };
        let (size, files) = (0, 0);
        checkout(Some(&Node::Dir { id, size, files }));
        println!("peak memory {} MiB", peak());
        return;
    }
    timed("scan, nothing known", || look(root, None));
    let added = timed("add", || {
        let transaction = cache.transaction(&progress).unwrap();
        let snapshot = look(root, None)
            .snapshot(Mode::Store(&transaction), None, &whole, &cache, &progress)
            .unwrap();
        transaction.commit().unwrap();
        snapshot
    });
    timed("write state", || {
        added
            .write_state(&state_file(state_path.clone()), added.root(), &whole)
            .unwrap()
    });
    println!("peak memory {} MiB", peak());
    let node = added.node.clone();
    drop(added);
    std::thread::sleep(std::time::Duration::from_millis(100));
    for _ in 0..3 {
        let state = timed("read state", || State::read(&state_path));
        let scanned = timed("scan, unchanged", || look(root, state.as_ref()));
        let snapshot = timed("trees", || {
            scanned
                .snapshot(Mode::HashOnly, None, &whole, &cache, &progress)
                .unwrap()
        });
        println!("read {:?}, same {}", snapshot.read, snapshot.node == node);
    }
    checkout(node.as_ref());
    println!("peak memory {} MiB", peak());
}
