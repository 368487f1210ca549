//! `modver hook`: what git's hooks and its merge driver call.

use std::ffi::OsString;
use std::io::{self, Read as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{checkout, push};
use crate::causes::chain;
use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::exit::Exit;
use crate::cli::ui::{self, Colour, Render, Style, human};
use crate::git::{GitError, Hook, Unsent};
use crate::path::{RepoPath, quote};
use crate::pipeline::runs::{SharedRuns, push_runs};
use crate::repo::{
    CheckoutOutcome, MergeOutcome, MergeRequest, Moved, Objection, ObjectionReason, PushOutcome, RepoError,
    Repository,
};

/// What follows when data cannot be pushed.
const NOT_PUSHED: &str = "git pushes nothing either; git push --no-verify pushes without the data";

/// What git's hooks and its merge driver call
#[derive(Debug, clap::Args)]
#[command(hide = true)]
pub(crate) struct Args {
    /// The hook
    #[arg(value_enum)]
    hook: Name,
    /// What git gives to it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    args: Vec<OsString>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    PostCheckout,
    PostMerge,
    PostRewrite,
    PreCommit,
    PrePush,
    Merge,
}

/// What a hook did.
#[derive(Debug, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Shown {
    /// There was nothing to do.
    Nothing {},
    /// Data followed.
    Followed(checkout::Shown),
    /// What speaks against the commit.
    Objections(Vec<Objection>),
    /// What was pushed.
    Pushed(PushOutcome),
    /// What was merged.
    Merged(MergeOutcome),
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let repository = match context.repository() {
        Ok(repository) => repository,
        // A hook that several repositories share runs in places that are none of ours.
        Err(CliError::Repo(RepoError::Git(GitError::NotARepository { .. } | GitError::Bare { .. })))
            if args.hook != Name::Merge =>
        {
            return Ok(Shown::Nothing {});
        }
        Err(error) => return Err(error),
    };
    if !is_gits(&repository, context) {
        return Ok(Shown::Nothing {});
    }
    let given = Given { args, context };
    Ok(match args.hook {
        Name::PostCheckout => {
            let kind = given.word(2, "PRE_COMMIT_CHECKOUT_TYPE");
            if kind.as_deref() != Some("1") {
                return Ok(Shown::Nothing {});
            }
            follow(&repository, Hook::PostCheckout, given.word(0, "PRE_COMMIT_FROM_REF"))?
        }
        Name::PostMerge => follow(&repository, Hook::PostMerge, Some("ORIG_HEAD".to_owned()))?,
        Name::PostRewrite => {
            if given.word(0, "PRE_COMMIT_REWRITE_COMMAND").as_deref() != Some("rebase") {
                return Ok(Shown::Nothing {});
            }
            // The last commit that was replaced is the branch as it was.
            let input = input()?;
            let before = input.lines().last().and_then(|line| line.split(' ').next());
            let before = Some(before.unwrap_or("ORIG_HEAD").to_owned());
            follow(&repository, Hook::PostRewrite, before)?
        }
        Name::PreCommit => match repository.before_commit()? {
            found if found.is_empty() => Shown::Nothing {},
            found => Shown::Objections(found),
        },
        Name::PrePush => {
            let unsent = given.unsent()?;
            match repository.push_unsent(&unsent) {
                Ok(None) => Shown::Nothing {},
                Ok(Some(outcome)) => {
                    if push::exit(&outcome) == Exit::Ok {
                        push_runs_of(&repository, &unsent);
                    }
                    Shown::Pushed(outcome)
                }
                Err(error) => {
                    ui::note(NOT_PUSHED);
                    return Err(error.into());
                }
            }
        }
        Name::Merge => {
            let [base, ours, theirs, marker_size, path] = &args.args[..] else {
                return Err(CliError::HookArguments);
            };
            let file = |name: &OsString| context.cwd.join(name);
            Shown::Merged(repository.merge_pointers(&MergeRequest {
                base: file(base),
                ours: file(ours),
                theirs: file(theirs),
                path: RepoPath::new(path.as_bytes()).map_err(RepoError::from)?,
                marker_size: marker_size.to_string_lossy().into_owned(),
            })?)
        }
    })
}

