//! Requests as bytes.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

/// An answer: status, head and content.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

impl Answer {
    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }
}

/// Sends bytes and reads until the server closes or all of an answer was read; `None` when there was no answer.
pub(super) fn send(address: &str, request: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // A server may have had enough before it has read everything.
    let _ = stream.write_all(request);
    read(&mut stream, request.starts_with(b"HEAD"))
}

/// Reads an answer.
pub(super) fn read(stream: &mut TcpStream, no_body: bool) -> Option<Answer> {
    let mut bytes = Vec::new();
    let mut piece = [0; 65_536];
    let mut end = None;
    loop {
        if end.is_none()
            && let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n")
        {
            let head = String::from_utf8_lossy(&bytes[..at]).into_owned();
            let answer = Answer {
                status: head.split(' ').nth(1)?.parse().ok()?,
                head,
                body: Vec::new(),
            };
            let length = answer.header("content-length").map_or(0, |n| n.parse().unwrap());
            end = Some((at + 4, if no_body { 0 } else { length }, answer));
        }
        if let Some((begin, length, _)) = &end
            && bytes.len() >= begin + length
        {
            let (begin, length, mut answer) = end?;
            answer.body = bytes[begin..begin + length].to_vec();
            return Some(answer);
        }
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return None,
            Ok(n) => bytes.extend_from_slice(&piece[..n]),
        }
    }
}

/// A request with content and these further lines of its head.
pub(super) fn request(address: &str, first: &str, lines: &[String], body: &[u8]) -> Answer {
    let mut head = format!("{first} HTTP/1.1\r\nhost: localhost\r\n");
    for line in lines {
        head.push_str(line);
        head.push_str("\r\n");
    }
    if !body.is_empty() || first.starts_with("PUT") || first.starts_with("PATCH") || first.starts_with("POST") {
        head.push_str(&format!("content-length: {}\r\n", body.len()));
    }
    head.push_str("\r\n");
    let bytes = [head.as_bytes(), body].concat();
    send(address, &bytes).unwrap_or_else(|| panic!("no answer to {first}"))
}
