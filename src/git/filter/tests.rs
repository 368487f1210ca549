use std::io::{self, Read};

use proptest::prelude::*;

use super::packet::{Content, MAX_DATA, PacketReader, PacketWriter};
use super::{Filter, FilterError, FilterRequest, Smudged, serve};

/// Turns content around; `later` is delayed, `bad` fails, `half` fails in the middle.
#[derive(Default)]
struct Turn {
    delayed: Vec<Vec<u8>>,
    seen: Vec<Vec<u8>>,
}

impl Filter for Turn {
    type Failed = ();

    fn clean(&mut self, request: &FilterRequest, content: &mut (dyn Read + Send)) -> Result<Vec<u8>, ()> {
        self.seen.push(request.path.clone());
        if request.path == b"bad" {
            return Err(());
        }
        let mut bytes = Vec::new();
        content.read_to_end(&mut bytes).map_err(drop)?;
        bytes.reverse();
        Ok(bytes)
    }

    fn smudge(
        &mut self,
        request: &FilterRequest,
        stored: &mut (dyn Read + Send),
        out: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> Result<Smudged, ()> {
        if request.path == b"later" && request.can_delay {
            self.delayed.push(request.path.clone());
            return Ok(Smudged::Later);
        }
        let bytes = self.clean(request, stored)?;
        out(&bytes).map_err(drop)?;
        if request.path == b"half" {
            Err(())
        } else {
            Ok(Smudged::Done)
        }
    }

    fn available(&mut self) -> Vec<Vec<u8>> {
        std::mem::take(&mut self.delayed)
    }
}

/// A session as text: lines become packets (`\n` added), `0000` stays, `'…'` is content.
fn packets(session: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in session.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let text = match line.strip_prefix('\'').and_then(|line| line.strip_suffix('\'')) {
            Some(content) => content.to_owned(),
            None if line == "0000" => {
                bytes.extend_from_slice(b"0000");
                continue;
            }
            None => format!("{line}\n"),
        };
        bytes.extend_from_slice(format!("{:04x}{text}", text.len() + 4).as_bytes());
    }
    bytes
}

const HELLO: &str =
    "git-filter-client\nversion=2\n0000\ncapability=clean\ncapability=smudge\ncapability=delay\n0000\n";
const WELCOME: &str =
    "git-filter-server\nversion=2\n0000\ncapability=clean\ncapability=smudge\ncapability=delay\n0000\n";

fn talk(input: &[u8]) -> (Result<(), FilterError>, Vec<u8>, Turn) {
    let (mut output, mut filter) = (Vec::new(), Turn::default());
    let result = serve(input, &mut output, &mut filter);
    (result, output, filter)
}

fn session(requests: &str, answers: &str) {
    let (result, output, _) = talk(&packets(&format!("{HELLO}{requests}")));
    result.unwrap();
    let expected = packets(&format!("{WELCOME}{answers}"));
    assert_eq!(String::from_utf8_lossy(&output), String::from_utf8_lossy(&expected));
}

#[test]
fn the_bytes_of_a_session_are_git_s() {
    // As in gitattributes(5), by hand once: the lengths are not only this file's idea of them.
    assert!(packets(HELLO).starts_with(b"0016git-filter-client\n000eversion=2\n00000015capability=clean\n"));
    session(
        "command=clean\npathname=a b\n0000\n'abc'\n'def'\n0000\n",
        "status=success\n0000\n'fedcba'\n0000\n0000\n",
    );
    session(
        "command=clean\npathname=a\n0000\n0000\n",
        "status=success\n0000\n0000\n0000\n",
    );
    session(
        "command=clean\npathname=bad\n0000\n'abc'\n0000\n",
        "status=error\n0000\n",
    );
    session(
        "command=smudge\npathname=half\nref=refs/heads/main\ntreeish=1\nblob=2\n0000\n'abc'\n0000\n",
        "status=success\n0000\n'cba'\n0000\nstatus=error\n0000\n",
    );
    session(
        "command=smudge\npathname=later\ncan-delay=1\n0000\n'abc'\n0000\n\
         command=smudge\npathname=now\ncan-delay=1\n0000\n'abc'\n0000\n\
         command=list_available_blobs\n0000\n\
         command=smudge\npathname=later\n0000\n0000\n\
         command=list_available_blobs\n0000\n",
        "status=delayed\n0000\n\
         status=success\n0000\n'cba'\n0000\n0000\n\
         pathname=later\n0000\nstatus=success\n0000\n\
         status=success\n0000\n0000\n0000\n\
         0000\nstatus=success\n0000\n",
    );
}

