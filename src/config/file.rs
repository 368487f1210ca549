//! Reading one settings file.

use std::ops::Range;
use std::path::Path;

use toml_edit::{Document, Item, TableLike};

use super::error::{ConfigError, Result};
use super::keys::{self, Key, Kind, OTHER_TABLES};
use super::name::RemoteName;
use super::nearest::nearest;
use super::origin::{Layer, Origin, Setting};
use super::value::Value;

/// The longest settings file that is read, in bytes.
pub const MAX_FILE: u64 = 16 << 20;

/// The settings in the bytes of a file.
///
/// # Errors
/// When the bytes are not UTF-8 or TOML, or hold an unknown key, a value that cannot be, or, in the project layer, a
/// secret.
pub(super) fn parse(layer: Layer, file: &Path, bytes: &[u8]) -> Result<Vec<Setting>> {
    let text = utf8(file, bytes)?;
    let document = document(file, text)?;
    let mut reader = Reader {
        layer,
        file,
        lines: Lines::new(text),
        settings: Vec::new(),
    };
    reader.root(document.as_table())?;
    Ok(reader.settings)
}

/// The bytes as text.
pub(super) fn utf8<'a>(file: &Path, bytes: &'a [u8]) -> Result<&'a str> {
    std::str::from_utf8(bytes).map_err(|error| ConfigError::NotUtf8 {
        file: file.to_owned(),
        line: 1 + bytes.iter().take(error.valid_up_to()).filter(|&&b| b == b'\n').count(),
    })
}

/// The text as TOML with the position of everything.
pub(super) fn document<'a>(file: &Path, text: &'a str) -> Result<Document<&'a str>> {
    Document::parse(text).map_err(|error| {
        if let Some(line) = text.lines().position(|line| line.starts_with("<<<<<<< ")) {
            return ConfigError::ConflictMarkers {
                file: file.to_owned(),
                line: line + 1,
            };
        }
        let offset = error.span().map_or(text.len(), |span| span.start);
        let (line, column) = Lines::new(text).position(text, offset);
        let mut message = error.message().to_owned();
        // A key is no secret.
        if message == "duplicate key"
            && let Some(key) = error.span().and_then(|span| text.get(span))
        {
            message = format!("there are two definitions of `{}`", crate::path::quote(key.as_bytes()));
        }
        ConfigError::Syntax {
            file: file.to_owned(),
            line,
            column,
            message,
        }
    })
}

struct Reader<'a> {
    layer: Layer,
    file: &'a Path,
    lines: Lines,
    settings: Vec<Setting>,
}

