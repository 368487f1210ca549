//! What the user sees: text or JSON, colours, the progress line.
//!
//! Data goes to standard output, everything else to standard error. A reader of standard output that goes away ends
//! the output silently and does not change the exit code.

pub(crate) mod broken;
pub(crate) mod human;
mod json;
mod progress;
mod stages;
pub(crate) mod table;
mod terminal;
pub(crate) mod values;

use std::io::{self, IsTerminal as _, Write};
use std::sync::Arc;

use serde::Serialize;

pub(crate) use progress::ProgressLine;
pub(crate) use stages::StageLines;
pub(crate) use terminal::{Colour, Style};

use super::args::GlobalArgs;
use super::context::Env;
use super::error::CliError;
use super::exit::Exit;
use crate::progress::Progress;

/// What a command returns. It serializes as a map whose fields stand beside `modver`, `command` and `ok` in the JSON
/// object, so it must not use these names.
pub(crate) trait Render: Serialize {
    /// Writes the data for people.
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()>;

    /// Writes what is not data, such as a summary; goes to standard error and is left out with `--quiet`.
    fn notes(&self, _out: &mut dyn Write, _style: Style) -> io::Result<()> {
        Ok(())
    }

    /// How the command ended.
    fn exit(&self) -> Exit {
        Exit::Ok
    }
}

/// The outcome of a command that has nothing to say.
#[derive(Debug, Serialize)]
pub(crate) struct Nothing {}

impl Render for Nothing {
    fn text(&self, _out: &mut dyn Write, _style: Style) -> io::Result<()> {
        Ok(())
    }
}

/// Where and how to show things.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ui {
    json: bool,
    quiet: bool,
    progress: bool,
    stdout: Style,
    stderr: Style,
}

impl Ui {
    /// As the options, the environment and the terminal ask.
    pub(crate) fn new(global: &GlobalArgs, env: &Env) -> Self {
        let dumb = env.get("TERM").is_some_and(|term| term == "dumb");
        let colours = env.get("NO_COLOR").is_none() && !dumb;
        let stderr_is_terminal = io::stderr().is_terminal();
        Self {
            json: global.json,
            quiet: global.quiet,
            progress: stderr_is_terminal && !dumb && !(global.quiet || global.no_progress || global.json),
            stdout: Style::new(colours && io::stdout().is_terminal()),
            stderr: Style::new(colours && stderr_is_terminal),
        }
    }

    /// Starts the progress line, if it is wanted; dropping it clears it.
    pub(crate) fn progress_line(&self, wanted: bool, progress: &Arc<Progress>) -> Option<ProgressLine> {
        (wanted && self.progress).then(|| ProgressLine::start(Arc::clone(progress)))
    }

    /// Shows the outcome of a command.
    pub(crate) fn show(&self, command: &str, outcome: &impl Render) -> Result<Exit, CliError> {
        let mut out = io::stdout().lock();
        if self.json {
            let line = json::outcome(command, outcome).map_err(CliError::Json)?;
            written(out.write_all(line.as_bytes()).and_then(|()| out.flush()))?;
        } else {
            let mut buffered = io::BufWriter::new(&mut out);
            written(outcome.text(&mut buffered, self.stdout).and_then(|()| buffered.flush()))?;
            // What a BufWriter could not write it would try to write again when dropped.
            drop(buffered.into_parts());
            if !self.quiet {
                // Nobody to tell if standard error is gone.
                let _ = outcome.notes(&mut io::stderr().lock(), self.stderr);
            }
        }
        Ok(outcome.exit())
    }

    /// Shows an error. Nothing can be done if that fails, too.
    pub(crate) fn show_error(&self, command: Option<&str>, error: &CliError, exit: Exit) {
        let messages = crate::causes::chain(error);
        let hint = error.hint();
        if self.json {
            let line = json::failure(command, &messages, hint.as_deref(), exit);
            let _ = io::stdout().lock().write_all(line.as_bytes());
        } else if !matches!(error, CliError::Panicked) {
            // The panic hook has said it already.
            let _ = terminal::failure(&mut io::stderr().lock(), self.stderr, &messages, hint.as_deref());
        }
    }
}

/// Shows what stages print while they run, as the environment and the terminal allow.
pub(crate) fn stage_lines(quiet: bool, bars: bool, env: &Env) -> StageLines {
    let dumb = env.get("TERM").is_some_and(|term| term == "dumb");
    let terminal = io::stderr().is_terminal() && !dumb;
    let style = Style::new(terminal && env.get("NO_COLOR").is_none());
    StageLines::new(quiet, terminal && bars && !quiet, style)
}

/// Says something while a command runs, on standard error. Nothing can be done if that fails.
pub(crate) fn note(message: &str) {
    let _ = writeln!(io::stderr().lock(), "modver: {message}");
}

/// The JSON form of a command line that clap refused.
pub(crate) fn usage_as_json(message: &str) -> String {
    json::failure(None, &[message.to_owned()], Some("modver help"), Exit::Usage)
}

fn written(result: io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.map_err(CliError::Output),
    }
}
