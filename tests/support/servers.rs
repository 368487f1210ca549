//! Servers that others wrote, as separate processes on free ports of the loopback interface. Each is started once for
//! a test binary and ends with it. What is not installed is said loudly and its tests pass, unless
//! `MODVER_REQUIRE_SERVERS` (names, separated by commas) says that it must be there.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The account of Azurite, which is the same everywhere and no secret.
pub const AZURE_ACCOUNT: &str = "devstoreaccount1";
/// Its key.
pub const AZURE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// A running server.
pub struct Server {
    /// `127.0.0.1:port`.
    pub address: String,
    /// Its files.
    pub dir: tempfile::TempDir,
    child: Child,
}

impl Server {
    pub fn port(&self) -> u16 {
        self.address.rsplit(':').next().unwrap().parse().unwrap()
    }
}

/// The servers that there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Moto,
    Azurite,
    Gcs,
    Apache,
    Sshd,
}

impl Kind {
    /// What `MODVER_REQUIRE_SERVERS` calls it.
    const fn name(self) -> &'static str {
        match self {
            Self::Moto => "moto",
            Self::Azurite => "azurite",
            Self::Gcs => "gcs",
            Self::Apache => "apache",
            Self::Sshd => "sshd",
        }
    }

    const fn program(self) -> &'static str {
        match self {
            Self::Moto => "moto_server",
            Self::Azurite => "azurite-blob",
            Self::Gcs => "fake-gcs-server",
            Self::Apache => "apache2",
            Self::Sshd => "sshd",
        }
    }

    /// The server; `None` when it is not installed.
    pub fn start(self) -> Option<&'static Server> {
        static SERVERS: [OnceLock<Result<Option<Server>, String>>; 5] = [const { OnceLock::new() }; 5];
        let slot = &SERVERS[self as usize];
        slot.get_or_init(|| {
            let required = std::env::var("MODVER_REQUIRE_SERVERS").unwrap_or_default();
            let required = required.split(',').any(|name| name == self.name());
            match find(self.program()) {
                Some(program) => self.run(&program).map(Some),
                None if required => panic!("{} is required, but {} is not installed", self.name(), self.program()),
                None => {
                    // Not `eprintln`, which the test harness keeps to itself.
                    let _ = writeln!(
                        std::io::stderr(),
                        "SKIPPED: no tests with {}: {} is not installed",
                        self.name(),
                        self.program()
                    );
                    Ok(None)
                }
            }
        })
        .as_ref()
        .unwrap_or_else(|error| panic!("{error}"))
        .as_ref()
    }

    fn run(self, program: &Path) -> Result<Server, String> {
        let dir = tempfile::tempdir().unwrap();
        // Some give up their rights and must still find their files.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let address = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap();
        let port = address.port().to_string();
        let home = dir.path().to_str().unwrap();
        let arguments: Vec<String> = match self {
            Self::Moto => vec!["-H".into(), "127.0.0.1".into(), "-p".into(), port],
            Self::Azurite => ["--blobHost", "127.0.0.1", "--blobPort", &port, "--silent"]
                .into_iter()
                .chain(["--skipApiVersionCheck", "--inMemoryPersistence", "--disableTelemetry"])
                .map(str::to_owned)
                .collect(),
            Self::Gcs => [
                "-scheme",
                "http",
                "-host",
                "127.0.0.1",
                "-port",
                &port,
                "-backend",
                "memory",
            ]
            .map(str::to_owned)
            .to_vec(),
            Self::Apache => apache(dir.path(), &port),
            Self::Sshd => sshd(dir.path(), &port),
        };
        // The shell ends the server when its input does: when this process ends, however it does.
        let child = Command::new("sh")
            .args([
                "-c",
                "\"$@\" </dev/null >\"$0/log\" 2>&1 & cat; kill $! 2>/dev/null",
                home,
            ])
            .arg(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server {
            address: address.to_string(),
            dir,
            child,
        };
        let begin = Instant::now();
        while TcpStream::connect(address).is_err() {
            if begin.elapsed() > Duration::from_secs(30) {
                let log = std::fs::read_to_string(server.dir.path().join("log")).unwrap_or_default();
                return Err(format!("{} does not start: {log}", self.name()));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        match self {
            Self::Moto => ask(&server.address, "PUT /bucket", ""),
            Self::Gcs => ask(&server.address, "POST /storage/v1/b?project=p", "{\"name\":\"bucket\"}"),
            Self::Azurite => azure_container(&server.address),
            _ => {}
        }
        Ok(server)
    }
}

fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain([PathBuf::from("/usr/sbin")])
        .map(|dir| dir.join(program))
        .find(|path| path.is_file())
}

/// Sends a request, without saying who we are.
fn ask(address: &str, request: &str, body: &str) {
    let mut socket = TcpStream::connect(address).unwrap();
    write!(
        socket,
        "{request} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    socket.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Makes the container `bucket`, which takes a signature.
fn azure_container(address: &str) {
    const SCRIPT: &str = "
import base64, email.utils, hashlib, hmac, sys, urllib.request
address, account, key = sys.argv[1:]
date, version = email.utils.formatdate(usegmt=True), '2021-08-06'
text = 'PUT\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\n\\nx-ms-date:%s\\nx-ms-version:%s\\n/%s/%s/bucket\\nrestype:container' % (
    date, version, account, account)
signature = base64.b64encode(hmac.new(base64.b64decode(key), text.encode(), hashlib.sha256).digest()).decode()
url = 'http://%s/%s/bucket?restype=container' % (address, account)
request = urllib.request.Request(url, method='PUT', headers={
    'x-ms-date': date, 'x-ms-version': version, 'Authorization': 'SharedKey %s:%s' % (account, signature)})
urllib.request.urlopen(request)
";
    let status = Command::new("python3")
        .args(["-c", SCRIPT, address, AZURE_ACCOUNT, AZURE_KEY])
        .status()
        .unwrap();
    assert!(status.success());
}

/// WebDAV below `/dav`, for the user `me` with the password `secret`.
fn apache(dir: &Path, port: &str) -> Vec<String> {
    let home = dir.to_str().unwrap();
    for sub in ["files", "lock"] {
        let sub = dir.join(sub);
        std::fs::create_dir(&sub).unwrap();
        std::fs::set_permissions(&sub, std::fs::Permissions::from_mode(0o777)).unwrap();
    }
    std::fs::write(dir.join("users"), "me:{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n").unwrap();
    let modules = "/usr/lib/apache2/modules";
    let mut config =
        format!("ServerRoot {home}\nServerName localhost\nPidFile {home}/pid\nListen 127.0.0.1:{port}\n");
    for module in [
        "mpm_event",
        "unixd",
        "authn_core",
        "authn_file",
        "authz_core",
        "authz_user",
        "auth_basic",
        "alias",
        "dav",
        "dav_fs",
    ] {
        // Some are built in.
        if Path::new(&format!("{modules}/mod_{module}.so")).is_file() {
            config.push_str(&format!("LoadModule {module}_module {modules}/mod_{module}.so\n"));
        }
    }
    if std::fs::metadata("/root").is_ok_and(|_| std::fs::read_dir("/root").is_ok()) {
        config.push_str("User www-data\nGroup www-data\n");
    }
    config.push_str(&format!(
        "ErrorLog {home}/errors\nDavLockDB {home}/lock/db\nDocumentRoot {home}/files\nAlias /dav {home}/files\n\
         <Directory {home}/files>\nDav On\nAuthType Basic\nAuthName store\nAuthUserFile {home}/users\n\
         Require valid-user\n</Directory>\n"
    ));
    std::fs::write(dir.join("apache.conf"), config).unwrap();
    vec!["-X".into(), "-f".into(), format!("{home}/apache.conf")]
}

/// SFTP for the user who runs this, by a key. A program `ssh` that knows the server and the key is in
/// `bin`, one that knows no key in `keyless`.
fn sshd(dir: &Path, port: &str) -> Vec<String> {
    let home = dir.to_str().unwrap();
    for key in ["host", "user", "other"] {
        let status = Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(dir.join(key))
            .status();
        assert!(status.unwrap().success());
    }
    // sshd of root separates its privileges there.
    let _ = std::fs::create_dir("/run/sshd");
    std::fs::copy(dir.join("user.pub"), dir.join("authorized")).unwrap();
    std::fs::write(
        dir.join("sshd.conf"),
        format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {home}/host\nAuthorizedKeysFile {home}/authorized\n\
             StrictModes no\nUsePAM no\nPidFile none\nPermitRootLogin yes\nPasswordAuthentication no\n\
             MaxStartups 100\nMaxSessions 100\nSubsystem sftp internal-sftp\n"
        ),
    )
    .unwrap();
    let host_key = std::fs::read_to_string(dir.join("host.pub")).unwrap();
    std::fs::write(dir.join("known"), format!("[127.0.0.1]:{port} {host_key}")).unwrap();
    std::fs::write(
        dir.join("ssh.conf"),
        format!("Host *\nUserKnownHostsFile {home}/known\nGlobalKnownHostsFile /dev/null\nIdentityFile {home}/user\nIdentityAgent none\n"),
    )
    .unwrap();
    std::fs::write(
        dir.join("keyless.conf"),
        format!("Host *\nUserKnownHostsFile {home}/known\nGlobalKnownHostsFile /dev/null\nIdentityFile none\nIdentityAgent none\n"),
    )
    .unwrap();
    let ssh = find("ssh").expect("sshd comes with ssh");
    for (bin, config) in [("bin", "ssh.conf"), ("keyless", "keyless.conf")] {
        let bin = dir.join(bin);
        std::fs::create_dir(&bin).unwrap();
        std::fs::write(
            bin.join("ssh"),
            format!("#!/bin/sh\nexec {} -F {home}/{config} \"$@\"\n", ssh.display()),
        )
        .unwrap();
        std::fs::set_permissions(bin.join("ssh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    }
    vec!["-D".into(), "-e".into(), "-f".into(), format!("{home}/sshd.conf")]
}
