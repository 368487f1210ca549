//! Running one command of a stage: in a process group of its own, so that it can be stopped with all it started.
//!
//! The command's standard input is the lock file of its stage: empty to read, and held for as long as the command lives,
//! also when this process is killed. So nobody starts the stage again beside it.

use std::io::{self, Read as _};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use wait4::Wait4 as _;

use crate::fs::FileLock;
use crate::progress::Progress;

/// The longest time between two looks at the process.
const TICK: Duration = Duration::from_millis(20);
/// How long output is waited for that others still hold after the command ended.
const LINGER: Duration = Duration::from_millis(200);

/// What to run.
pub(super) struct Task<'a> {
    /// For the shell.
    pub line: &'a str,
    /// Where.
    pub dir: &'a Path,
    /// Variables on top of this process's own.
    pub env: &'a [(String, String)],
    /// The lock of its stage.
    pub lock: &'a FileLock,
    /// When it is stopped.
    pub deadline: Option<Instant>,
    /// How long it may take to end after each signal.
    pub grace: Duration,
}

/// What may end a command before its time.
pub(super) struct Watched<'a> {
    /// Whether it is to be stopped.
    pub stop: &'a dyn Fn() -> bool,
    /// Who may be in a hurry.
    pub progress: &'a Progress,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// By itself, with this code.
    Exited(i32),
    /// By a signal that was not ours.
    Signalled(i32),
    /// It took too long and was stopped.
    TimedOut,
    /// The user stopped it.
    Interrupted,
}

/// How a command ended, in words.
pub(super) fn describe(end: End) -> String {
    match end {
        End::Exited(code) => format!("ended with exit code {code}"),
        End::Signalled(signal) => format!("was ended by signal {signal}"),
        End::TimedOut => "took too long and was stopped".to_owned(),
        End::Interrupted => "was interrupted".to_owned(),
    }
}

/// What commands used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    /// Milliseconds from start to end.
    pub wall_ms: u64,
    /// Milliseconds of processor time, of the command and what it waited for.
    pub cpu_ms: u64,
    /// The most memory that one process had, in bytes.
    pub peak_memory: u64,
    /// Bytes read from storage, if the system tells.
    pub read_bytes: Option<u64>,
    /// Bytes written to storage, if the system tells.
    pub written_bytes: Option<u64>,
}

impl Usage {
    /// Adds what a command that ran afterwards used.
    pub fn add(&mut self, other: &Self) {
        let sum = |a: Option<u64>, b: Option<u64>| match (a, b) {
            (None, None) => None,
            (a, b) => Some(a.unwrap_or(0) + b.unwrap_or(0)),
        };
        self.wall_ms += other.wall_ms;
        self.cpu_ms += other.cpu_ms;
        self.peak_memory = self.peak_memory.max(other.peak_memory);
        self.read_bytes = sum(self.read_bytes, other.read_bytes);
        self.written_bytes = sum(self.written_bytes, other.written_bytes);
    }
}

/// Runs a command to its end. What it prints goes to `output` as it comes; it is stopped once `watched` says so.
///
/// # Errors
/// When it cannot be started or waited for.
pub(super) fn run(task: &Task<'_>, watched: &Watched<'_>, output: &mut dyn FnMut(&[u8])) -> io::Result<(End, Usage)> {
    let _running = watched.progress.running();
    let started = Instant::now();
    let (mut reader, writer) = io::pipe()?;
    let mut command = Command::new("/bin/sh");
    command
        .args(["-c", task.line])
        .current_dir(task.dir)
        .envs(task.env.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(task.lock.as_input()?))
        .stdout(Stdio::from(writer.try_clone()?))
        .stderr(Stdio::from(writer))
        .process_group(0);
    let child = command.spawn()?;
    // It holds our ends of the pipe.
    drop(command);
    rustix::io::ioctl_fionbio(&reader, true)?;
    let pid = Pid::from_child(&child);
    let ended = follow(pid, task, watched, &mut reader, output);
    let io = io_of(pid);
    // Whatever it left running in its group would write into what is recorded now.
    let _ = kill_process_group(pid, Signal::KILL);
    let (status, usage) = usage(child, started, io)?;
    let why = ended?;
    rest(&mut reader, output)?;
    let end = match (why, status.code(), status.signal()) {
        (Some(why), _, _) => why,
        (None, Some(code), _) => End::Exited(code),
        (None, None, signal) => End::Signalled(signal.unwrap_or(0)),
    };
    Ok((end, usage))
}

