//! One `ssh` process with the server's SFTP behind it.
//!
//! The program `ssh` is used, so that everything of the user's SSH configuration holds: host names, jumps, agents,
//! keys, known hosts. It never asks: what would need an answer fails with what `ssh` says.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use openssh_sftp_client::{Sftp, SftpOptions};
use tokio::io::AsyncReadExt as _;
use tokio::process::{Child, ChildStderr, Command};

use super::super::pace::Pace;

/// How long making a connection may take.
const CONNECT: Duration = Duration::from_secs(30);
/// Bytes of what `ssh` says that are kept.
const WORDS: usize = 4096;

/// Whom to speak with.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub(super) user: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<u32>,
    pub(super) keyfile: Option<PathBuf>,
    /// The program, if it is not `ssh`.
    pub(super) program: Option<PathBuf>,
}

impl Target {
    /// What `ssh` is told to connect, for people to type.
    pub(super) fn words(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!("-p {port} "));
        let user = self.user.as_ref().map_or_else(String::new, |user| format!("{user}@"));
        format!("{port}{user}{}", self.bare_host())
    }

    /// The host without the brackets that an address has in a URL.
    fn bare_host(&self) -> &str {
        self.host.trim_start_matches('[').trim_end_matches(']')
    }
}

/// A connection.
pub(super) struct Session {
    pub(super) sftp: Sftp,
    /// How long an answer may take, and how fast content may move.
    pub(super) pace: Pace,
    ssh: Ssh,
}

/// The process, which ends with this.
struct Ssh {
    child: Child,
    words: Arc<Mutex<Vec<u8>>>,
}

/// Why there is no connection.
#[derive(Debug)]
pub(super) enum Failed {
    /// There is no program `ssh`.
    NoProgram(std::io::Error),
    /// The server does not know whom it speaks with.
    Login(String),
    /// It is not known whether the server is the right one.
    HostKey(String),
    /// No connection, or one that ended.
    Unreachable(String),
    /// The server has no SFTP.
    NoSftp(String),
    /// Nothing happened for too long.
    TimedOut(Duration),
}

impl Session {
    pub(super) async fn connect(target: &Target, pace: Pace) -> Result<Self, Failed> {
        let mut command = Command::new(target.program.as_deref().unwrap_or_else(|| Path::new("ssh")));
        for option in [
            "BatchMode=yes",
            "ConnectTimeout=10",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=4",
            "ForwardX11=no",
            "ForwardAgent=no",
            "ClearAllForwardings=yes",
        ] {
            command.args(["-o", option]);
        }
        if let Some(port) = target.port {
            command.args(["-p", &port.to_string()]);
        }
        if let Some(user) = &target.user {
            command.args(["-l", user]);
        }
        if let Some(key) = &target.keyfile {
            command.arg("-i").arg(key).args(["-o", "IdentitiesOnly=yes"]);
        }
        let mut child = command
            .args(["-s", "--", target.bare_host(), "sftp"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Ctrl-C is for this process, which still has to end what it does.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(Failed::NoProgram)?;
        let words = Arc::new(Mutex::new(Vec::new()));
        if let Some(errors) = child.stderr.take() {
            tokio::spawn(listen(errors, Arc::clone(&words)));
        }
        let (Some(input), Some(output)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Failed::Unreachable("ssh has no standard input and output".to_owned()));
        };
        let mut ssh = Ssh { child, words };
        match tokio::time::timeout(CONNECT, Sftp::new(input, output, SftpOptions::new())).await {
            Err(_) => Err(Failed::TimedOut(CONNECT)),
            Ok(Ok(sftp)) => Ok(Self { sftp, pace, ssh }),
            Ok(Err(error)) => {
                // Its last words come with its end.
                let _ = tokio::time::timeout(Duration::from_secs(2), ssh.child.wait()).await;
                tokio::time::sleep(Duration::from_millis(20)).await;
                Err(told(ssh.words(), &error.to_string()))
            }
        }
    }

    /// What `ssh` said so far.
    pub(super) fn words(&self) -> String {
        self.ssh.words()
    }
}

impl Ssh {
    fn words(&self) -> String {
        let words = self.words.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&words);
        let lines = text
            .lines()
            .map(|line| line.trim().chars().filter(|c| !c.is_control()).collect::<String>());
        // Warnings and banners of decoration, as for a changed host key.
        let lines = lines.filter(|line| line.chars().any(char::is_alphanumeric));
        let lines: Vec<String> = lines.collect();
        lines[lines.len().saturating_sub(3)..].join("; ")
    }
}

/// Keeps what the process says.
async fn listen(mut errors: ChildStderr, words: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(read @ 1..) = errors.read(&mut piece).await {
        let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
        words.extend_from_slice(&piece[..read]);
        let surplus = words.len().saturating_sub(WORDS);
        words.drain(..surplus);
    }
}

/// What the words of `ssh` mean.
fn told(words: String, otherwise: &str) -> Failed {
    let says = |text: &str| words.contains(text);
    if says("Host key verification failed") || says("host key is known") || says("HOST IDENTIFICATION HAS CHANGED") {
        Failed::HostKey(words)
    } else if says("Permission denied") || says("Too many authentication failures") || says("Load key") {
        Failed::Login(words)
    } else if says("ubsystem request failed") {
        Failed::NoSftp(words)
    } else if words.is_empty() {
        Failed::Unreachable(otherwise.to_owned())
    } else {
        Failed::Unreachable(words)
    }
}

/// Whether a key file is there at all, since `ssh` goes on without.
pub(super) fn missing_key(target: &Target) -> Option<&Path> {
    let key = target.keyfile.as_deref()?;
    crate::fs::canonicalize(key).is_err().then_some(key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_understood() {
        let told = |words: &str| told(words.to_owned(), "eof");
        assert!(matches!(told("u@h: Permission denied (publickey)."), Failed::Login(_)));
        assert!(matches!(told("Host key verification failed."), Failed::HostKey(_)));
        assert!(matches!(
            told("subsystem request failed on channel 0"),
            Failed::NoSftp(_)
        ));
        assert!(matches!(
            told("ssh: connect to host h port 22: Connection refused"),
            Failed::Unreachable(_)
        ));
        assert!(matches!(told(""), Failed::Unreachable(words) if words == "eof"));
    }
}
