//! The filter's side of git's long-running filter protocol (gitattributes(5), "Long Running Filter Process",
//! version 2, with the capability `delay`): packets in, calls to a [`Filter`], packets out. Knows no files.
//!
//! Git sends one request at a time and waits for its answer; it reads an answer only when it has sent all of the
//! request, so a request is read to its end before the answer begins.
//!
//! Whatever comes in is an error or an answer, never a panic, and takes memory for one packet and a list of keys that
//! is bounded. Paths are bytes: git neither quotes nor re-encodes them here.

mod packet;
#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};

use packet::{Content, Packet, PacketReader, PacketWriter};

/// Lines in front of a content; git sends seven.
const MAX_LINES: usize = 64;

/// What stops the conversation with git.
#[derive(Debug, thiserror::Error)]
pub enum FilterError {
    /// The input cannot be read.
    #[error("cannot read what git sends")]
    Read(#[source] io::Error),
    /// The output cannot be written.
    #[error("cannot answer git")]
    Write(#[source] io::Error),
    /// The input ends within a request.
    #[error("git has hung up in the middle of a request")]
    HungUp,
    /// A packet has no length.
    #[error("git has sent a packet that is none: it begins with `{}`", .0.escape_ascii())]
    BadPacket([u8; 4]),
    /// A line does not fit into a packet.
    #[error("a line of {0} bytes is too long for git")]
    LongLine(usize),
    /// It is not git that speaks.
    #[error("this speaks git's filter protocol, version 2: git starts it (`filter.modver.process`)")]
    NotGit,
    /// A request has no command, or one that was not agreed on.
    #[error("git has sent a request that is not understood: `{0}`")]
    BadRequest(String),
}

impl FilterError {
    fn into_io(self) -> io::Error {
        match self {
            Self::Read(error) | Self::Write(error) => error,
            error => io::Error::new(io::ErrorKind::InvalidData, error),
        }
    }
}

/// A file that git wants filtered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterRequest {
    /// Where it is in the work tree.
    pub path: Vec<u8>,
    /// Whether the answer may be [`Smudged::Later`].
    pub can_delay: bool,
}

/// How a filter answers to the request for content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Smudged {
    /// All of it was written.
    Done,
    /// Git has to ask again, after [`Filter::available`].
    Later,
}

/// What the conversation is about.
pub trait Filter {
    /// Why a file could not be filtered; git then fails, too, for this filter is required. The filter keeps what
    /// there is to say about it.
    type Failed;

    /// What git shall store for this content of the work tree. All of `content` need not be read.
    ///
    /// # Errors
    /// When git shall not store anything.
    fn clean(&mut self, request: &FilterRequest, content: &mut (dyn Read + Send)) -> Result<Vec<u8>, Self::Failed>;