/// Reads what the process prints until it ends. Returns why it was stopped, if it was.
fn follow(
    pid: Pid,
    task: &Task<'_>,
    watched: &Watched<'_>,
    reader: &mut io::PipeReader,
    output: &mut dyn FnMut(&[u8]),
) -> io::Result<Option<End>> {
    let mut stopping = Stopping::default();
    let mut open = true;
    let mut buffer = vec![0; 1 << 16];
    let mut wait = Duration::from_millis(1);
    loop {
        let mut busy = false;
        while open {
            match reader.read(&mut buffer) {
                // It is about to end, most likely.
                Ok(0) => (open, busy) = (false, true),
                Ok(n) => {
                    output(&buffer[..n]);
                    busy = true;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
            if (watched.stop)() || stopping.is_due(task.deadline) {
                break;
            }
        }
        if has_ended(pid)? {
            break;
        }
        stopping.go_on(pid, task, watched);
        wait = if busy {
            Duration::from_millis(1)
        } else {
            TICK.min(wait * 2)
        };
        if open {
            let mut fds = [PollFd::new(&*reader, PollFlags::IN)];
            let timeout = Timespec {
                tv_sec: 0,
                tv_nsec: i64::try_from(wait.as_nanos()).unwrap_or(0),
            };
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        } else {
            std::thread::sleep(wait);
        }
    }
    Ok(stopping.why)
}

/// Reads what is left in the pipe. Who has left the group may hold it open; that is not waited for long.
fn rest(reader: &mut io::PipeReader, output: &mut dyn FnMut(&[u8])) -> io::Result<()> {
    let until = Instant::now() + LINGER;
    let mut buffer = vec![0; 1 << 16];
    while Instant::now() < until {
        match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => output(&buffer[..n]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => std::thread::sleep(Duration::from_millis(1)),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Whether the process ended. It stays in the table, so that its group is still its own.
fn has_ended(pid: Pid) -> io::Result<bool> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    match waitid(WaitId::Pid(pid), options) {
        Ok(status) => Ok(status.is_some()),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn usage(child: Child, started: Instant, io: (Option<u64>, Option<u64>)) -> io::Result<(ExitStatus, Usage)> {
    let used = child.wait4()?;
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let usage = Usage {
        wall_ms: millis(started.elapsed()),
        cpu_ms: millis(used.rusage.utime + used.rusage.stime),
        peak_memory: used.rusage.maxrss,
        read_bytes: io.0,
        written_bytes: io.1,
    };
    Ok((used.status, usage))
}

/// What an ended process and those that it waited for read and wrote, where the system tells (Linux).
fn io_of(pid: Pid) -> (Option<u64>, Option<u64>) {
    let path = format!("/proc/{}/io", pid.as_raw_nonzero());
    let Ok(bytes) = crate::fs::read(Path::new(&path), 4096) else {
        return (None, None);
    };
    let text = String::from_utf8_lossy(&bytes);
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        line.trim().parse().ok()
    };
    (number("read_bytes:"), number("write_bytes:"))
}

/// A command that is being stopped: first asked, then told, then killed.
#[derive(Default)]
struct Stopping {
    why: Option<End>,
    sent: usize,
    since: Option<Instant>,
}

const SIGNALS: [Signal; 3] = [Signal::INT, Signal::TERM, Signal::KILL];

impl Stopping {
    fn is_due(&self, deadline: Option<Instant>) -> bool {
        self.why.is_some() || deadline.is_some_and(|deadline| Instant::now() >= deadline)
    }

    fn go_on(&mut self, pid: Pid, task: &Task<'_>, watched: &Watched<'_>) {
        if self.why.is_none() {
            if (watched.stop)() {
                self.why = Some(End::Interrupted);
            } else if self.is_due(task.deadline) {
                self.why = Some(End::TimedOut);
            } else {
                return;
            }
        }
        if watched.progress.is_hurried() {
            self.sent = self.sent.max(SIGNALS.len() - 1);
            self.since = None;
        }
        let next = self.since.is_none_or(|since| since.elapsed() >= task.grace);
        if let (true, Some(signal)) = (next, SIGNALS.get(self.sent)) {
            // It may have ended just now.
            let _ = kill_process_group(pid, *signal);
            self.sent += 1;
            self.since = Some(Instant::now());
        }
    }
}
