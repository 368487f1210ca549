//! `modver logs`.

use std::io::{self, Write};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style};
use crate::pipeline::{Reach, SelectOptions, Session, last_log};

/// Print what stages printed when they last ran here
///
/// Of a stage that was restored, it is what its last run in this work tree printed. Very long logs lack their middle.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver logs train
  modver logs train@cnn-1")]
pub(crate) struct Args {
    /// Stages
    #[arg(value_name = "STAGE", required = true)]
    stages: Vec<String>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    if context.json {
        return Err(CliError::NoJson("logs"));
    }
    let repository = context.repository()?;
    let session = Session::open(&repository, context.env.all())?;
    let select = SelectOptions {
        reach: Reach::Single,
        ..SelectOptions::default()
    };
    let chosen = session.select(&args.stages, select)?;
    let several = chosen.len() > 1;
    let mut text = Vec::new();
    for at in chosen {
        let id = &session.stages()[at].id;
        if several {
            text.extend_from_slice(format!("==> {id} <==\n").as_bytes());
        }
        text.extend(last_log(&repository, id)?);
    }
    Ok(Shown { text })
}

/// The logs.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    #[serde(skip)]
    text: Vec<u8>,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        out.write_all(&self.text)
    }
}
