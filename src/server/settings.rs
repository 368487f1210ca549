//! A server's settings file.

use std::path::{Path, PathBuf};

use super::error::{Result, ServerError};
use crate::config::parse_size;
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

#[cfg(test)]
mod tests {
    use super::*;

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
