//! Files of values: parameters and metrics in TOML, YAML 1.2 or JSON, told apart by the ends of their names.
//!
//! A value is a [`serde_json::Value`] whatever the file. What JSON does not know becomes text: a date of TOML as it is
//! written, a number that is none or infinite as `nan`, `inf` or `-inf` (also where Python writes `NaN` and `Infinity`
//! into JSON). An empty YAML file is `null`.

use std::path::Path;

use serde_json::{Map, Value};

use crate::fs::{self, FsError};
use crate::path::RepoPath;

/// The largest file of values that is read, in bytes.
pub const MAX_VALUES: u64 = 64 << 20;
/// The deepest nesting in YAML; the readers of TOML and JSON have about the same limit of their own.
const MAX_DEPTH: usize = 128;

/// How values are written in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValueFormat {
    /// `.toml`
    Toml,
    /// `.yaml`, `.yml`
    Yaml,
    /// `.json`
    Json,
}

impl ValueFormat {
    /// As the end of its name says; `None` for other files.
    #[must_use]
    pub fn of(path: &RepoPath) -> Option<Self> {
        let name = path.file_name()?;
        let (_, end) = std::str::from_utf8(name.as_bytes()).ok()?.rsplit_once('.')?;
        match end.to_ascii_lowercase().as_str() {
            "toml" => Some(Self::Toml),
            "yaml" | "yml" => Some(Self::Yaml),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    /// Its name, for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Toml => "TOML",
            Self::Yaml => "YAML",
            Self::Json => "JSON",
        }
    }
}

/// Why values could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ValuesError {
    /// The name of the file does not say how it is written.
    #[error("`{path}` is neither .toml, .yaml, .yml nor .json, so it is not known how to read it")]
    Format {
        /// The file.
        path: RepoPath,
    },
    /// It is larger than [`MAX_VALUES`].
    #[error("`{path}` has {size} bytes, more than the {} MiB that are read", MAX_VALUES >> 20)]
    TooLarge {
        /// The file.
        path: RepoPath,
        /// Its size.
        size: u64,
    },
    /// It is not text.
    #[error("{path}:{line}:{column}: not UTF-8 text")]
    NotText {
        /// The file.
        path: RepoPath,
        /// The line of the first wrong byte, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
    },
    /// It breaks the rules of its format.
    #[error("{path}:{line}:{column}: not valid {}: {message}", .format.name())]
    Syntax {
        /// The file.
        path: RepoPath,
        /// What it should be.
        format: ValueFormat,
        /// The line, from 1.
        line: usize,
        /// The character in the line, from 1.
        column: usize,
        /// What the reader of the format says.
        message: String,
    },
    /// It cannot be read from the disk.
    #[error(transparent)]
    Fs(#[from] FsError),
}

/// Reads the values of a file below `root`; `None` if there is no such file.
///
/// # Errors
/// When it cannot be read, or as [`parse_values`].
pub fn read_values(root: &Path, path: &RepoPath) -> Result<Option<Value>, ValuesError> {
    let file = path.on_disk(root);
    match fs::read_if_exists(&file, MAX_VALUES) {
        Ok(Some(bytes)) => parse_values(path, &bytes).map(Some),
        Ok(None) => Ok(None),
        Err(error) if error.source.kind() == std::io::ErrorKind::FileTooLarge => Err(ValuesError::TooLarge {
            path: path.clone(),
            size: fs::stat(&file)?.map_or(0, |stat| stat.size),
        }),
        Err(error) => Err(error.into()),
    }
}

/// Reads values from the bytes of a file, whose name says how they are written.
///
/// # Errors
/// When the name says nothing, the file is too large, or it is not valid.
pub fn parse_values(path: &RepoPath, bytes: &[u8]) -> Result<Value, ValuesError> {
    let Some(format) = ValueFormat::of(path) else {
        return Err(ValuesError::Format { path: path.clone() });
    };
    parse_as(format, path, bytes)
}

