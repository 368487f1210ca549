//! Percent-encoding, as in the paths of URLs.

/// The bytes that percent-encoded text stands for; `None` when a `%` is not followed by two hexadecimal digits.
#[must_use]
pub fn percent_decode(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.as_bytes();
    while let [first, rest @ ..] = left {
        left = rest;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = rest.get(..2).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let digits = std::str::from_utf8(digits?).ok()?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        left = &rest[2..];
    }
    Some(bytes)
}

/// Text as it stands in the path of a URL: everything but `/` and what no reader gives a meaning to is encoded.
#[must_use]
pub fn percent_encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'/' | b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for text in ["packs/ab/0123", "with space/é☃", "100%25", "a?b#c&d=e;f+g", "~x_y-z."] {
            assert_eq!(percent_decode(&percent_encode(text)).unwrap(), text.as_bytes());
        }
        assert_eq!(percent_encode("a b/%é"), "a%20b/%25%C3%A9");
        for bad in ["%", "%1", "%zz", "%+1", "%é"] {
            assert_eq!(percent_decode(bad), None);
        }
    }
}
