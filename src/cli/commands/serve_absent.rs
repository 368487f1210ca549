//! `modver serve` in a program that was built without it.

use std::ffi::OsString;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::Nothing;

/// Serve stores over HTTP (not in this program: it was built without the feature `server`)
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _rest: Vec<OsString>,
}

/// Says so.
pub(crate) fn run(_args: &Args, _context: &Context) -> Result<Nothing, CliError> {
    Err(CliError::NotBuilt("server"))
}