/// Whether the repository around the working directory is the one that git works on.
fn is_gits(repository: &Repository, context: &Context) -> bool {
    let Some(dir) = context.env.get("GIT_DIR") else {
        return true;
    };
    let same = |own: &Path| crate::fs::canonicalize(&context.cwd.join(dir)).is_ok_and(|dir| dir == own);
    same(repository.git().git_dir()) || same(repository.git().common_dir())
}

/// The runs that made what is pushed, so that others need not make it again. That is a help, and no part of the commits:
/// git's push does not fail for it.
fn push_runs_of(repository: &Repository, unsent: &Unsent) {
    let push = || -> Result<SharedRuns, CliError> {
        let made = repository.unsent_roots(unsent)?;
        let mut sent = SharedRuns::default();
        // Each output may have a remote of its own.
        for remote in repository.push_remotes(&[]).unwrap_or_default() {
            let more = push_runs(repository, Some(&remote), Some(&made))?;
            sent = sent.and(more);
        }
        Ok(sent)
    };
    match push() {
        Ok(SharedRuns { runs: 0, .. }) => {}
        Ok(sent) => ui::note(&format!(
            "pushed {}",
            human::count(sent.runs, "run of a stage", "runs of stages")
        )),
        Err(error) => ui::note(&format!("runs of stages were not pushed: {}", chain(&error).join(": "))),
    }
}

fn follow(repository: &Repository, hook: Hook, before: Option<String>) -> Result<Shown, CliError> {
    let before = before.filter(|id| !id.bytes().all(|b| b == b'0'));
    Ok(match repository.follow(&Moved { hook, before })? {
        None => Shown::Nothing {},
        Some(outcome) => Shown::Followed(checkout::Shown(outcome)),
    })
}

fn input() -> Result<String, CliError> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes).map_err(CliError::Input)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a hook is given: by git as arguments and input, by the pre-commit framework in the environment.
struct Given<'a> {
    args: &'a Args,
    context: &'a Context,
}

impl Given<'_> {
    fn word(&self, n: usize, variable: &str) -> Option<String> {
        let arg = self.args.args.get(n).map(OsString::as_os_str);
        let found = arg.or_else(|| self.context.env.get(variable));
        found.map(|word| word.to_string_lossy().into_owned())
    }

    fn unsent(&self) -> Result<Unsent, CliError> {
        let mut unsent = Unsent {
            remote: self.word(0, "PRE_COMMIT_REMOTE_NAME"),
            ..Unsent::default()
        };
        let is_id = |id: &&str| !id.is_empty() && !id.bytes().all(|b| b == b'0');
        if self.args.args.is_empty() {
            let of = |variable: &str| Some(self.context.env.get(variable)?.to_string_lossy().into_owned());
            unsent.known.extend(of("PRE_COMMIT_FROM_REF"));
            unsent
                .tips
                .extend(of("PRE_COMMIT_TO_REF").or_else(|| of("PRE_COMMIT_LOCAL_BRANCH")));
            return Ok(unsent);
        }
        // LOCAL-REF LOCAL-ID REMOTE-REF REMOTE-ID
        for line in input()?.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let [_, local, _, remote] = words[..] else { continue };
            unsent.tips.extend(Some(local).filter(is_id).map(str::to_owned));
            unsent.known.extend(Some(remote).filter(is_id).map(str::to_owned));
        }
        Ok(unsent)
    }
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Followed(shown) => shown.text(out, style),
            Self::Pushed(outcome) if push::exit(outcome) == Exit::Ok => push::text(outcome, out),
            Self::Nothing {} | Self::Objections(_) | Self::Pushed(_) | Self::Merged(_) => Ok(()),
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Nothing {} => Ok(()),
            Self::Followed(shown) => followed(&shown.0, out, style),
            Self::Objections(found) => objections(found, out, style),
            Self::Pushed(outcome) => {
                push::notes(outcome, out, style)?;
                if push::exit(outcome) == Exit::Ok {
                    return Ok(());
                }
                writeln!(out, "{NOT_PUSHED}")
            }
            Self::Merged(outcome) => merged(outcome, out, style),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            // What is in the way or missing is said; git has done its part.
            Self::Nothing {} | Self::Followed(_) => Exit::Ok,
            Self::Objections(_) => Exit::Failure,
            Self::Pushed(outcome) => push::exit(outcome),
            Self::Merged(outcome) if outcome.conflicts == 0 => Exit::Ok,
            Self::Merged(_) => Exit::Failure,
        }
    }
}

