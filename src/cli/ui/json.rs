//! Results and errors as one JSON object on one line.

use serde::Serialize;

use super::Render;
use crate::cli::exit::Exit;

/// The version of the form that `modver help json` describes.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct Success<'a, T> {
    modver: u32,
    command: &'a str,
    ok: bool,
    exit: u8,
    #[serde(flatten)]
    outcome: &'a T,
}

#[derive(Serialize)]
struct Failure<'a> {
    modver: u32,
    command: Option<&'a str>,
    ok: bool,
    exit: u8,
    error: Message<'a>,
}

#[derive(Serialize)]
struct Message<'a> {
    message: &'a str,
    caused_by: &'a [String],
    hint: Option<&'a str>,
}

/// The line for an outcome.
pub(super) fn outcome(command: &str, outcome: &impl Render) -> serde_json::Result<String> {
    let exit = outcome.exit();
    let mut line = serde_json::to_string(&Success {
        modver: VERSION,
        command,
        ok: exit == Exit::Ok,
        exit: exit.code(),
        outcome,
    })?;
    line.push('\n');
    Ok(line)
}

/// The line for an error; `messages` starts with the error itself, its causes follow.
pub(super) fn failure(command: Option<&str>, messages: &[String], hint: Option<&str>, exit: Exit) -> String {
    let (message, caused_by) = messages
        .split_first()
        .map_or(("", [].as_slice()), |(m, c)| (m.as_str(), c));
    let failure = Failure {
        modver: VERSION,
        command,
        ok: false,
        exit: exit.code(),
        error: Message {
            message,
            caused_by,
            hint,
        },
    };
    // Strings and numbers always serialize.
    let mut line = serde_json::to_string(&failure).unwrap_or_default();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::ui::{Nothing, Style};
    use std::io;

    #[derive(Serialize)]
    struct Two {
        files: u64,
    }

    impl Render for Two {
        fn text(&self, _out: &mut dyn io::Write, _style: Style) -> io::Result<()> {
            Ok(())
        }

        fn exit(&self) -> Exit {
            Exit::Partial
        }
    }

    #[test]
    fn the_form_is_fixed() {
        assert_eq!(
            outcome("init", &Nothing {}).unwrap(),
            "{\"modver\":1,\"command\":\"init\",\"ok\":true,\"exit\":0}\n"
        );
        assert_eq!(
            outcome("add", &Two { files: 2 }).unwrap(),
            "{\"modver\":1,\"command\":\"add\",\"ok\":false,\"exit\":3,\"files\":2}\n"
        );
        assert_eq!(
            failure(
                Some("add"),
                &["a".into(), "b".into()],
                Some("git init"),
                Exit::NotARepository
            ),
            "{\"modver\":1,\"command\":\"add\",\"ok\":false,\"exit\":4,\
             \"error\":{\"message\":\"a\",\"caused_by\":[\"b\"],\"hint\":\"git init\"}}\n"
        );
    }
}