/// As [`parse_values`], whatever the name.
///
/// # Errors
/// When the file is too large or not valid.
pub fn parse_as(format: ValueFormat, path: &RepoPath, bytes: &[u8]) -> Result<Value, ValuesError> {
    let size = bytes.len() as u64;
    if size > MAX_VALUES {
        return Err(ValuesError::TooLarge {
            path: path.clone(),
            size,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let good = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let (line, column) = position(good, good.len());
        ValuesError::NotText {
            path: path.clone(),
            line,
            column,
        }
    })?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = match format {
        ValueFormat::Toml => toml_values(text),
        ValueFormat::Yaml => yaml_values(text),
        ValueFormat::Json => json_values(text),
    };
    parsed.map_err(|problem| ValuesError::Syntax {
        path: path.clone(),
        format,
        line: problem.line,
        column: problem.column,
        message: problem.message,
    })
}

struct Problem {
    line: usize,
    column: usize,
    message: String,
}

impl Problem {
    fn new((line, column): (usize, usize), message: &str) -> Self {
        let message = message.trim().lines().map(str::trim).collect::<Vec<_>>().join("; ");
        Self { line, column, message }
    }
}

fn toml_values(text: &str) -> Result<Value, Problem> {
    let table: toml::Table = toml::from_str(text).map_err(|error| {
        let offset = error.span().map_or(0, |span| span.start);
        Problem::new(position(text.as_bytes(), offset), error.message())
    })?;
    Ok(of_toml(toml::Value::Table(table)))
}

fn of_toml(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => Value::from(number),
        toml::Value::Float(number) => of_float(number),
        toml::Value::Boolean(yes) => Value::Bool(yes),
        toml::Value::Datetime(date) => Value::String(date.to_string()),
        toml::Value::Array(values) => values.into_iter().map(of_toml).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(key, value)| (key, of_toml(value))).collect())
        }
    }
}

fn of_float(number: f64) -> Value {
    match serde_json::Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => Value::from("nan"),
        None if number < 0.0 => Value::from("-inf"),
        None => Value::from("inf"),
    }
}

fn yaml_values(text: &str) -> Result<Value, Problem> {
    let no_content = |line: &str| matches!(line.trim(), "" | "---" | "...") || line.trim_start().starts_with('#');
    if text.lines().all(no_content) {
        return Ok(Value::Null);
    }
    let budget = serde_saphyr::Budget {
        max_depth: MAX_DEPTH,
        // The size of the file is the limit.
        max_nodes: usize::MAX,
        max_events: usize::MAX,
        ..serde_saphyr::Budget::default()
    };
    let options = serde_saphyr::Options {
        budget: Some(budget),
        strict_booleans: true,
        with_snippet: false,
        ..serde_saphyr::Options::default()
    };
    let mut value: Value = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let error = error.without_snippet();
        let at = error
            .location()
            .map_or((1, 1), |at| (small(at.line()), small(at.column())));
        let message = error.to_string();
        Problem::new(
            at,
            without_place(&message, &format!(" at line {}, column {}", at.0, at.1)),
        )
    })?;
    name_numbers(&mut value);
    Ok(value)
}

