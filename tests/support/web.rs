//! A web server in this process that answers as a test says, one request per connection.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};

/// A request.
#[derive(Debug, Clone)]
pub struct Request {
    pub method: String,
    pub path: String,
    /// Its content, if its length was said; not in the log.
    pub body: Vec<u8>,
    head: String,
}

impl Request {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// A running server.
pub struct Web {
    /// `http://127.0.0.1:port`.
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
}

impl Web {
    /// Starts a server; `answer` gives the bytes to send for a request, head and all.
    pub fn start(answer: impl Fn(&Request, &mut TcpStream) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&seen), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream, &log, &*answer));
            }
        });
        Self { url, seen }
    }

    /// The requests so far, as `METHOD path`.
    pub fn requests(&self) -> Vec<String> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|r| format!("{} {}", r.method, r.path)).collect()
    }
}

fn serve(
    mut stream: TcpStream,
    log: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request, &mut TcpStream) -> Vec<u8>,
) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut head = String::new();
    while reader.read_line(&mut head).ok()? > 2 {}
    let mut words = head.split(' ');
    let mut request = Request {
        method: words.next()?.to_owned(),
        path: words.next()?.to_owned(),
        body: Vec::new(),
        head: head.clone(),
    };
    log.lock().unwrap().push(request.clone());
    let length = request
        .header("content-length")
        .map_or(0, |length| length.parse().unwrap());
    reader.take(length).read_to_end(&mut request.body).ok()?;
    let bytes = answer(&request, &mut stream);
    stream.write_all(&bytes).ok()
}

/// An answer with content.
pub fn page(line: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("HTTP/1.1 {line}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// An answer without content.
pub fn status(line: &str, headers: &str) -> Vec<u8> {
    format!("HTTP/1.1 {line}\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n").into_bytes()
}

/// A file, as a well-behaved server gives it: HEAD, conditions and ranges.
pub fn file(request: &Request, body: &[u8], etag: &str) -> Vec<u8> {
    if request.header("if-none-match") == Some(etag) {
        return status("304 Not Modified", &format!("etag: {etag}\r\n"));
    }
    let range = request
        .header("range")
        .filter(|_| request.header("if-range") == Some(etag));
    let start: Option<usize> = range.and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let (line, extra, body) = match start {
        Some(start) => (
            "206 Partial Content",
            format!("content-range: bytes {start}-{}/{}\r\n", body.len() - 1, body.len()),
            &body[start..],
        ),
        None => ("200 OK", String::new(), body),
    };
    let mut answer = format!(
        "HTTP/1.1 {line}\r\n{extra}etag: {etag}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
        body.len()
    )
    .into_bytes();
    if request.method != "HEAD" {
        answer.extend_from_slice(body);
    }
    answer
}

/// When everything was written.
const WRITTEN: &str = "last-modified: Thu, 01 Jan 2026 00:00:00 GMT\r\n";

/// A file of a directory, as a server of plain files gives it to GET and HEAD; `ranges` is whether it knows parts.
pub fn stored(request: &Request, file: &Path, ranges: bool) -> Vec<u8> {
    if !["GET", "HEAD"].contains(&request.method.as_str()) {
        return status("405 Method Not Allowed", "");
    }
    let Ok(body) = std::fs::read(file) else {
        return status("404 Not Found", "");
    };
    let range = request.header("range").filter(|_| ranges).map(|range| {
        let (first, last) = range.strip_prefix("bytes=").unwrap().split_once('-').unwrap();
        (first.parse::<usize>().unwrap(), last.parse::<usize>().unwrap())
    });
    let (line, extra, body) = match range {
        Some((first, _)) if first >= body.len() => return status("416 Range Not Satisfiable", ""),
        Some((first, last)) => {
            let last = last.min(body.len() - 1);
            let extra = format!("content-range: bytes {first}-{last}/{}\r\n", body.len());
            ("206 Partial Content", extra, body[first..=last].to_vec())
        }
        None => ("200 OK", String::new(), body),
    };
    let length = body.len();
    let mut answer =
        format!("HTTP/1.1 {line}\r\n{extra}{WRITTEN}content-length: {length}\r\nconnection: close\r\n\r\n")
            .into_bytes();
    if request.method == "GET" {
        answer.extend_from_slice(&body);
    }
    answer
}