impl Reader<'_> {
    fn root(&mut self, root: &dyn TableLike) -> Result<()> {
        for (section, item) in root.iter() {
            if self.layer == Layer::Project && OTHER_TABLES.contains(&section) {
                continue;
            }
            let origin = self.origin(root, section);
            let Some(per_remote) = keys::section_is_per_remote(section) else {
                let sections = keys::KEYS.iter().map(|spec| spec.section);
                return Err(unknown(
                    origin,
                    section.to_owned(),
                    nearest(section, sections).map(str::to_owned),
                ));
            };
            let table = as_table(&origin, section, item)?;
            if !per_remote {
                self.section(section, None, table)?;
                continue;
            }
            for (name, item) in table.iter() {
                let origin = self.origin(table, name);
                let remote = RemoteName::new(name).map_err(|defect| ConfigError::SectionName {
                    origin: Box::new(origin.clone()),
                    defect,
                })?;
                let fields = as_table(&origin, &format!("{section}.{name}"), item)?;
                self.section(section, Some(&remote), fields)?;
            }
        }
        Ok(())
    }

    fn section(&mut self, section: &str, remote: Option<&RemoteName>, table: &dyn TableLike) -> Result<()> {
        for (name, item) in table.iter() {
            let origin = self.origin(table, name);
            let full = |name: &str| match remote {
                Some(remote) => format!("{section}.{remote}.{name}"),
                None => format!("{section}.{name}"),
            };
            let spec = keys::find(section, name);
            let key = spec.and_then(|spec| match remote {
                Some(remote) => Key::of_remote(spec, remote.clone()),
                None => Key::plain(spec),
            });
            let Some(key) = key else {
                if let Some(remote) = remote
                    && item.is_table()
                {
                    return Err(ConfigError::UnquotedName {
                        origin: Box::new(origin),
                        table: full(name),
                        name: format!("{remote}.{name}"),
                    });
                }
                let theirs = remote.and_then(|_| keys::name_in_dvc(name));
                let near = theirs.or_else(|| nearest(name, keys::names(section)));
                return Err(unknown(origin, full(name), near.map(full)));
            };
            if key.is_secret() && self.layer == Layer::Project {
                return Err(ConfigError::SecretInProject {
                    origin: Box::new(origin),
                    key: key.to_string(),
                });
            }
            let value = typed(key.spec().kind, &key, &origin, item)?.resolved(self.file.parent());
            self.settings.push(Setting { key, value, origin });
        }
        Ok(())
    }

    fn origin(&self, table: &dyn TableLike, name: &str) -> Origin {
        let span = key_span(table, name).or_else(|| table.get(name).and_then(Item::span));
        let line = self.lines.line(span.map_or(0, |span| span.start));
        Origin::file(self.layer, self.file, line)
    }
}

/// Where a key of a parsed table is written.
pub(super) fn key_span(table: &dyn TableLike, name: &str) -> Option<Range<usize>> {
    table.key(name).and_then(toml_edit::Key::span)
}

fn as_table<'a>(origin: &Origin, key: &str, item: &'a Item) -> Result<&'a dyn TableLike> {
    item.as_table_like().ok_or_else(|| ConfigError::WrongType {
        origin: Box::new(origin.clone()),
        key: key.to_owned(),
        expected: "a table",
        found: found(item),
    })
}

fn typed(kind: Kind, key: &Key, origin: &Origin, item: &Item) -> Result<Value> {
    let value = Value::from_toml(kind, item).ok_or_else(|| ConfigError::WrongType {
        origin: Box::new(origin.clone()),
        key: key.to_string(),
        expected: kind.expected(),
        found: found(item),
    })?;
    value.map_err(|defect| ConfigError::InvalidValue {
        origin: Some(Box::new(origin.clone())),
        key: key.to_string(),
        defect,
    })
}

fn unknown(origin: Origin, key: String, nearest: Option<String>) -> ConfigError {
    ConfigError::UnknownKey {
        origin: Some(Box::new(origin)),
        key,
        nearest,
    }
}

fn found(item: &Item) -> &'static str {
    match item.type_name() {
        "string" => "a string",
        "integer" => "an integer",
        "float" => "a float",
        "boolean" => "a boolean",
        "datetime" => "a date or time",
        "array" => "an array",
        "array of tables" => "an array of tables",
        _ => "a table",
    }
}

/// Where the lines of a text start.
struct Lines(Vec<usize>);

impl Lines {
    fn new(text: &str) -> Self {
        Self(
            std::iter::once(0)
                .chain(text.match_indices('\n').map(|(at, _)| at + 1))
                .collect(),
        )
    }

    /// The line of a byte offset, from 1.
    fn line(&self, offset: usize) -> usize {
        self.0.partition_point(|&start| start <= offset)
    }

    /// Line and character of a byte offset, both from 1.
    fn position(&self, text: &str, offset: usize) -> (usize, usize) {
        let line = self.line(offset);
        let start = line
            .checked_sub(1)
            .and_then(|index| self.0.get(index))
            .copied()
            .unwrap_or(0);
        let before = text.as_bytes().get(start..offset.min(text.len())).unwrap_or_default();
        // Count what starts a character; the rest continues one.
        (line, 1 + before.iter().filter(|&&b| b & 0xc0 != 0x80).count())
    }
}