/// Gives the numbers that YAML's reader made text of the names that they have here.
fn name_numbers(value: &mut Value) {
    match value {
        Value::String(text) => match text.as_str() {
            ".nan" => "nan".clone_into(text),
            ".inf" => "inf".clone_into(text),
            "-.inf" => "-inf".clone_into(text),
            _ => {}
        },
        Value::Array(values) => values.iter_mut().for_each(name_numbers),
        Value::Object(map) => map.values_mut().for_each(name_numbers),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn json_values(text: &str) -> Result<Value, Problem> {
    let error = match serde_json::from_str(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    let error = match with_named_numbers(text).map(|text| serde_json::from_str(&text)) {
        Some(Ok(value)) => return Ok(value),
        Some(Err(error)) => error,
        None => error,
    };
    let before = text.split_inclusive('\n').take(error.line().saturating_sub(1));
    let start: usize = before.map(str::len).sum();
    let at = position(text.as_bytes(), start + error.column().saturating_sub(1));
    let place = format!(" at line {} column {}", error.line(), error.column());
    Err(Problem::new(at, without_place(&error.to_string(), &place)))
}

/// The text with `NaN`, `Infinity` and `-Infinity`, as Python writes them, as strings; `None` if it has none.
fn with_named_numbers(text: &str) -> Option<String> {
    const NAMES: [(&str, &str); 3] = [("-Infinity", "\"-inf\""), ("Infinity", "\"inf\""), ("NaN", "\"nan\"")];
    let mut out = String::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'\\' if in_string => at += 1,
            b'"' => in_string = !in_string,
            b'-' | b'I' | b'N' if !in_string => {
                let rest = text.get(at..).unwrap_or_default();
                if let Some((name, string)) = NAMES.iter().find(|(name, _)| rest.starts_with(name)) {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    out.push_str(string);
                    at += name.len();
                    copied = at;
                    continue;
                }
            }
            _ => {}
        }
        at += 1;
    }
    (copied > 0).then(|| out + text.get(copied..).unwrap_or_default())
}

fn without_place<'a>(message: &'a str, place: &str) -> &'a str {
    message.strip_suffix(place).unwrap_or(message)
}

fn small(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// Line and character of a byte offset, both from 1.
fn position(text: &[u8], offset: usize) -> (usize, usize) {
    let before = text.get(..offset.min(text.len())).unwrap_or_default();
    let line = 1 + before.iter().filter(|&&byte| byte == b'\n').count();
    let start = before.iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let in_line = before.get(start..).unwrap_or_default();
    // Count what starts a character; the rest continues one.
    (line, 1 + in_line.iter().filter(|&&byte| byte & 0xc0 != 0x80).count())
}

/// The value at a key such as `train.epochs` or `layers[0].units` (also `layers.0.units`); the empty key is the whole.
///
/// Names may have dots in them: the longest name that is there is tried first.
#[must_use]
pub fn lookup<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    if key.is_empty() {
        return Some(value);
    }
    match value {
        Value::Object(map) => {
            if let Some(found) = map.get(key) {
                return Some(found);
            }
            let ends = key.rmatch_indices(['.', '[']).map(|(at, _)| at);
            ends.filter_map(|end| {
                let (name, rest) = key.split_at_checked(end)?;
                lookup_rest(map.get(name)?, rest)
            })
            .next()
        }
        Value::Array(values) => {
            let (index, rest) = match key.strip_prefix('[') {
                Some(key) => key.split_once(']')?,
                None => key.split_at(key.find(['.', '[']).unwrap_or(key.len())),
            };
            let is_index = !index.is_empty() && index.bytes().all(|byte| byte.is_ascii_digit());
            lookup_rest(values.get(index.parse::<usize>().ok().filter(|_| is_index)?)?, rest)
        }
        _ => None,
    }
}

/// `rest` is what follows a name or index: nothing, `.KEY` or `[INDEX]…`.
fn lookup_rest<'a>(value: &'a Value, rest: &str) -> Option<&'a Value> {
    match rest.strip_prefix('.') {
        // A dot with nothing behind it leads nowhere.
        Some("") => None,
        Some(key) if key.starts_with('[') && value.is_array() => None,
        Some(key) => lookup(value, key),
        None if rest.is_empty() || rest.starts_with('[') => lookup(value, rest),
        None => None,
    }
}

/// The values that have no values in them, with the keys by which [`lookup`] finds them, in order of their keys.
///
/// A list without tables and lists in it is one value, as it is for people; so are empty ones.
#[must_use]
pub fn flatten(value: &Value) -> Vec<(String, &Value)> {
    let mut leaves = Vec::new();
    collect(value, &mut String::new(), &mut leaves);
    leaves
}

