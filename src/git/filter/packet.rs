//! Packets of git's wire format: four hexadecimal digits, the length with themselves, then the bytes; `0000` is a
//! flush packet.

use std::io::{self, Read, Write};

use super::FilterError;

/// The most bytes that one packet may carry.
pub(super) const MAX_DATA: usize = 65_516;

/// What was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Packet<'a> {
    Data(&'a [u8]),
    Flush,
    /// The other side has hung up between two packets.
    End,
}

/// Reads packets.
pub(super) struct PacketReader<R> {
    input: R,
    data: Vec<u8>,
}

impl<R: Read> PacketReader<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            data: Vec::with_capacity(MAX_DATA),
        }
    }

    pub(super) fn next(&mut self) -> Result<Packet<'_>, FilterError> {
        let mut digits = [0; 4];
        if !read_all_or_nothing(&mut self.input, &mut digits)? {
            return Ok(Packet::End);
        }
        let len = digits.iter().try_fold(0, |len, &digit| {
            let value = char::from(digit).to_digit(16)?;
            Some(len * 16 + value as usize)
        });
        match len {
            Some(0) => Ok(Packet::Flush),
            Some(len) if (4..=MAX_DATA + 4).contains(&len) => {
                self.data.resize(len - 4, 0);
                self.input.read_exact(&mut self.data).map_err(FilterError::Read)?;
                Ok(Packet::Data(&self.data))
            }
            _ => Err(FilterError::BadPacket(digits)),
        }
    }

    /// One line of text, without its end; `None` at a flush packet.
    pub(super) fn line(&mut self) -> Result<Option<&[u8]>, FilterError> {
        match self.next()? {
            Packet::Data(data) => Ok(Some(data.strip_suffix(b"\n").unwrap_or(data))),
            Packet::Flush => Ok(None),
            Packet::End => Err(FilterError::HungUp),
        }
    }
}

/// `false` when the input ends before the first byte.
fn read_all_or_nothing(input: &mut impl Read, mut buffer: &mut [u8]) -> Result<bool, FilterError> {
    let whole = buffer.len();
    while !buffer.is_empty() {
        match input.read(buffer) {
            Ok(0) if buffer.len() == whole => return Ok(false),
            Ok(0) => return Err(FilterError::HungUp),
            Ok(n) => buffer = &mut buffer[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(FilterError::Read(error)),
        }
    }
    Ok(true)
}

/// Everything up to the next flush packet, as one stream.
pub(super) struct Content<'a, R> {
    packets: &'a mut PacketReader<R>,
    /// How much of the packet at hand was given out.
    at: usize,
    ended: bool,
}

impl<'a, R: Read> Content<'a, R> {
    pub(super) fn new(packets: &'a mut PacketReader<R>) -> Self {
        packets.data.clear();
        Self {
            packets,
            at: 0,
            ended: false,
        }
    }

    /// Reads what the filter did not care for.
    pub(super) fn skip_rest(&mut self) -> Result<(), FilterError> {
        while !self.ended {
            self.refill()?;
        }
        Ok(())
    }

    fn refill(&mut self) -> Result<(), FilterError> {
        self.at = 0;
        match self.packets.next()? {
            Packet::Data(_) => Ok(()),
            Packet::Flush => {
                self.packets.data.clear();
                self.ended = true;
                Ok(())
            }
            Packet::End => Err(FilterError::HungUp),
        }
    }
}

impl<R: Read> Read for Content<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.packets.data.len() && !self.ended {
            self.refill().map_err(FilterError::into_io)?;
        }
        let rest = &self.packets.data[self.at..];
        let n = rest.len().min(buffer.len());
        buffer[..n].copy_from_slice(&rest[..n]);
        self.at += n;
        Ok(n)
    }
}

/// Writes packets; what is written reaches the other side with [`PacketWriter::send`].
pub(super) struct PacketWriter<W> {
    output: W,
    held: Vec<u8>,
}

impl<W: Write> PacketWriter<W> {
    pub(super) fn new(output: W) -> Self {
        Self {
            output,
            held: Vec::with_capacity(MAX_DATA + 64),
        }
    }

    /// One line of text.
    pub(super) fn line(&mut self, parts: &[&[u8]]) -> Result<(), FilterError> {
        let len: usize = parts.iter().map(|part| part.len()).sum();
        if len + 1 > MAX_DATA {
            return Err(FilterError::LongLine(len));
        }
        self.head(len + 1)?;
        for part in parts {
            self.held.extend_from_slice(part);
        }
        self.held.push(b'\n');
        Ok(())
    }

    /// Bytes of any length, in as many packets as they need.
    pub(super) fn data(&mut self, bytes: &[u8]) -> Result<(), FilterError> {
        for part in bytes.chunks(MAX_DATA) {
            self.head(part.len())?;
            self.held.extend_from_slice(part);
        }
        Ok(())
    }

    pub(super) fn flush(&mut self) -> Result<(), FilterError> {
        self.held.extend_from_slice(b"0000");
        Ok(())
    }

    fn head(&mut self, len: usize) -> Result<(), FilterError> {
        if self.held.len() + len > MAX_DATA {
            self.hand_over()?;
        }
        self.held.extend_from_slice(format!("{:04x}", len + 4).as_bytes());
        Ok(())
    }

    fn hand_over(&mut self) -> Result<(), FilterError> {
        self.output.write_all(&self.held).map_err(FilterError::Write)?;
        self.held.clear();
        Ok(())
    }

    pub(super) fn send(&mut self) -> Result<(), FilterError> {
        self.hand_over()?;
        self.output.flush().map_err(FilterError::Write)
    }
}
