//! Settings from `MODVER_*` environment variables.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};

use super::error::{ConfigError, ConfigWarning, Result};
use super::keys::{KEYS, Key};
use super::name::RemoteName;
use super::nearest::nearest;
use super::origin::{Origin, Setting};
use super::value::Value;

/// Variables of that prefix that are for other parts of modver.
pub const OTHER_VARIABLES: &[&str] = &["MODVER_MV_DEPTH", "MODVER_SKIP_SMUDGE", "MODVER_TEST_FAULT"];

const PREFIX: &str = "MODVER_";

/// The settings in the environment. `known` are the remotes of lower layers: a variable that fits one of them sets
/// that one, otherwise a remote of the lowercase name. Empty variables are as if not set.
pub(super) fn parse(
    environment: &[(OsString, OsString)],
    known: &BTreeSet<RemoteName>,
) -> Result<(Vec<Setting>, Vec<ConfigWarning>)> {
    let mut settings = Vec::new();
    let mut warnings = Vec::new();
    for (variable, value) in environment {
        if !variable.as_encoded_bytes().starts_with(PREFIX.as_bytes()) {
            continue;
        }
        let variable = variable.to_string_lossy();
        if OTHER_VARIABLES.contains(&variable.as_ref()) || value.is_empty() {
            continue;
        }
        match find(&variable, known) {
            Found::Key(key) => settings.push(setting(key, &variable, value)?),
            Found::Several(remotes) => warnings.push(ConfigWarning::AmbiguousVariable {
                variable: variable.into_owned(),
                remotes,
            }),
            Found::Nothing => {
                let right: Vec<String> = KEYS.iter().map(super::keys::KeySpec::variable).collect();
                warnings.push(ConfigWarning::UnknownVariable {
                    nearest: nearest(&variable, right.iter().map(String::as_str)).map(str::to_owned),
                    variable: variable.into_owned(),
                });
            }
        }
    }
    Ok((settings, warnings))
}

fn setting(key: Key, variable: &str, value: &OsStr) -> Result<Setting> {
    let text = value.to_str().ok_or_else(|| ConfigError::VariableNotUtf8 {
        variable: variable.to_owned(),
    })?;
    let origin = Origin::variable(variable);
    match Value::from_text(key.spec().kind, text) {
        Ok(value) => Ok(Setting { key, value, origin }),
        Err(defect) => Err(ConfigError::InvalidValue {
            origin: Some(Box::new(origin)),
            key: key.to_string(),
            defect,
        }),
    }
}

enum Found {
    Key(Key),
    Several(Vec<RemoteName>),
    Nothing,
}

fn find(variable: &str, known: &BTreeSet<RemoteName>) -> Found {
    let upper = variable.to_ascii_uppercase();
    for spec in KEYS {
        let pattern = spec.variable();
        let Some((before, after)) = pattern.split_once("<NAME>") else {
            match Key::plain(spec) {
                Some(key) if pattern == upper => return Found::Key(key),
                _ => continue,
            }
        };
        let Some(name) = upper.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)) else {
            continue;
        };
        let fitting: Vec<&RemoteName> = known.iter().filter(|remote| remote.in_variable() == name).collect();
        let remote = match fitting.as_slice() {
            [] => RemoteName::new(&name.to_ascii_lowercase()).ok(),
            [one] => Some((*one).clone()),
            several => return Found::Several(several.iter().copied().cloned().collect()),
        };
        if let Some(key) = remote.and_then(|remote| Key::of_remote(spec, remote)) {
            return Found::Key(key);
        }
    }
    Found::Nothing
}
