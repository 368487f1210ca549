//! Durations and amounts of memory as people write them.

use std::time::Duration;

/// `90`, `1.5`, `"90s"`, `"10m"`, `"1h30m"`, `"2d"`, `"500ms"`: not zero.
pub(super) fn duration(text: &str) -> Option<Duration> {
    const UNITS: [(&str, f64); 5] = [("ms", 0.001), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86400.0)];
    let mut rest = text.trim();
    let mut seconds = 0.0;
    if let Some(number) = plain(rest) {
        seconds = number;
        rest = "";
    }
    while !rest.is_empty() {
        let (number, unit, behind) = piece(rest)?;
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number * factor;
        rest = behind;
    }
    seconds_of(seconds)
}

/// A positive number of seconds, not more than can be waited for.
pub(super) fn seconds_of(seconds: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
}

/// `"512MB"`, `"1.5GiB"`, `"2G"` (as `GiB`), `"1000"`: bytes.
pub(super) fn bytes(text: &str) -> Option<f64> {
    if let Some(number) = plain(text.trim()) {
        return Some(number);
    }
    let (number, unit, behind) = piece(text.trim())?;
    let unit = unit.to_ascii_lowercase();
    let factor = match unit.as_str() {
        "b" => 1.0,
        "kb" => 1e3,
        "mb" => 1e6,
        "gb" => 1e9,
        "tb" => 1e12,
        "k" | "kib" => 1024.0,
        "m" | "mib" => 1024.0 * 1024.0,
        "g" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    behind.is_empty().then_some(number * factor)
}

fn plain(text: &str) -> Option<f64> {
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit() || c == '.');
    if digits { text.parse().ok() } else { None }
}

/// A number, its unit, and what follows.
fn piece(text: &str) -> Option<(f64, &str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let number = plain(&text[..end])?;
    let rest = text[end..].trim_start();
    let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
    let (unit, behind) = rest.split_at(end);
    Some((number, unit, behind.trim_start()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        let secs = |text| duration(text).map(|duration| duration.as_secs_f64());
        assert_eq!(secs("90"), Some(90.0));
        assert_eq!(secs("90s"), Some(90.0));
        assert_eq!(secs("1h30m"), Some(5400.0));
        assert_eq!(secs("1 h 30 m"), Some(5400.0));
        assert_eq!(secs("1.5h"), Some(5400.0));
        assert_eq!(secs("500ms"), Some(0.5));
        assert_eq!(secs("2d"), Some(172_800.0));
        for bad in [
            "",
            "0",
            "0s",
            "m",
            "10 minutes",
            "-1s",
            "1h30",
            "1..5s",
            "1e3s",
            "nan",
            "9999999999999999999999d",
        ] {
            assert_eq!(secs(bad), None, "{bad}");
        }
    }

    #[test]
    fn memory() {
        assert_eq!(bytes("1000"), Some(1000.0));
        assert_eq!(bytes("2 GB"), Some(2e9));
        assert_eq!(bytes("2G"), Some(2_147_483_648.0));
        assert_eq!(bytes("1.5KiB"), Some(1536.0));
        for bad in ["", "G", "2X", "2GBx", "2G B", "-2G"] {
            assert_eq!(bytes(bad), None, "{bad}");
        }
    }
}
