//! `modver help`.

use std::io::{self, Write};

use clap::CommandFactory as _;
use serde::Serialize;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::topics;
use crate::cli::ui::{Render, Style};

/// Show help on a command or a topic
///
/// The help on a command is that of `modver COMMAND --help`.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver help add
  modver help remote add
  modver help names

Topics: names (which `mv` runs), exit-codes, json")]
pub(crate) struct Args {
    /// A command, a command and its subcommand, or a topic
    #[arg(value_name = "COMMAND|TOPIC")]
    about: Vec<String>,
}

/// A page of help.
#[derive(Debug, Serialize)]
pub(crate) struct Page {
    help: String,
    #[serde(skip)]
    coloured: String,
}

impl Render for Page {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        let page = if style.is_coloured() {
            &self.coloured
        } else {
            &self.help
        };
        out.write_all(page.as_bytes())
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, _context: &Context) -> Result<Page, CliError> {
    if let [only] = args.about.as_slice()
        && let Some(help) = topics::page(only)
    {
        return Ok(Page {
            coloured: help.clone(),
            help,
        });
    }
    let mut root = Cli::command();
    root.build();
    let mut command = &mut root;
    for name in &args.about {
        command = command
            .find_subcommand_mut(name)
            .ok_or_else(|| CliError::UnknownTopic(args.about.join(" ")))?;
    }
    let help = command.render_long_help();
    Ok(Page {
        help: help.to_string(),
        coloured: help.ansi().to_string(),
    })
}
