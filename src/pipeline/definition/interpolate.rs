//! `${...}`: filling variables into the strings of a definition.
//!
//! A string that is one `${...}` and nothing else becomes the variable's value, whatever its type. In a longer string
//! the value must be text, a number or true/false; in a command also a list (its words, quoted for the shell) or a
//! table (`--key value`). `\${` stands for `${`. What is filled in is not looked at again.

use serde_json::{Map, Value};

use super::document::{Data, Node};
use super::error::Problem;
use crate::config::nearest;
use crate::repo::shell_word;

/// What a string is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Anything but a command.
    Text,
    /// A command for the shell.
    Command,
}

/// The variables that a string sees.
pub(super) struct Scope<'a> {
    /// Those of the file and the stage.
    pub(super) variables: &'a Map<String, Value>,
    /// Those of one member of a matrix or list; they hide the others.
    pub(super) own: &'a [(&'static str, Value)],
}

/// A step of `a.b[0]`.
enum Step<'a> {
    Key(&'a str),
    Index(usize),
}

impl Scope<'_> {
    /// The value that a string at `at` stands for.
    pub(super) fn fill(&self, text: &str, at: usize, mode: Mode) -> Result<Node, Problem> {
        if let Some(expression) = whole(text) {
            let value = self.value(expression)?;
            return Ok(Node::of_value(at, value));
        }
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, behind) = rest.split_at(start);
            let behind = &behind[2..];
            if let Some(before) = before.strip_suffix('\\') {
                filled.push_str(before);
                filled.push_str("${");
                rest = behind;
                continue;
            }
            filled.push_str(before);
            let end = behind.find('}').ok_or_else(|| Problem::Expression {
                expression: behind.chars().take(40).collect(),
                problem: "its `}` is missing; write \\${ for a plain ${",
            })?;
            let expression = &behind[..end];
            let value = self.value(expression)?;
            let variable = expression.trim();
            match mode {
                Mode::Text => filled.push_str(&scalar(variable, value)?),
                Mode::Command => filled.push_str(&words(variable, value)?),
            }
            rest = &behind[end + 1..];
        }
        filled.push_str(rest);
        Ok(Node {
            at,
            data: Data::Text(filled),
        })
    }

    /// The value of `a.b[0]`.
    pub(super) fn value(&self, expression: &str) -> Result<&Value, Problem> {
        let variable = expression.trim();
        let steps = steps(variable).map_err(|problem| Problem::Expression {
            expression: expression.to_owned(),
            problem,
        })?;
        let mut steps = steps.into_iter();
        let Some((Step::Key(first), mut end)) = steps.next() else {
            return Err(Problem::Expression {
                expression: expression.to_owned(),
                problem: "it is empty",
            });
        };
        let own = self.own.iter().find(|(name, _)| *name == first).map(|(_, value)| value);
        let Some(mut value) = own.or_else(|| self.variables.get(first)) else {
            let known = self.variables.keys().map(String::as_str);
            let known = known.chain(self.own.iter().map(|(name, _)| *name));
            return Err(Problem::UnknownVariable {
                variable: variable.to_owned(),
                nearest: nearest(first, known).map(|name| format!("{name}{}", &variable[end..])),
            });
        };
        for (step, next) in steps {
            let there = &variable[..end];
            value = match (&step, value) {
                (Step::Key(key), Value::Object(map)) => map.get(*key).ok_or_else(|| Problem::UnknownVariable {
                    variable: variable.to_owned(),
                    nearest: nearest(key, map.keys().map(String::as_str))
                        .map(|key| format!("{there}.{key}{}", &variable[next..])),
                })?,
                (Step::Index(index), Value::Array(items)) => {
                    items.get(*index).ok_or_else(|| Problem::VariablePart {
                        variable: variable.to_owned(),
                        part: format!("`{there}` has {} items, the first is [0]", items.len()),
                    })?
                }
                (step, value) => {
                    let part = match step {
                        Step::Key(key) => format!("`{there}` is {}, it has no `{key}`", type_name(value)),
                        Step::Index(index) => format!("`{there}` is {}, it has no [{index}]", type_name(value)),
                    };
                    return Err(Problem::VariablePart {
                        variable: variable.to_owned(),
                        part,
                    });
                }
            };
            end = next;
        }
        Ok(value)
    }
}

