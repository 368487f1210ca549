//! A server that answers with what it was told, for failures a real service does not show on demand.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses a part of this")]

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

/// Answers one request per connection with the next of its answers, the last one for ever.
pub struct Scripted {
    /// `http://127.0.0.1:port`.
    pub endpoint: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Scripted {
    /// Starts a server. An empty answer closes the connection without one.
    pub fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let heads = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&heads);
        let answers: Vec<String> = answers.iter().map(|&answer| answer.to_owned()).collect();
        std::thread::spawn(move || {
            for (i, stream) in listener.incoming().enumerate() {
                let Ok(stream) = stream else { return };
                let _ = answer(stream, &answers[i.min(answers.len() - 1)], &seen);
            }
        });
        Self { endpoint, heads }
    }

    /// The heads of the requests that arrived.
    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

fn answer(mut stream: TcpStream, answer: &str, seen: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut head = String::new();
    while reader.read_line(&mut head)? > 2 {}
    let length = head
        .lines()
        .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok())
        .unwrap_or(0);
    std::io::copy(&mut reader.take(length), &mut std::io::sink())?;
    seen.lock().unwrap().push(head);
    stream.write_all(answer.as_bytes())
}