    /// The content for the work tree, piece by piece into `out`, for what git has stored; nothing before all of `stored`
    /// was read. When git asks again for what was delayed, `stored` is empty. An error of `out` is to be returned.
    ///
    /// # Errors
    /// When there is none; what was written is void then.
    fn smudge(
        &mut self,
        request: &FilterRequest,
        stored: &mut (dyn Read + Send),
        out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Smudged, Self::Failed>;

    /// The paths that were delayed and can be asked for now, waiting for them if need be; none when there are no more.
    fn available(&mut self) -> Vec<Vec<u8>>;
}

/// Speaks with git until it hangs up.
///
/// # Errors
/// When it is not git, it breaks the protocol, or it is gone in the middle of a request.
pub fn serve<F: Filter>(
    input: impl Read + Send,
    output: impl Write,
    filter: &mut F,
) -> std::result::Result<(), FilterError> {
    let mut packets = PacketReader::new(input);
    let mut answers = PacketWriter::new(output);
    greet(&mut packets, &mut answers)?;
    while let Some(Request { command, file }) = read_request(&mut packets)? {
        match &command[..] {
            b"clean" => clean(&mut packets, &mut answers, filter, &file)?,
            b"smudge" => smudge(&mut packets, &mut answers, filter, &file)?,
            b"list_available_blobs" => {
                for path in filter.available() {
                    answers.line(&[b"pathname=", &path])?;
                }
                answers.flush()?;
                status(&mut answers, b"success")?;
            }
            other => return Err(FilterError::BadRequest(other.escape_ascii().to_string())),
        }
        answers.send()?;
    }
    Ok(())
}

fn clean<F: Filter>(
    packets: &mut PacketReader<impl Read + Send>,
    answers: &mut PacketWriter<impl Write>,
    filter: &mut F,
    file: &FilterRequest,
) -> Result<(), FilterError> {
    let mut content = Content::new(packets);
    let cleaned = filter.clean(file, &mut content);
    content.skip_rest()?;
    match cleaned {
        Ok(bytes) => {
            status(answers, b"success")?;
            answers.data(&bytes)?;
            answers.flush()?;
            // No second status: the first one holds.
            answers.flush()
        }
        Err(_) => status(answers, b"error"),
    }
}

fn smudge<F: Filter>(
    packets: &mut PacketReader<impl Read + Send>,
    answers: &mut PacketWriter<impl Write>,
    filter: &mut F,
    file: &FilterRequest,
) -> Result<(), FilterError> {
    let mut stored = Content::new(packets);
    let mut begun = false;
    let mut broken = None;
    let mut out = |bytes: &[u8]| {
        let mut write = || {
            if !begun {
                begun = true;
                status(answers, b"success")?;
            }
            answers.data(bytes)
        };
        // What git does not take ends the conversation, not only this file.
        write().map_err(|error| {
            let kind = match &error {
                FilterError::Write(error) => error.kind(),
                _ => io::ErrorKind::Other,
            };
            broken = Some(error);
            io::Error::from(kind)
        })
    };
    let smudged = filter.smudge(file, &mut stored, &mut out);
    if let Some(error) = broken {
        return Err(error);
    }
    stored.skip_rest()?;
    match smudged {
        Ok(Smudged::Done) => {
            if !begun {
                status(answers, b"success")?;
            }
            answers.flush()?;
            answers.flush()
        }
        Ok(Smudged::Later) => status(answers, b"delayed"),
        Err(_) if begun => {
            answers.flush()?;
            status(answers, b"error")
        }
        Err(_) => status(answers, b"error"),
    }
}

fn status(answers: &mut PacketWriter<impl Write>, status: &[u8]) -> Result<(), FilterError> {
    answers.line(&[b"status=", status])?;
    answers.flush()
}

/// Who speaks, in which version, and what both are able to do.
fn greet(packets: &mut PacketReader<impl Read>, answers: &mut PacketWriter<impl Write>) -> Result<(), FilterError> {
    // Whatever is not a packet here is somebody at a terminal.
    let lines = |packets: &mut PacketReader<_>| match read_lines(packets) {
        Err(FilterError::BadPacket(_) | FilterError::HungUp) => Err(FilterError::NotGit),
        lines => lines,
    };
    let hello = lines(packets)?;
    let is_ours = hello.first().is_some_and(|line| line == b"git-filter-client")
        && hello[1..].iter().any(|line| line == b"version=2");
    if !is_ours {
        return Err(FilterError::NotGit);
    }
    answers.line(&[b"git-filter-server"])?;
    answers.line(&[b"version=2"])?;
    answers.flush()?;
    answers.send()?;
    let offered = lines(packets)?;
    for capability in [&b"capability=clean"[..], b"capability=smudge", b"capability=delay"] {
        if offered.iter().any(|line| line == capability) {
            answers.line(&[capability])?;
        }
    }
    answers.flush()?;
    answers.send()
}

struct Request {
    command: Vec<u8>,
    file: FilterRequest,
}

/// The lines of the next request, content not included; `None` when git has hung up.
fn read_request(packets: &mut PacketReader<impl Read>) -> Result<Option<Request>, FilterError> {
    let mut request = Request {
        command: Vec::new(),
        file: FilterRequest {
            path: Vec::new(),
            can_delay: false,
        },
    };
    let mut first = match packets.next()? {
        Packet::End => return Ok(None),
        Packet::Flush => return Err(FilterError::BadRequest(String::new())),
        Packet::Data(data) => Some(data.strip_suffix(b"\n").unwrap_or(data).to_vec()),
    };
    for _ in 0..MAX_LINES {
        let line = match first.take() {
            Some(line) => line,
            None => match packets.line()? {
                Some(line) => line.to_vec(),
                None => return Ok(Some(request)),
            },
        };
        if let Some(command) = line.strip_prefix(b"command=") {
            request.command = command.to_vec();
        } else if let Some(path) = line.strip_prefix(b"pathname=") {
            request.file.path = path.to_vec();
        } else if line == b"can-delay=1" {
            request.file.can_delay = true;
        }
        // Others (`ref`, `treeish`, `blob`) are for who wants to know.
    }
    Err(FilterError::BadRequest("too many lines".to_owned()))
}

fn read_lines(packets: &mut PacketReader<impl Read>) -> Result<Vec<Vec<u8>>, FilterError> {
    let mut lines = Vec::new();
    while let Some(line) = packets.line()? {
        lines.push(line.to_vec());
        if lines.len() > MAX_LINES {
            return Err(FilterError::BadRequest("too many lines".to_owned()));
        }
    }
    Ok(lines)
}