/// The expression of a string that is one `${...}` and nothing else.
fn whole(text: &str) -> Option<&str> {
    let inside = text.strip_prefix("${")?.strip_suffix('}')?;
    (!inside.contains('}')).then_some(inside)
}

/// The steps of `a.b[0]`, and where in the text each ends.
fn steps(variable: &str) -> Result<Vec<(Step<'_>, usize)>, &'static str> {
    let mut steps = Vec::new();
    let mut at = 0;
    loop {
        let rest = &variable[at..];
        let length = rest.find(['.', '[']).unwrap_or(rest.len());
        let key = &rest[..length];
        if key.is_empty() {
            return Err("a name is missing");
        }
        if let Some(problem) = key.chars().find_map(|c| match c {
            '{' | '}' | '$' | ']' => Some("names have no `{`, `}`, `$` or `]`"),
            c if c.is_whitespace() || c.is_control() => Some("names have no spaces"),
            '(' | ')' | ':' | '+' | '*' | '=' | '"' | '\'' | '#' | '%' | '|' => {
                Some("only names, as in a.b[0], are understood; write \\${ for a ${ of the shell")
            }
            _ => None,
        }) {
            return Err(problem);
        }
        at += length;
        steps.push((Step::Key(key), at));
        while variable[at..].starts_with('[') {
            let close = variable[at..].find(']').ok_or("its `]` is missing")?;
            let index = variable[at + 1..at + close].trim();
            let index = index.parse().map_err(|_| "an index is a number, as in [0]")?;
            at += close + 1;
            steps.push((Step::Index(index), at));
        }
        match variable[at..].chars().next() {
            None => return Ok(steps),
            Some('.') => at += 1,
            Some(_) => return Err("behind `]` there is a `.` or the end"),
        }
    }
}

pub(super) const fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a table",
    }
}

/// The text of a value that has one.
fn scalar(variable: &str, value: &Value) -> Result<String, Problem> {
    text_of(value).ok_or_else(|| Problem::NotText {
        variable: variable.to_owned(),
        found: type_name(value),
    })
}

