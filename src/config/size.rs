//! Numbers of bytes as people write them.

/// The lowest rate that is accepted, in bytes per second: below it, single packets take seconds.
const SLOWEST: u64 = 1024;

/// Reads a number of bytes: `1048576`, `4GiB`, `500M`. Units are powers of 1024, with `B` at the end or without, but for
/// `kB`, `MB`, ..., which are powers of 1000.
///
/// # Errors
/// A sentence, when it is something else.
pub fn parse_size(text: &str) -> std::result::Result<u64, String> {
    let wrong = || format!("`{text}` is not a size; write a number and a unit, such as 500M or 4GiB");
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| wrong())?;
    let unit = unit.trim_start().to_ascii_lowercase();
    let (power, base): (u32, u64) = match unit.as_str() {
        "" | "b" => (0, 1),
        "k" | "ki" | "kib" => (1, 1024),
        "m" | "mi" | "mib" => (2, 1024),
        "g" | "gi" | "gib" => (3, 1024),
        "t" | "ti" | "tib" => (4, 1024),
        "p" | "pi" | "pib" => (5, 1024),
        "kb" => (1, 1000),
        "mb" => (2, 1000),
        "gb" => (3, 1000),
        "tb" => (4, 1000),
        "pb" => (5, 1000),
        _ => return Err(wrong()),
    };
    number.checked_mul(base.pow(power)).ok_or_else(wrong)
}

/// Reads bytes per second, as [`parse_size`], with or without `/s` behind; 0 is no limit.
///
/// # Errors
/// A sentence, when it is something else, or lower than 1 KiB.
pub fn parse_rate(text: &str) -> std::result::Result<u64, String> {
    let size = text.strip_suffix("/s").unwrap_or(text);
    match parse_size(size) {
        Ok(rate) if rate == 0 || rate >= SLOWEST => Ok(rate),
        Ok(_) => Err(format!(
            "`{text}` is too slow; the lowest rate is 1KiB, and 0 is no limit"
        )),
        Err(_) => Err(format!(
            "`{text}` is not a rate; write bytes per second, such as 800K or 5MiB, or 0 for no limit"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("12", 12),
            ("12B", 12),
            ("1k", 1024),
            ("3kb", 3000),
            ("4GiB", 4 << 30),
            ("4 GiB", 4 << 30),
            ("500M", 500 << 20),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "G", "-1", "1.5G", "1X", "1TiBx", "99999999999P", "1 0"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn rates() {
        for (text, rate) in [
            ("0", 0),
            ("1K", 1024),
            ("5MiB/s", 5 << 20),
            ("800K", 800 << 10),
            ("1MB", 1_000_000),
        ] {
            assert_eq!(parse_rate(text), Ok(rate), "{text}");
        }
        for bad in ["", "1", "1023", "fast", "5M/m", "/s", "-5M"] {
            assert!(parse_rate(bad).is_err(), "{bad}");
        }
    }
}
