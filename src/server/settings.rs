//! A server's settings file.

use std::path::{Path, PathBuf};

use super::error::{Result, ServerError};
use crate::fs;

/// The longest file that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;

/// What a settings file says; each name is that of an option of `modver serve`, with `_` for `-`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileSettings {
    /// `HOST:PORT`.
    pub listen: Option<String>,
    /// The server's directory; relative to the file.
    pub root: Option<PathBuf>,
    /// A remote's name or URL.
    pub storage: Option<String>,
    /// Relative to the file.
    pub tls_cert: Option<PathBuf>,
    /// Relative to the file.
    pub tls_key: Option<PathBuf>,
    /// A size such as `4GiB`.
    pub max_object: Option<String>,
    /// A size such as `500GiB`.
    pub quota: Option<String>,
    /// Whether everybody may read.
    pub public_read: Option<bool>,
    /// A file, relative to this one, or `-`.
    pub access_log: Option<PathBuf>,
}

impl FileSettings {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or says what no setting is.
    pub fn load(path: &Path) -> Result<Self> {
        let bytes = fs::read(path, MAX_FILE)?;
        let fail = |source: Box<dyn std::error::Error + Send + Sync>| ServerError::Settings {
            path: path.to_owned(),
            source,
        };
        let text = std::str::from_utf8(&bytes).map_err(|error| fail(error.into()))?;
        let mut settings: Self = toml::from_str(text).map_err(|error| fail(error.into()))?;
        for size in [&settings.max_object, &settings.quota].into_iter().flatten() {
            parse_size(size).map_err(|error| fail(error.into()))?;
        }
        let base = path.parent().unwrap_or(Path::new(""));
        let paths = [
            &mut settings.root,
            &mut settings.tls_cert,
            &mut settings.tls_key,
            &mut settings.access_log,
        ];
        for path in paths.into_iter().flatten().filter(|path| path.as_os_str() != "-") {
            *path = base.join(&*path);
        }
        Ok(settings)
    }
}

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
            ("4GiB", 4 << 30),
            ("4 GiB", 4 << 30),
            ("500M", 500 << 20),
            ("2TB", 2_000_000_000_000),
        ] {
            assert_eq!(parse_size(text), Ok(bytes), "{text}");
        }
        for bad in ["", "G", "-1", "1.5G", "1X", "99999999999P", "1 0"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("serve.toml");
        std::fs::write(&path, "root = \"data\"\nquota = \"1G\"\naccess_log = \"-\"\n").unwrap();
        let settings = FileSettings::load(&path).unwrap();
        assert_eq!(settings.root, Some(dir.path().join("data")));
        assert_eq!(settings.access_log, Some("-".into()));
        for bad in ["rot = \"x\"\n", "quota = \"x\"\n", "quota = 1\n", "["] {
            std::fs::write(&path, bad).unwrap();
            assert!(
                matches!(FileSettings::load(&path), Err(ServerError::Settings { .. })),
                "{bad}"
            );
        }
    }
}
