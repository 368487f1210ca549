//! `modver completions`.

use std::io::{self, Write};

use clap::CommandFactory as _;
use serde::Serialize;

use crate::cli::args::Cli;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};

/// Print a script that completes commands and options in your shell
///
/// The scripts complete `modver`. With --name mv they complete `mv`, which replaces the shell's own completion for the
/// system's mv.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver completions bash > ~/.local/share/bash-completion/completions/modver
  modver completions zsh > ~/.zfunc/_modver
  modver completions fish --name mv > ~/.config/fish/completions/mv.fish")]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
    /// The command to complete
    #[arg(long, value_enum, default_value_t = Name::Modver)]
    name: Name,
}

#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Name {
    /// The long name
    Modver,
    /// The short name
    Mv,
}

/// A completion script.
#[derive(Debug, Serialize)]
pub(crate) struct Script {
    script: String,
}

impl Render for Script {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        out.write_all(self.script.as_bytes())
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, _context: &Context) -> Result<Script, CliError> {
    let name = match args.name {
        Name::Modver => "modver",
        Name::Mv => "mv",
    };
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), name, &mut script);
    Ok(Script {
        script: String::from_utf8_lossy(&script).into_owned(),
    })
}