/// What was left alone one by one, what is missing in one line for each output.
fn followed(outcome: &CheckoutOutcome, out: &mut dyn Write, style: Style) -> io::Result<()> {
    let mut any_missing = false;
    for output in &outcome.outputs {
        let missing = output.failures.iter().filter(|failure| failure.missing).count() as u64;
        if missing > 0 {
            any_missing = true;
            let path = &output.path;
            let parts = human::count(missing, "file or listing is", "files and listings are");
            writeln!(out, "{path} is not as its pointer says yet: {parts} not in the cache")?;
        }
    }
    if any_missing {
        writeln!(out, "{} modver pull", style.paint(Colour::Hint, "hint:"))?;
    }
    checkout::show_troubles(outcome, false, out, style)
}

fn objections(found: &[Objection], out: &mut dyn Write, style: Style) -> io::Result<()> {
    for objection in found {
        let path = &objection.path;
        let named_by = if objection.stage.is_some() || crate::git::is_lock_path(path) {
            "lock file"
        } else {
            "pointer"
        };
        let what = match &objection.why {
            ObjectionReason::Modified => format!("{path} has changes that the staged {named_by} does not name"),
            ObjectionReason::Outdated => {
                format!("{path} is not what the staged {named_by} names, but an earlier version")
            }
            ObjectionReason::PointerNotStaged => format!("the {named_by} of {path} is not staged as it is"),
            ObjectionReason::Pointer { problem } => format!("{path} is staged and no valid {named_by}: {problem}"),
            ObjectionReason::NotIgnored => format!("{path} is tracked by modver and not ignored by git"),
            ObjectionReason::IgnoreFileNotStaged { file } => {
                format!("{path} is ignored by git because of {file}, which is not staged as it is")
            }
            ObjectionReason::Large { size, limit } => format!(
                "{path} has {}, and git would keep it for ever (core.large_file: {})",
                human::bytes(*size),
                human::bytes(*limit)
            ),
        };
        writeln!(out, "{} {what}", style.paint(Colour::Bad, "not committed:"))?;
        writeln!(out, "{} {}", style.paint(Colour::Hint, "hint:"), objection.hint)?;
    }
    writeln!(out, "git commit --no-verify commits all the same")
}

fn merged(outcome: &MergeOutcome, out: &mut dyn Write, style: Style) -> io::Result<()> {
    if outcome.conflicts == 0 || outcome.as_text {
        return Ok(());
    }
    let path = quote(outcome.path.as_bytes());
    let parts = human::count(outcome.conflicts, "conflict", "conflicts");
    let (label, hint) = (style.paint(Colour::Bad, "modver:"), style.paint(Colour::Hint, "hint:"));
    let Some(output) = crate::git::output_path(&outcome.path) else {
        return writeln!(
            out,
            "{label} {path}: {parts}\n{hint} modver checkout --ours {path} or modver checkout --theirs {path}, then modver \
             repro"
        );
    };
    if let Some(why) = &outcome.not_by_path {
        writeln!(out, "{path} was not merged path by path: {why}")?;
    }
    writeln!(out, "{label} {output}: {parts}")?;
    writeln!(
        out,
        "{hint} modver status {output}, then modver checkout --ours PATH or modver checkout --theirs PATH"
    )
}
