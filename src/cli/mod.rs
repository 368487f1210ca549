//! The command line: arguments in, one operation called, its outcome shown, an exit code.
//!
//! The only part that reads the environment, knows the working directory, prints and handles signals. Both binaries
//! start here; [`main_mv`] first decides whose `mv` is meant.

#![allow(
    clippy::disallowed_methods,
    reason = "the process's environment and working directory are read here, and only here"
)]

mod args;
mod commands;
mod context;
mod error;
mod exit;
#[cfg(debug_assertions)]
mod faults;
mod names;
mod panics;
mod rate;
mod reference;
mod scope;
mod signals;
mod system_mv;
mod topics;
mod ui;

use std::ffi::OsString;
use std::io::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser as _;

use args::Cli;
use context::{Context, Env};
use error::CliError;
use exit::Exit;
use names::Whose;
use ui::Ui;

use crate::fs;
use crate::progress::Progress;

pub use reference::reference;

/// Runs `modver` with the arguments of this process.
#[must_use]
pub fn main() -> ExitCode {
    start(&std::env::args_os().collect::<Vec<_>>()).into()
}

/// Runs `mv` with the arguments of this process: ours, or this process becomes the system's.
#[must_use]
pub fn main_mv() -> ExitCode {
    let args: Vec<OsString> = std::env::args_os().collect();
    let rest = args.get(1..).unwrap_or_default();
    // What cannot be asked about may exist.
    match names::whose(rest, |name| !matches!(fs::stat(Path::new(name)), Ok(None))) {
        Whose::Ours => start(&args).into(),
        Whose::Systems => system_mv::exec(rest),
    }
}

fn start(args: &[OsString]) -> Exit {
    panics::install_hook();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(refused) => return refuse(&refused, args),
    };
    let env = Env::of_process();
    #[cfg(debug_assertions)]
    let env_at_end = env.clone();
    let exit = run(&cli, env);
    #[cfg(debug_assertions)]
    faults::finish(&env_at_end);
    exit
}

fn run(cli: &Cli, env: Env) -> Exit {
    let ui = Ui::new(&cli.global, &env);
    let progress = Arc::new(Progress::new());
    let work = || {
        #[cfg(debug_assertions)]
        faults::arm(&env);
        let context = Context::new(&cli.global, env, Arc::clone(&progress))?;
        signals::watch(Arc::clone(&progress))?;
        cli.command.run(&context, &ui)
    };
    let started = Instant::now();
    let result = catch_unwind(AssertUnwindSafe(work)).unwrap_or(Err(CliError::Panicked));
    if cli.global.verbose {
        let requests = ui::human::count(progress.requests(), "request", "requests");
        ui::note(&format!(
            "{} took {:.3} s, {requests} to remotes",
            cli.command.name(),
            started.elapsed().as_secs_f64()
        ));
    }
    let error = match result {
        Ok(exit) => return exit,
        // Whatever the interruption led to, it is not the news.
        Err(_) if progress.check().is_err() => CliError::Interrupted,
        Err(error) => error,
    };
    let exit = error.exit();
    ui.show_error(Some(cli.command.name()), &error, exit);
    exit
}

/// Help, version, or a command line that clap does not understand.
fn refuse(refused: &clap::Error, args: &[OsString]) -> Exit {
    if !refused.use_stderr() {
        // A reader that goes away is no failure.
        let _ = refused.print();
        return Exit::Ok;
    }
    if args
        .iter()
        .skip(1)
        .take_while(|arg| *arg != "--")
        .any(|arg| arg == "--json")
    {
        let message = refused.to_string();
        let message = message.lines().next().unwrap_or_default();
        let line = ui::usage_as_json(message.strip_prefix("error: ").unwrap_or(message));
        let _ = std::io::stdout().write_all(line.as_bytes());
    } else {
        let _ = refused.print();
    }
    Exit::Usage
}