pub(super) fn text_of(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(bool) => Some(bool.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

/// A value in a command: a list as words, a table as options.
fn words(variable: &str, value: &Value) -> Result<String, Problem> {
    let mut words = Vec::new();
    match value {
        Value::Array(items) => list(variable, items, &mut words)?,
        Value::Object(map) => options(variable, "", map, &mut words)?,
        scalar_value => return scalar(variable, scalar_value),
    }
    Ok(words.join(" "))
}

fn list(variable: &str, items: &[Value], words: &mut Vec<String>) -> Result<(), Problem> {
    for item in items {
        words.push(shell_word(&scalar(variable, item)?));
    }
    Ok(())
}

/// `--key value` for each entry, by key; `--key` for true, nothing for false, `--a.b value` for tables in tables.
fn options(variable: &str, prefix: &str, map: &Map<String, Value>, words: &mut Vec<String>) -> Result<(), Problem> {
    let mut keys: Vec<&String> = map.keys().collect();
    keys.sort_unstable();
    for key in keys {
        let name = format!("{prefix}{key}");
        let option = shell_word(&format!("--{name}"));
        match &map[key] {
            Value::Bool(true) => words.push(option),
            Value::Bool(false) => {}
            Value::Array(items) => {
                words.push(option);
                list(&format!("{variable}.{name}"), items, words)?;
            }
            Value::Object(inner) => options(variable, &format!("{name}."), inner, words)?,
            value => {
                words.push(option);
                words.push(shell_word(&scalar(&format!("{variable}.{name}"), value)?));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn variables() -> Map<String, Value> {
        let Value::Object(map) = json!({
            "seed": 42, "lr": 0.1, "name": "a b", "on": true, "none": null,
            "train": { "epochs": 10, "layers": [16, 32], "opts": { "lr": 0.1, "tag": "it's", "fast": true, "slow": false, "in": { "x": [1, "a b"] } } },
            "models": [{ "name": "cnn" }, { "name": "rnn" }],
        }) else {
            unreachable!()
        };
        map
    }

    fn fill(text: &str, mode: Mode) -> Result<Value, String> {
        let variables = variables();
        let own = [("item", json!({ "model": "cnn" })), ("key", json!("cnn-1"))];
        let scope = Scope {
            variables: &variables,
            own: &own,
        };
        let node = scope.fill(text, 0, mode).map_err(|problem| problem.to_string())?;
        Ok(node.to_value())
    }

    #[test]
    fn whole_values_keep_their_type() {
        assert_eq!(fill("${seed}", Mode::Text), Ok(json!(42)));
        assert_eq!(fill("${ train.layers }", Mode::Text), Ok(json!([16, 32])));
        assert_eq!(fill("${train.layers[1]}", Mode::Text), Ok(json!(32)));
        assert_eq!(fill("${models[0].name}", Mode::Text), Ok(json!("cnn")));
        assert_eq!(fill("${none}", Mode::Text), Ok(Value::Null));
    }

    #[test]
    fn texts_are_put_together() {
        assert_eq!(
            fill("a-${seed}/${lr}/${on}.${item.model}", Mode::Text),
            Ok(json!("a-42/0.1/true.cnn"))
        );
        assert_eq!(
            fill(r"\${seed} ${key} \${x", Mode::Text),
            Ok(json!("${seed} cnn-1 ${x"))
        );
        assert_eq!(fill(r"a \${seed}", Mode::Command), Ok(json!("a ${seed}")));
        assert_eq!(fill("x ${name}", Mode::Command), Ok(json!("x a b")));
        assert_eq!(
            fill("x ${models[0].name} $HOME $", Mode::Command),
            Ok(json!("x cnn $HOME $"))
        );
        assert_eq!(fill("x ${train.layers} y", Mode::Command), Ok(json!("x 16 32 y")));
        assert_eq!(
            fill("x ${train.opts}", Mode::Command),
            Ok(json!(r"x --fast --in.x 1 'a b' --lr 0.1 --tag 'it'\''s'"))
        );
    }

    #[test]
    fn mistakes_name_the_right_spelling() {
        for (text, message) in [
            ("${sed}", "unknown variable `sed`; did you mean `seed`?"),
            (
                "${train.epoch}",
                "unknown variable `train.epoch`; did you mean `train.epochs`?",
            ),
            (
                "${trian.epochs}",
                "unknown variable `trian.epochs`; did you mean `train.epochs`?",
            ),
            (
                "${models[0].nam}",
                "unknown variable `models[0].nam`; did you mean `models[0].name`?",
            ),
            ("${quite.else}", "unknown variable `quite.else`"),
            ("${models[2]}", "`models[2]`: `models` has 2 items, the first is [0]"),
            ("${seed.x}", "`seed.x`: `seed` is a number, it has no `x`"),
            ("${train[0]}", "`train[0]`: `train` is a table, it has no [0]"),
            (
                "x ${train.layers}",
                "`${train.layers}` is a list, which cannot be part of a text",
            ),
            ("x ${none}", "`${none}` is null, which cannot be part of a text"),
            (
                "x ${seed",
                "`${seed}` is not a variable: its `}` is missing; write \\${ for a plain ${",
            ),
            ("${}", "`${}` is not a variable: a name is missing"),
            ("${a..b}", "`${a..b}` is not a variable: a name is missing"),
            (
                "${train.layers[x]}",
                "`${train.layers[x]}` is not a variable: an index is a number, as in [0]",
            ),
            ("${a b}", "`${a b}` is not a variable: names have no spaces"),
        ] {
            assert_eq!(fill(text, Mode::Text), Err(message.to_owned()), "{text}");
        }
        assert!(fill("${X:-1}", Mode::Command).unwrap_err().contains("write \\${"));
        assert!(fill("x ${models}", Mode::Command).unwrap_err().contains("is a table"));
    }

    proptest! {
        #[test]
        fn any_text_is_filled_or_refused(text in "[a-z$\\\\{}.\\[\\]0 ]{0,24}") {
            let _ = fill(&text, Mode::Text);
            let _ = fill(&text, Mode::Command);
        }

        #[test]
        fn text_without_expressions_stays(text in "[a-z$\\\\{} é]{0,24}") {
            prop_assume!(!text.contains("${"));
            prop_assert_eq!(fill(&text, Mode::Command), Ok(Value::String(text)));
        }

        #[test]
        fn escaped_text_comes_back(text in "[a-z$ {}]{0,24}") {
            prop_assert_eq!(fill(&text.replace("${", "\\${"), Mode::Text), Ok(Value::String(text)));
        }
    }
}
