//! The commands, one file each: `Args` is what it takes (its documentation is the help), `run` what it does.

mod add;
mod cache;
mod cat;
mod checkout;
mod commit;
mod completions;
mod config;
mod dag;
mod demo;
mod diff;
mod doctor;
mod du;
mod fetch;
mod filter_process;
mod freeze;
mod gc;
mod gc_remote;
mod get;
mod help;
mod hook;
mod import;
mod import_url;
mod init;
mod install;
mod log;
mod logs;
mod ls;
mod metrics;
mod migrate;
mod r#move;
mod params;
mod plots;
mod pull;
mod push;
mod remote;
mod remove;
mod replicate;
mod repro;
mod runs;
#[cfg_attr(not(feature = "server"), path = "serve_absent.rs")]
mod serve;
mod stage;
mod status;
mod track;
mod unfreeze;
mod uninstall;
mod untrack;
mod update;
mod verify;

pub(crate) use demo::DemoError;

use std::io::{self, Write};

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use super::ui::{Ui, human};
use crate::path::RepoPath;
use crate::repo::Paths;

/// Declares each command once: for clap, for the name rule and for running it.
macro_rules! commands {
    ($($variant:ident = $module:ident $name:literal $(alias $alias:literal)? $(, $progress:ident)?;)*) => {
        /// The command that was asked for.
        #[derive(Debug, clap::Subcommand)]
        pub(crate) enum Command {
            $(#[command(name = $name $(, visible_alias = $alias)?)] $variant($module::Args),)*
        }

        /// All names of commands, aliases included.
        pub(crate) const NAMES: &[&str] = &[$($name, $($alias,)?)*];

        impl Command {
            /// Its name.
            pub(crate) const fn name(&self) -> &'static str {
                match self {
                    $(Self::$variant(_) => $name,)*
                }
            }

            /// Whether it works long enough to need a progress line.
            pub(crate) const fn has_progress(&self) -> bool {
                match self {
                    $(Self::$variant(_) => commands!(@progress $($progress)?),)*
                }
            }

            /// Runs it and shows its outcome.
            pub(crate) fn run(&self, context: &Context, ui: &Ui) -> Result<Exit, CliError> {
                match self {
                    $(Self::$variant(args) => {
                        let line = ui.progress_line(self.has_progress(), &context.progress);
                        let outcome = $module::run(args, context);
                        drop(line);
                        ui.show(self.name(), &outcome?)
                    })*
                }
            }
        }
    };
    (@progress) => { false };
    (@progress progress) => { true };
}

commands! {
    Init = init "init";
    Add = add "add", progress;
    Commit = commit "commit", progress;
    Status = status "status", progress;
    Checkout = checkout "checkout", progress;
    Diff = diff "diff", progress;
    Log = log "log";
    Push = push "push", progress;
    Fetch = fetch "fetch", progress;
    Pull = pull "pull", progress;
    Get = get "get", progress;
    Import = import "import", progress;
    ImportUrl = import_url "import-url", progress;
    Update = update "update", progress;
    Repro = repro "repro";
    Stage = stage "stage";
    Logs = logs "logs";
    Runs = runs "runs";
    Freeze = freeze "freeze";
    Unfreeze = unfreeze "unfreeze";
    Replicate = replicate "replicate", progress;
    Remote = remote "remote";
    Serve = serve "serve";
    Config = config "config";
    Remove = remove "remove";
    Move = r#move "move";
    Track = track "track", progress;
    Untrack = untrack "untrack";
    Migrate = migrate "migrate", progress;
    Dag = dag "dag";
    Params = params "params";
    Metrics = metrics "metrics";
    Plots = plots "plots";
    Ls = ls "ls" alias "list";
    Cat = cat "cat";
    Du = du "du", progress;
    Verify = verify "verify", progress;
    Gc = gc "gc", progress;
    Cache = cache "cache", progress;
    Install = install "install";
    Uninstall = uninstall "uninstall";
    Doctor = doctor "doctor";
    Completions = completions "completions";
    Demo = demo "demo";
    Hook = hook "hook", progress;
    FilterProcess = filter_process "filter-process";
    Help = help "help";
}

/// Lists the first of some paths of an output, and how many more there are. The output itself is named already.
fn list_paths(out: &mut dyn Write, paths: &Paths, output: &RepoPath) -> io::Result<()> {
    for path in paths.first.iter().filter(|path| *path != output) {
        writeln!(out, "  {path}")?;
    }
    match paths.count.saturating_sub(paths.first.len() as u64) {
        0 => Ok(()),
        more => writeln!(out, "  … and {} more", human::number(more)),
    }
}
