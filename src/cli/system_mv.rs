//! Becoming the system's `mv`.
//!
//! The program that takes over is the next `mv` on PATH behind the last place that is this very file (same device
//! and inode, so links do not matter). Going strictly forward means that several different copies of modver on one
//! PATH cannot pass a command line around in a circle. Only when nothing is found behind us do we look before us (or
//! anywhere, when PATH does not have us at all); such a step is remembered in [`TRIED`] so that a wrapper script that
//! calls us by our full path is not called a second time.
//!
//! Promised: same arguments, working directory, standard streams; the same environment except for [`TRIED`] in the
//! rare case above. The process is replaced, so signals and the exit status are the other program's own.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use crate::fs::{self, FileKind};

/// The variable that lists programs (`device:inode`, separated by commas) that have had their turn.
const TRIED: &str = "MODVER_MV_TRIED";

/// What a shell says when it finds no command.
const NOT_FOUND: u8 = 127;

/// The search path where PATH is not set, as `execvp` has it.
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// What identifies a file whatever it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct FileKey {
    dev: u64,
    ino: u64,
}

impl FileKey {
    /// Of an executable regular file, behind links.
    fn of_program(path: &Path) -> Option<Self> {
        let stat = fs::stat(&fs::canonicalize(path).ok()?).ok()??;
        (stat.kind == FileKind::File && stat.mode & 0o111 != 0).then_some(Self {
            dev: stat.dev,
            ino: stat.ino,
        })
    }

    fn parse(text: &str) -> Option<Self> {
        let (dev, ino) = text.split_once(':')?;
        Some(Self {
            dev: dev.parse().ok()?,
            ino: ino.parse().ok()?,
        })
    }
}

/// Replaces this process by the next `mv`. Returns only when there is none.
pub(crate) fn exec(args: &[OsString]) -> ExitCode {
    let path = std::env::var_os("PATH").unwrap_or_else(|| DEFAULT_PATH.into());
    let found: Vec<(FileKey, PathBuf)> = path
        .as_bytes()
        .split(|byte| *byte == b':')
        .map(|dir| if dir.is_empty() { b"." } else { dir })
        .map(|dir| Path::new(OsStr::from_bytes(dir)).join("mv"))
        .filter_map(|program| Some((FileKey::of_program(&program)?, program)))
        .collect();
    let keys: Vec<FileKey> = found.iter().map(|(key, _)| *key).collect();
    let me = std::env::current_exe().ok().and_then(|exe| FileKey::of_program(&exe));
    let tried = std::env::var(TRIED).unwrap_or_default();
    let tried_keys: Vec<FileKey> = tried.split(',').filter_map(FileKey::parse).collect();

    for turn in turns(&keys, me, &tried_keys) {
        let (key, program) = &found[turn.candidate];
        let mut command = Command::new(program);
        command.arg0("mv").args(args);
        if turn.remember {
            let comma = if tried.is_empty() { "" } else { "," };
            command.env(TRIED, format!("{tried}{comma}{}:{}", key.dev, key.ino));
        }
        // Returning means that the file could not be run; like a shell, go on searching.
        let _ = command.exec();
    }
    let _ = writeln!(
        std::io::stderr(),
        "error: `mv` here means the system's mv, and PATH has no other mv than modver's\nhint: modver help names"
    );
    ExitCode::from(NOT_FOUND)
}

/// A program to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    candidate: usize,
    remember: bool,
}

/// The order in which to try the programs found on PATH.
fn turns(found: &[FileKey], me: Option<FileKey>, tried: &[FileKey]) -> Vec<Turn> {
    let behind_me = found.iter().rposition(|key| Some(*key) == me).map(|last| last + 1);
    let forward = behind_me.unwrap_or(found.len())..found.len();
    let otherwise = 0..behind_me.unwrap_or(found.len());
    let turn = |remember| move |candidate| Turn { candidate, remember };
    forward
        .map(turn(false))
        .chain(otherwise.map(turn(true)))
        .filter(|turn| Some(found[turn.candidate]) != me && !tried.contains(&found[turn.candidate]))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn key(ino: u64) -> FileKey {
        FileKey { dev: 1, ino }
    }

    fn first(path: &[u64], me: u64, tried: &[u64]) -> Option<(u64, bool)> {
        let found: Vec<FileKey> = path.iter().copied().map(key).collect();
        let tried: Vec<FileKey> = tried.iter().copied().map(key).collect();
        let turns = turns(&found, Some(key(me)), &tried);
        turns.first().map(|turn| (path[turn.candidate], turn.remember))
    }

    #[test]
    fn goes_forward() {
        assert_eq!(first(&[1, 9], 1, &[]), Some((9, false)));
        assert_eq!(first(&[9, 1], 1, &[]), Some((9, true)), "called by its full path");
        assert_eq!(first(&[7, 1, 9], 1, &[]), Some((9, false)), "a wrapper in front of us");
        assert_eq!(first(&[1, 1, 1, 9], 1, &[]), Some((9, false)));
        assert_eq!(first(&[9], 1, &[]), Some((9, true)), "not on PATH ourselves");
        assert_eq!(first(&[1], 1, &[]), None);
        assert_eq!(first(&[], 1, &[]), None);
    }

    /// Follows a command line through PATH where the programs below 5 are copies of modver.
    fn walk(path: &[u64], start: u64) -> Option<u64> {
        let (mut me, mut tried) = (start, Vec::new());
        for _ in 0..100 {
            let (next, remember) = first(path, me, &tried)?;
            if remember {
                tried.push(next);
            }
            if next >= 5 {
                return Some(next);
            }
            me = next;
        }
        panic!("a loop: {path:?} from {start}");
    }

    #[test]
    fn different_copies_never_loop() {
        let programs = [1, 2, 3, 9];
        for n in 0..4_usize.pow(5) {
            let path: Vec<u64> = (0..5).map(|i| programs[n / 4_usize.pow(i) % 4]).collect();
            for start in 1..=4 {
                assert_eq!(
                    walk(&path, start),
                    path.contains(&9).then_some(9),
                    "{path:?} from {start}"
                );
            }
        }
    }

    #[test]
    fn a_wrapper_that_calls_us_is_called_once() {
        assert_eq!(first(&[7, 9, 1], 1, &[]), Some((7, true)));
        assert_eq!(first(&[7, 9, 1], 1, &[7]), Some((9, true)));
    }
}
