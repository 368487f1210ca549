//! Starting, stopping, certificates and settings.

use std::io::Write as _;
use std::net::TcpStream;
use std::process::Command;

use modver::hash::PackId;

use super::raw::{self, request};
use super::support::Scratch;
use super::{Serve, eventually, files, noise, token, with_remote};

#[test]
fn requests_under_way_end_before_the_server_does() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let object = noise(1, 1_000_000);
    let id = PackId::of(&object).to_string();
    let key = format!("r/packs/{}/{id}", &id[..2]);
    let mut stream = TcpStream::connect(serve.address()).unwrap();
    write!(
        stream,
        "PUT /{key} HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n",
        object.len()
    )
    .unwrap();
    stream.write_all(&object[..500_000]).unwrap();
    eventually("the upload begins", || !files(&serve.root.join("uploads")).is_empty());
    serve.signal("TERM");
    let address = serve.address().to_owned();
    eventually("no new connections", || TcpStream::connect(&address).is_err());
    stream.write_all(&object[500_000..]).unwrap();
    assert_eq!(raw::read(&mut stream, false).unwrap().status, 201);
    drop(stream);
    let stored = serve.path(&key);
    assert_eq!(serve.stop_again(), Some(0));
    assert_eq!(std::fs::read(stored).unwrap(), object);
}

impl Serve {
    /// Waits for one that was told to stop.
    fn stop_again(mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }
}

#[test]
fn one_server_for_one_directory() {
    let s = Scratch::new();
    let serve = Serve::start(&s, &[]);
    let second = s
        .repo()
        .modver(["serve", "--listen", "127.0.0.1:0", "--root", "../serve"]);
    assert_eq!(second.code, 1, "{second}");
    assert!(second.err().contains("another `modver serve`"), "{second}");
    let address = serve.address().to_owned();
    let taken = s.repo().modver(["serve", "--listen", &address, "--root", "../other"]);
    assert!(taken.err().contains("cannot listen on"), "{taken}");
    assert_eq!(serve.stop(), Some(0));
}

#[test]
fn settings_come_from_a_file() {
    let s = Scratch::new();
    s.write(
        "../serve.toml",
        "listen = \"127.0.0.1:1\"\nroot = \"elsewhere\"\nquota = \"1KiB\"\npublic_read = true\n",
    );
    let added = s
        .repo()
        .modver([
            "serve",
            "token",
            "add",
            "--config-file",
            "../serve.toml",
            "--write",
            "ann",
        ])
        .ok();
    assert!(s.root().join("elsewhere/tokens.json").exists());
    let mut child = s
        .repo()
        .command(env!("CARGO_BIN_EXE_modver"))
        .args(["serve", "--config-file", "../serve.toml", "--listen", "127.0.0.1:0"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    let mut reader = std::io::BufReader::new(child.stderr.take().unwrap());
    std::io::BufRead::read_line(&mut reader, &mut line).unwrap();
    let address = line.trim().rsplit("//").next().unwrap().to_owned();
    let bearer = format!("authorization: Bearer {added}");
    let put = |len: usize| {
        request(
            &address,
            "PUT /r/leases/x",
            std::slice::from_ref(&bearer),
            &noise(1, len),
        )
        .status
    };
    assert_eq!(put(2000), 507);
    assert_eq!(put(1000), 201);
    assert_eq!(request(&address, "GET /r/leases/x", &[], b"").body, noise(1, 1000));
    child.kill().unwrap();
    child.wait().unwrap();
    for (text, said) in [("rot = 1\n", "unknown field"), ("quota = \"many\"\n", "not a size")] {
        s.write("../serve.toml", text);
        let refused = s
            .repo()
            .modver(["serve", "--config-file", "../serve.toml", "--root", "../x"]);
        assert_eq!(refused.code, 1, "{refused}");
        assert!(refused.err().contains(said), "{refused}");
    }
    let usage = s.repo().modver(["serve"]);
    assert_eq!(usage.code, 2, "{usage}");
}

/// Makes a certificate for 127.0.0.1 with the `openssl` program; `false` when there is none.
fn certificate(s: &Scratch, name: &str) -> bool {
    let made = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
            "-nodes",
            "-days",
            "2",
        ])
        .args([
            "-subj",
            &format!("/CN={name}"),
            "-addext",
            "subjectAltName=IP:127.0.0.1",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
        ])
        .arg("-keyout")
        .arg(s.root().join("key.pem"))
        .arg("-out")
        .arg(s.root().join("cert.pem"))
        .output();
    made.is_ok_and(|made| made.status.success())
}

#[test]
fn certificates() {
    let mut s = Scratch::new();
    if !certificate(&s, "one") {
        // Written past the test's captured output on purpose: a skipped test must be seen.
        let _ = writeln!(std::io::stderr(), "SKIPPED: the program openssl is not installed");
        return;
    }
    let ann = token(&s, &["--write", "ann"]);
    let (cert, key) = (s.root().join("cert.pem"), s.root().join("key.pem"));
    let serve = Serve::start(
        &s,
        &["--tls-cert", cert.to_str().unwrap(), "--tls-key", key.to_str().unwrap()],
    );
    assert!(serve.url.starts_with("https://"), "{}", serve.url);
    with_remote(&s, &format!("{}/project", serve.url));
    s.set_env("MODVER_REMOTE_HUB_TOKEN", ann);
    let distrusted = s.repo().modver(["push"]);
    assert_eq!(distrusted.code, 1, "{distrusted}");
    assert!(distrusted.err().to_lowercase().contains("certificate"), "{distrusted}");
    assert!(
        distrusted
            .err()
            .contains("hint: modver remote modify --local hub ca_file CERT.pem"),
        "{distrusted}"
    );
    s.repo()
        .modver(["remote", "modify", "--local", "hub", "ca_file", cert.to_str().unwrap()])
        .ok();
    s.repo().modver(["push", "--quiet"]).ok();
    let plain = format!("remote.hub.url=http://{}/project", serve.address());
    let plain = s.repo().modver(["-c", &plain, "push"]);
    assert_eq!(plain.code, 1, "{plain}");
    assert!(
        plain.err().contains("hint: modver remote modify hub url https://"),
        "{plain}"
    );

    // A new certificate counts from the signal on.
    assert!(certificate(&s, "two"));
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).fails(1);
    serve.signal("HUP");
    eventually("the certificate is read", || {
        serve.said().contains("read the certificate again")
    });
    s.repo().modver(["verify", "--remote", "--deep", "--quiet"]).ok();
    // A bad one does not take the server down.
    std::fs::write(&cert, "nonsense").unwrap();
    serve.signal("HUP");
    eventually("the certificate is refused", || serve.said().contains("stays in use"));
    assert_eq!(serve.stop(), Some(0));
    let refused = s.repo().modver([
        "serve",
        "--root",
        "../serve",
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        cert.to_str().unwrap(),
        "--tls-key",
        key.to_str().unwrap(),
    ]);
    assert!(refused.err().contains("cannot use the certificate"), "{refused}");
}