#[test]
fn only_what_git_offers_is_agreed_on() {
    let (result, output, _) = talk(&packets(
        "git-filter-client\nversion=2\n0000\ncapability=clean\ncapability=x\n0000",
    ));
    result.unwrap();
    assert_eq!(
        output,
        packets("git-filter-server\nversion=2\n0000\ncapability=clean\n0000")
    );
}

#[test]
fn paths_are_bytes() {
    let mut input = packets(HELLO);
    for path in [&b"line\nfeed"[..], b" blanks ", b"\xff\xfe", b"end\n", b"a=b"] {
        input.extend_from_slice(&packets("command=clean"));
        let line = [b"pathname=", path, b"\n"].concat();
        input.extend_from_slice(format!("{:04x}", line.len() + 4).as_bytes());
        input.extend_from_slice(&line);
        input.extend_from_slice(b"00000000");
    }
    let (result, _, filter) = talk(&input);
    result.unwrap();
    assert_eq!(
        filter.seen,
        [&b"line\nfeed"[..], b" blanks ", b"\xff\xfe", b"end\n", b"a=b"]
    );
}

#[test]
fn what_is_not_git_is_told_so() {
    for input in [
        &b""[..],
        b"hello\n",
        b"0000",
        &packets("git-filter-client\nversion=3\n0000"),
    ] {
        let (result, output, _) = talk(input);
        assert!(matches!(result, Err(FilterError::NotGit)), "{result:?}");
        assert!(output.is_empty());
    }
}

#[test]
fn a_request_that_is_none_ends_the_conversation() {
    for (bad, shown) in [
        ("command=explode\n0000\n0000", "explode"),
        ("pathname=x\n0000\n0000", "``"),
        ("0000", "``"),
    ] {
        let (result, _, _) = talk(&packets(&format!("{HELLO}{bad}")));
        let error = result.unwrap_err();
        assert!(matches!(error, FilterError::BadRequest(_)), "{error:?}");
        assert!(error.to_string().contains(shown), "{error}");
    }
    let many = "x=y\n".repeat(100);
    let (result, _, _) = talk(&packets(&format!("{HELLO}command=clean\n{many}0000")));
    assert!(matches!(result, Err(FilterError::BadRequest(_))));
    let whole = packets(&format!("{HELLO}command=clean\npathname=x\n0000\n'abc'\n0000"));
    let greeting = packets(HELLO).len();
    for len in greeting + 1..whole.len() {
        let (result, _, _) = talk(&whole[..len]);
        assert!(result.is_err(), "{len}");
    }
    let mut bad = whole.clone();
    bad[greeting..greeting + 4].copy_from_slice(b"0003");
    assert!(matches!(talk(&bad).0, Err(FilterError::BadPacket(_))));
    bad[greeting..greeting + 4].copy_from_slice(b"fff1");
    assert!(matches!(talk(&bad).0, Err(FilterError::BadPacket(_))));
}

#[test]
fn a_reader_that_is_gone_ends_the_conversation() {
    struct Full(usize);
    impl io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0 < bytes.len() {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.0 -= bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut input = packets(&format!("{HELLO}command=smudge\npathname=x\n0000"));
    for _ in 0..20 {
        input.extend_from_slice(format!("{:04x}", MAX_DATA + 4).as_bytes());
        input.extend_from_slice(&[7; MAX_DATA]);
    }
    input.extend_from_slice(b"0000");
    let result = serve(&input[..], Full(300), &mut Turn::default());
    assert!(matches!(result, Err(FilterError::Write(_))), "{result:?}");
}

proptest! {
    #[test]
    fn content_comes_back_whatever_its_packets(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 0..20)) {
        let mut bytes = Vec::new();
        let mut writer = PacketWriter::new(&mut bytes);
        for part in &parts {
            writer.data(part).unwrap();
        }
        writer.flush().unwrap();
        writer.line(&[b"behind"]).unwrap();
        writer.send().unwrap();
        let mut reader = PacketReader::new(&bytes[..]);
        let mut read = Vec::new();
        Content::new(&mut reader).read_to_end(&mut read).unwrap();
        prop_assert_eq!(read, parts.concat());
        prop_assert_eq!(reader.line().unwrap(), Some(&b"behind"[..]));
    }

    #[test]
    fn arbitrary_bytes_are_an_error_or_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..400), greeted in any::<bool>()) {
        let mut input = if greeted { packets(HELLO) } else { Vec::new() };
        input.extend_from_slice(&bytes);
        let _ = talk(&input);
    }

    #[test]
    fn a_flipped_bit_never_panics(at in 0usize..400, bit in 0u8..8) {
        let mut input = packets(&format!("{HELLO}command=clean\npathname=x\n0000\n'abc'\n0000\ncommand=list_available_blobs\n0000\n"));
        let len = input.len();
        input[at % len] ^= 1 << bit;
        let _ = talk(&input);
    }
}
