//! Text for people: colours and errors.

use std::fmt;
use std::io::{self, Write};

/// Whether to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Style {
    coloured: bool,
}

/// A colour by its meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Colour {
    /// Errors and what is gone.
    Bad,
    /// What went well.
    Good,
    /// Hints.
    Hint,
}

impl Style {
    /// With or without colours.
    pub(super) const fn new(coloured: bool) -> Self {
        Self { coloured }
    }

    /// Whether there are colours.
    pub(crate) const fn is_coloured(self) -> bool {
        self.coloured
    }

    /// Text in a colour, if there are colours.
    pub(crate) const fn paint<T: fmt::Display>(self, colour: Colour, text: T) -> Painted<T> {
        Painted {
            code: match colour {
                _ if !self.coloured => None,
                Colour::Bad => Some("1;31"),
                Colour::Good => Some("32"),
                Colour::Hint => Some("36"),
            },
            text,
        }
    }
}

/// Text with its colour.
#[derive(Debug)]
pub(crate) struct Painted<T> {
    code: Option<&'static str>,
    text: T,
}

impl<T: fmt::Display> fmt::Display for Painted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "\x1b[{code}m{}\x1b[0m", self.text),
            None => self.text.fmt(f),
        }
    }
}

/// Writes an error: `messages` starts with the error itself, its causes follow.
pub(super) fn failure(out: &mut dyn Write, style: Style, messages: &[String], hint: Option<&str>) -> io::Result<()> {
    let mut label = "error:";
    for message in messages {
        writeln!(out, "{} {message}", style.paint(Colour::Bad, label))?;
        label = "caused by:";
    }
    if let Some(hint) = hint {
        writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_labels() {
        let messages = ["no".to_owned(), "why".to_owned(), "deeper".to_owned()];
        let show = |coloured, hint| {
            let mut out = Vec::new();
            failure(&mut out, Style::new(coloured), &messages, hint).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(show(false, None), "error: no\ncaused by: why\ncaused by: deeper\n");
        assert_eq!(
            show(true, Some("git init")).lines().last(),
            Some("\x1b[36mhint:\x1b[0m git init")
        );
    }
}
