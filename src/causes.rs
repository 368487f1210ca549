//! Errors with what caused them, as text.

use std::error::Error;

/// The messages of an error and of its causes, outermost first, without the ones that only repeat.
#[must_use]
pub fn chain(error: &dyn Error) -> Vec<String> {
    let mut messages = vec![error.to_string()];
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if messages.last().is_none_or(|last| !last.ends_with(&message)) {
            messages.push(message);
        }
        cause = error.source();
    }
    messages
}

/// The same in one line.
#[must_use]
pub fn in_one_line(error: &dyn Error) -> String {
    chain(error).join(": ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{message}")]
    struct Link {
        message: &'static str,
        source: Option<Box<Link>>,
    }

    fn link(message: &'static str, source: Option<Link>) -> Link {
        Link {
            message,
            source: source.map(Box::new),
        }
    }

    #[test]
    fn repeated_causes_are_said_once() {
        let error = link("a: b", Some(link("b", Some(link("b", Some(link("c", None)))))));
        assert_eq!(chain(&error), ["a: b", "c"]);
        assert_eq!(in_one_line(&error), "a: b: c");
        let error = link("a", Some(link("b", None)));
        assert_eq!(chain(&error), ["a", "b"]);
    }
}
