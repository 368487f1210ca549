//! Clients that are slow on purpose hold neither a connection nor a server. The server is in this process, and less patient
//! than usual.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use modver::hash::PackId;
use modver::server::{Options, Patience, Server};

use super::noise;
use super::raw::{self, request};

struct Impatient {
    server: Server,
    _dir: tempfile::TempDir,
}

impl Impatient {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = Options {
            listen: "127.0.0.1:0".into(),
            patience: Patience {
                first: Duration::from_millis(500),
                head: Duration::from_millis(500),
                idle: Duration::from_millis(500),
            },
            ..Options::new(dir.path().join("serve"))
        };
        Self {
            server: Server::start(options, Box::new(|_| ())).unwrap(),
            _dir: dir,
        }
    }

    fn address(&self) -> String {
        self.server.address().to_string()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.server.address()).unwrap();
        // The test fails when a server waits that long.
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        stream
    }
}

/// Whether the other side closes the connection, whatever it says before.
fn is_closed(stream: &mut TcpStream) -> bool {
    let mut sink = Vec::new();
    match stream.read_to_end(&mut sink) {
        Ok(_) => true,
        Err(error) => error.kind() == std::io::ErrorKind::ConnectionReset,
    }
}

/// Sends byte after byte until the other side answers or closes; at most as long as a test may take.
fn trickle(stream: &mut TcpStream) {
    stream.set_nonblocking(true).unwrap();
    for _ in 0..600 {
        std::thread::sleep(Duration::from_millis(50));
        if stream.write_all(b"x").is_err() || stream.peek(&mut [0]).is_ok() {
            break;
        }
    }
    stream.set_nonblocking(false).unwrap();
}

#[test]
fn heads_that_do_not_come_are_not_waited_for() {
    let server = Impatient::start();
    assert!(is_closed(&mut server.connect()), "nothing was sent");
    let mut half = server.connect();
    half.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ")
        .unwrap();
    assert!(is_closed(&mut half), "half a head was sent");
    // The first request was good; neither nothing nor half a head may follow it for long.
    for second in [&b""[..], b"GET /health HTTP/1.1\r\nx"] {
        let mut later = server.connect();
        later
            .write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n")
            .unwrap();
        assert_eq!(raw::read(&mut later, false).unwrap().status, 200);
        later.write_all(second).unwrap();
        assert!(is_closed(&mut later));
    }
    let mut slow = server.connect();
    slow.write_all(b"GET /health HTTP/1.1\r\nhost: localhost\r\nx: ")
        .unwrap();
    trickle(&mut slow);
    assert!(is_closed(&mut slow), "a head of one byte after the other");
}

#[test]
fn content_that_does_not_come_is_not_waited_for() {
    let server = Impatient::start();
    let head = "PUT /r/leases/x HTTP/1.1\r\nhost: localhost\r\ncontent-length: 100000\r\n\r\n";
    let mut silent = server.connect();
    silent.write_all(head.as_bytes()).unwrap();
    silent.write_all(b"abc").unwrap();
    assert_eq!(raw::read(&mut silent, false).unwrap().status, 408);
    let mut slow = server.connect();
    slow.write_all(head.as_bytes()).unwrap();
    trickle(&mut slow);
    assert_eq!(raw::read(&mut slow, false).unwrap().status, 408);
    // What is refused anyway does not hold a connection by coming slowly.
    let mut refused = server.connect();
    refused
        .write_all(head.replace("leases/x", "nonsense").as_bytes())
        .unwrap();
    trickle(&mut refused);
    assert_eq!(raw::read(&mut refused, false).unwrap().status, 400);
    let found = request(&server.address(), "GET /r/leases/x", &[], b"");
    assert_eq!(found.status, 404, "nothing of it is visible");
}

#[test]
fn answers_that_nobody_takes_are_given_up() {
    let server = Impatient::start();
    // More than the system holds between the two.
    let object = noise(1, 60_000_000);
    let id = PackId::of(&object).to_string();
    let key = format!("/r/packs/{}/{id}", &id[..2]);
    let put = request(&server.address(), &format!("PUT {key}"), &[], &object);
    assert_eq!(put.status, 201);
    let mut stream = server.connect();
    stream
        .write_all(format!("GET {key} HTTP/1.1\r\nhost: localhost\r\n\r\n").as_bytes())
        .unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let mut got = Vec::new();
    let _ = stream.read_to_end(&mut got);
    assert!(
        got.starts_with(b"HTTP/1.1 200") && got.len() < object.len(),
        "{}",
        got.len()
    );
    assert_eq!(request(&server.address(), "GET /health", &[], b"").status, 200);
}
