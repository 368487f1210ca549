//! Repeating what may pass, and nothing else.

use std::sync::Arc;
use std::time::Duration;

use modver::progress::Progress;
use modver::remote::transport::{DirTransport, PutMode, PutOutcome, Retry, RetryPolicy, Transport, TransportError};

use super::QUICK;
use super::faulty::{Fault, Faulty};

type Remote = Arc<Faulty<DirTransport>>;

fn faulty(faults: &[(u64, Fault)]) -> (tempfile::TempDir, Remote, Retry<Remote>) {
    let dir = tempfile::tempdir().unwrap();
    let mut inner = Faulty::new(DirTransport::open(dir.path(), false).unwrap());
    for (nth, fault) in faults {
        inner = inner.fail(*nth, *fault);
    }
    let inner = Arc::new(inner);
    let retry = Retry::new(Arc::clone(&inner), QUICK, Arc::new(Progress::new()));
    (dir, inner, retry)
}

#[test]
fn lost_calls_are_repeated() {
    let (_dir, calls, remote) = faulty(&[
        (1, Fault::Before),
        (2, Fault::Before),
        (4, Fault::After),
        (6, Fault::Before),
    ]);
    assert_eq!(
        remote.put("k", &vec![7].into(), PutMode::IfAbsent).unwrap(),
        PutOutcome::Created
    );
    assert_eq!(calls.calls(), 3);
    assert_eq!(remote.get("k", 9).unwrap(), [7]);
    assert_eq!(calls.calls(), 5);
    assert_eq!(remote.list("").unwrap().len(), 1);
}

#[test]
fn a_put_whose_answer_was_lost_finds_itself() {
    let (_dir, _, remote) = faulty(&[(1, Fault::After)]);
    assert_eq!(
        remote.put("k", &vec![7].into(), PutMode::IfAbsent).unwrap(),
        PutOutcome::Existed
    );
    assert_eq!(remote.get("k", 9).unwrap(), [7]);
}

#[test]
fn final_errors_are_not_repeated_and_others_not_for_ever() {
    let (_dir, calls, remote) = faulty(&[(2, Fault::Denied)]);
    assert!(matches!(remote.get("absent", 9), Err(TransportError::NotFound(_))));
    assert!(matches!(remote.get("absent", 9), Err(TransportError::Denied { .. })));
    assert_eq!(calls.calls(), 2);

    let dir = tempfile::tempdir().unwrap();
    let inner = Arc::new(Faulty::new(DirTransport::open(dir.path(), false).unwrap()).fail_from(1, Fault::Before));
    let remote = Retry::new(Arc::clone(&inner), QUICK, Arc::new(Progress::new()));
    assert!(matches!(remote.stat("k"), Err(TransportError::Disconnected { .. })));
    assert_eq!(inner.calls(), u64::from(QUICK.attempts));
}

#[test]
fn an_interrupt_ends_the_wait() {
    let dir = tempfile::tempdir().unwrap();
    let inner = Faulty::new(DirTransport::open(dir.path(), false).unwrap()).fail_from(1, Fault::Before);
    let progress = Arc::new(Progress::new());
    let for_hours = RetryPolicy {
        attempts: 1_000,
        base: Duration::from_secs(3_600),
        longest: Duration::from_secs(3_600),
        deadline: Duration::from_secs(1_000_000),
        ..QUICK
    };
    let remote = Retry::new(inner, for_hours, Arc::clone(&progress));
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| remote.get("k", 9));
        std::thread::sleep(Duration::from_millis(100));
        progress.interrupt();
        assert!(matches!(waiting.join().unwrap(), Err(TransportError::Interrupted(_))));
    });
}
