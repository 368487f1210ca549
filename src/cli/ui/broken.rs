//! Pointers that cannot be read, beside what was done all the same.

use std::io::{self, Write};

use super::{Colour, Style};
use crate::cli::exit::Exit;
use crate::cli::scope::short;
use crate::repo::BrokenPointer;

/// Names them, with what is wrong and what helps.
pub(crate) fn notes(broken: &[BrokenPointer], out: &mut dyn Write, style: Style) -> io::Result<()> {
    for pointer in broken {
        let label = style.paint(Colour::Bad, "broken:");
        let place = match &pointer.commit {
            Some(commit) => format!(" of {}", short(commit)),
            None => String::new(),
        };
        writeln!(out, "{label} {}{place}: {}", pointer.path, pointer.problem)?;
        if let Some(hint) = &pointer.hint {
            writeln!(out, "{} {hint}", style.paint(Colour::Hint, "hint:"))?;
        }
    }
    Ok(())
}

/// How the command ended, if it ended like this but for them.
pub(crate) fn exit(broken: &[BrokenPointer], otherwise: Exit) -> Exit {
    match otherwise {
        Exit::Ok if !broken.is_empty() => Exit::Partial,
        other => other,
    }
}