fn collect<'a>(value: &'a Value, key: &mut String, leaves: &mut Vec<(String, &'a Value)>) {
    let length = key.len();
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (name, value) in sorted(map) {
                if length > 0 {
                    key.push('.');
                }
                key.push_str(name);
                collect(value, key, leaves);
                key.truncate(length);
            }
        }
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            for (index, value) in values.iter().enumerate() {
                key.push_str(&format!("[{index}]"));
                collect(value, key, leaves);
                key.truncate(length);
            }
        }
        _ => leaves.push((key.clone(), value)),
    }
}

fn sorted(map: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut entries: Vec<_> = map.iter().collect();
    entries.sort_unstable_by_key(|(name, _)| *name);
    entries
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn parse(name: &str, text: &str) -> Result<Value, String> {
        let path = RepoPath::new(name.as_bytes()).unwrap();
        parse_values(&path, text.as_bytes()).map_err(|error| error.to_string())
    }

    #[test]
    fn the_same_in_each_format() {
        let expected = json!({
            "train": {"epochs": 10, "rate": 0.01, "name": "yes", "on": true, "layers": [{"units": 3}, {"units": 4}]},
            "day": "2024-05-01", "lost": "nan", "far": "inf", "near": "-inf",
        });
        let toml = "day = 2024-05-01\nlost = nan\nfar = +inf\nnear = -inf\n[train]\nepochs = 10\nrate = 0.01\n\
                    name = 'yes'\non = true\nlayers = [{units = 3}, {units = 4}]\n";
        let yaml = "day: 2024-05-01\nlost: .NaN\nfar: .inf\nnear: -.Inf\ntrain:\n  epochs: 10\n  rate: 1e-2\n  \
                    name: yes\n  on: true\n  layers:\n  - units: 3\n  - {units: 4}\n";
        let json = "\u{feff}{\"day\": \"2024-05-01\", \"lost\": NaN, \"far\": Infinity, \"near\": -Infinity, \"train\": \
                    {\"epochs\": 10, \"rate\": 0.01, \"name\": \"yes\", \"on\": true, \"layers\": [{\"units\": 3}, \
                    {\"units\": 4}]}}";
        assert_eq!(parse("p.toml", toml).unwrap(), expected);
        assert_eq!(parse("p.yaml", yaml).unwrap(), expected);
        assert_eq!(parse("p.YML", yaml).unwrap(), expected);
        assert_eq!(parse("d/p.json", json).unwrap(), expected);
    }

    #[test]
    fn yaml_is_1_2() {
        let value = parse(
            "p.yaml",
            "a: no\nb: on\nc: 0o17\n1: one\nd: &x [1, 2]\ne: *x\nf: ~\ng: 'NaN'\nh: NaN\n",
        )
        .unwrap();
        let expected =
            json!({"a": "no", "b": "on", "c": 15, "1": "one", "d": [1, 2], "e": [1, 2], "f": null, "g": "NaN"});
        for (key, expected) in expected.as_object().unwrap() {
            assert_eq!(&value[key], expected, "{key}");
        }
        for empty in ["", "\n# nothing\n", "---\n"] {
            assert_eq!(parse("p.yaml", empty).unwrap(), Value::Null);
        }
    }

    #[test]
    fn strings_keep_what_looks_like_numbers() {
        let text = r#"{"a": "NaN \" Infinity", "b": NaN, "c": "-Infinity"}"#;
        let expected = json!({"a": "NaN \" Infinity", "b": "nan", "c": "-Infinity"});
        assert_eq!(parse("m.json", text).unwrap(), expected);
    }

    #[test]
    fn errors_say_where() {
        for (name, text, start) in [
            ("a/p.toml", "ä = 1\nb = 'é' x\n", "a/p.toml:2:9: not valid TOML: "),
            ("p.toml", "a = 1\na = 2\n", "p.toml:2:1: not valid TOML: duplicate key"),
            ("p.yaml", "a: 1\nb: [1,\nc: 2\n", "p.yaml:"),
            (
                "p.yaml",
                "a: 1\na: 2\n",
                "p.yaml:2:1: not valid YAML: duplicate mapping key: a",
            ),
            ("p.yaml", "a: 1\n---\na: 2\n", "p.yaml:"),
            (
                "p.json",
                "{\"ä\": 1,\n \"é\": x}",
                "p.json:2:7: not valid JSON: expected value",
            ),
            ("p.json", "", "p.json:1:1: not valid JSON: EOF while parsing a value"),
            ("p.txt", "a", "`p.txt` is neither"),
            ("toml", "a", "`toml` is neither"),
        ] {
            let error = parse(name, text).unwrap_err();
            assert!(error.starts_with(start), "{name}: {text:?} gave {error}");
            assert!(!error.contains('\n') && !error.contains("at line"), "{error}");
        }
        let path = RepoPath::new(b"p.json").unwrap();
        let error = parse_values(&path, b"{\n \xff}").unwrap_err().to_string();
        assert_eq!(error, "p.json:2:2: not UTF-8 text");
        let deep = "[".repeat(100_000);
        for name in ["p.yaml", "p.json"] {
            assert!(parse(name, &deep).is_err());
        }
        assert!(parse("p.toml", &format!("a = {deep}")).is_err());
    }

    #[test]
    fn keys_lead_to_values() {
        let value = json!({
            "train": {"epochs": 10, "a.b": {"c": 1}, "a": {"b": {"d": 2}}, "layers": [{"units": [3, 4]}]},
            "train.epochs": 11, "x": {"0": "zero"}, "odd[0]": 5,
        });
        let found = |key| lookup(&value, key).cloned().unwrap_or(Value::Null);
        assert_eq!(found("train.epochs"), json!(11), "the longest name");
        assert_eq!(found("train.a.b.c"), json!(1));
        assert_eq!(
            found("train.a.b.d"),
            json!(2),
            "another way when the longest leads nowhere"
        );
        assert_eq!(found("train.layers[0].units[1]"), json!(4));
        assert_eq!(found("train.layers.0.units.1"), json!(4));
        assert_eq!(found("x.0"), json!("zero"));
        assert_eq!(found("odd[0]"), json!(5));
        assert_eq!(found(""), value);
        for nowhere in [
            "train.",
            ".train",
            "trai",
            "train.epochs.x",
            "train.layers[1]",
            "train.layers[",
            "train.layers[x]",
            "train.layers.+0",
            "train.layers.[0]",
            "train.layers[0]units",
            "x[0]",
            ".",
        ] {
            assert_eq!(lookup(&value, nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn leaves_are_sorted() {
        let value = json!({"b": [1, 2], "a": {"z": null, "y": {}}, "c": [{"k": 1}, [2], 3], "e": []});
        let keys: Vec<String> = flatten(&value).into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a.y", "a.z", "b", "c[0].k", "c[1]", "c[2]", "e"]);
        assert_eq!(flatten(&json!(3)), [(String::new(), &json!(3))]);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a-z.]{0,4}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[a-c]{1,2}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn each_leaf_is_found_by_its_key(value in any_value()) {
            let leaves = flatten(&value);
            for (key, leaf) in &leaves {
                prop_assert_eq!(lookup(&value, key), Some(*leaf), "{}", key);
            }
            let mut keys: Vec<_> = leaves.iter().map(|(key, _)| key).collect();
            keys.sort_unstable();
            keys.dedup();
            prop_assert_eq!(keys.len(), leaves.len());
        }

        #[test]
        fn any_text_is_a_value_or_an_error(text in "[ -~\n]{0,60}", kind in 0..3_usize) {
            let name = ["p.toml", "p.yaml", "p.json"][kind];
            let _ = parse(name, &text);
        }

        #[test]
        fn json_comes_back(value in any_value()) {
            prop_assert_eq!(parse("p.json", &value.to_string()).unwrap(), value);
        }
    }
}
