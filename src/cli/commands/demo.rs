//! `modver demo`.
//!
//! Runs this program, git and `sh` as a user would, in a directory of its own with a home of its own, so that nothing
//! of the user's settings matters or changes. Every step is checked.

use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Render, Style, human};
use crate::fs::{self, Dir, FileKind};
use crate::hash::FileId;
use crate::path::Name;
use crate::progress::Progress;

/// Show what modver does, on real data, in a temporary directory
///
/// Adds, commits, pushes, changes, clones, pulls and goes back, then runs a small pipeline, printing each command and
/// what it says, and checks every step. Needs nothing but git, sh and awk. Your own settings are neither used nor changed.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver demo
  modver demo --dir /tmp/modver-demo")]
pub(crate) struct Args {
    /// Work in this directory, which must not exist yet or be empty, and keep it
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// Keep the temporary directory
    #[arg(long)]
    keep: bool,
}

/// Fisher's iris measurements.
const IRIS: &str = include_str!("../../../fixtures/iris/data/iris.csv");
/// Stages that learn to recognise the flowers.
const STAGES: &str = include_str!("../../../fixtures/iris/mv.toml");
/// What they need.
const PROGRAMS: [(&str, &str); 5] = [
    ("evaluate.awk", include_str!("../../../fixtures/iris/evaluate.awk")),
    ("params.awk", include_str!("../../../fixtures/iris/params.awk")),
    ("params.toml", include_str!("../../../fixtures/iris/params.toml")),
    ("prepare.awk", include_str!("../../../fixtures/iris/prepare.awk")),
    ("train.awk", include_str!("../../../fixtures/iris/train.awk")),
];
/// Numbers in the generated model: 4 MiB of 32-bit floats.
const WEIGHTS: u32 = 1 << 20;
/// The largest file that is read back to be compared.
const LARGEST: u64 = 64 << 20;

/// Why the demonstration stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DemoError {
    #[error("`{}` exists and is not an empty directory", .0.display())]
    NotEmpty(PathBuf),
    #[error("cannot run `{command}`")]
    Run {
        command: String,
        #[source]
        source: io::Error,
    },
    #[error("`{command}` failed ({status}); what it did is in {}", .dir.display())]
    Failed {
        command: String,
        status: std::process::ExitStatus,
        dir: PathBuf,
    },
    #[error("{what} is not what it should be; see {}", .dir.display())]
    Wrong { what: &'static str, dir: PathBuf },
}

/// A command that was run.
#[derive(Debug, serde::Serialize)]
struct Step {
    command: String,
    output: String,
}

/// What was shown.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Shown {
    steps: Vec<Step>,
    /// Bytes of the model, and bytes that storing its changed version took.
    model_bytes: u64,
    second_version_stored_bytes: u64,
    /// The directory, if it was kept.
    dir: Option<PathBuf>,
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        writeln!(
            out,
            "\nEverything came back byte for byte, and only what had to run did."
        )
    }

    fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match &self.dir {
            Some(dir) => writeln!(out, "kept: {}", dir.display()),
            None => Ok(()),
        }
    }
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let (dir, keep) = match &args.dir {
        Some(dir) => (given(&context.cwd.join(dir))?, true),
        None => (temporary()?, args.keep),
    };
    let mut demo = Demo::new(&dir, context)?;
    // What failed is left for whoever wants to look.
    let (model_bytes, second_version_stored_bytes) = demo.play()?;
    let steps = demo.steps;
    if !keep {
        fs::remove_dir_all(&dir)?;
    }
    Ok(Shown {
        steps,
        model_bytes,
        second_version_stored_bytes,
        dir: keep.then_some(dir),
    })
}

fn given(dir: &Path) -> Result<PathBuf, CliError> {
    match fs::stat(dir)? {
        None => fs::create_dir_all(dir)?,
        Some(stat) if stat.kind == FileKind::Dir && fs::list(dir)?.is_empty() => {}
        Some(_) => return Err(DemoError::NotEmpty(dir.to_owned()).into()),
    }
    Ok(fs::canonicalize(dir)?)
}

/// A new directory that nobody else has.
fn temporary() -> Result<PathBuf, CliError> {
    let parent = fs::canonicalize(&std::env::temp_dir())?;
    let handle = Dir::open(&parent)?;
    for attempt in 0_u32.. {
        let name = format!("modver-demo-{}-{attempt}", std::process::id());
        let Ok(name) = Name::new(name.as_bytes()) else {
            break;
        };
        if handle.create_dir(&name)? {
            return Ok(parent.join(name.as_os()));
        }
    }
    Err(DemoError::NotEmpty(parent).into())
}

struct Demo {
    dir: PathBuf,
    /// Where the next command runs.
    at: PathBuf,
    modver: PathBuf,
    /// Variables of the user that would change what git or modver do.
    unset: Vec<String>,
    show: bool,
    progress: Arc<Progress>,
    steps: Vec<Step>,
}

impl Demo {
    fn new(dir: &Path, context: &Context) -> Result<Self, CliError> {
        let this = std::env::current_exe().map_err(|source| DemoError::Run {
            command: "modver".to_owned(),
            source,
        })?;
        // Run as `mv demo`, the program beside it has the name that is always ours.
        let beside = this.with_file_name("modver");
        let modver = if fs::stat(&beside)?.is_some() { beside } else { this };
        let names = ["GIT_", "MODVER_", "XDG_CONFIG_HOME"];
        let unset = names
            .iter()
            .flat_map(|prefix| context.env.with_prefix(prefix))
            .map(|(name, _)| name.to_owned())
            .collect();
        for sub in ["home", "project"] {
            fs::create_dir_all(&dir.join(sub))?;
        }
        Ok(Self {
            dir: dir.to_owned(),
            at: dir.join("project"),
            modver,
            unset,
            show: !context.json && !context.quiet,
            progress: Arc::clone(&context.progress),
            steps: Vec::new(),
        })
    }

    /// The whole piece. Returns the bytes of the model and those that its second version took.
    fn play(&mut self) -> Result<(u64, u64), CliError> {
        self.say("A git repository with a table (Fisher's iris) and a model of 4 MiB.");
        self.git(&["init"])?;
        self.modver(&["init"])?;
        let first = (IRIS.as_bytes().to_vec(), model());
        fs::create_dir_all(&self.at.join("data"))?;
        fs::write_atomic(&self.at.join("data/iris.csv"), &first.0)?;
        fs::write_atomic(&self.at.join("model.bin"), &first.1)?;
        self.sh("ls -l data/iris.csv model.bin | awk '{print $5, $NF}'")?;

        self.say("Track them: git gets two small pointers, the content goes to the cache.");
        self.modver(&["add", "data", "model.bin"])?;
        self.sh("cat model.bin.mv")?;
        self.git(&["commit", "-m", "Data and model"])?;
        self.git(&["tag", "v1"])?;

        self.say("Share the content through a directory (s3://bucket/prefix works the same way).");
        self.sh("mkdir ../store")?;
        self.modver(&["remote", "add", "store", "../store"])?;
        self.git(&["commit", "-m", "Where the content is shared"])?;
        self.modver(&["push"])?;

        self.say("Change both: three rows more, and 15 bytes put in front of everything in the model.");
        self.sh("sed -n '2,4p' data/iris.csv >> data/iris.csv")?;
        self.sh("printf 'tuned: epoch 2\\n' | cat - model.bin > new && cat new > model.bin && rm new")?;
        self.modver(&["status"])?;
        let before = size_of(&self.dir.join("project/.git/modver/cache/packs"))?;
        self.modver(&["add", "data", "model.bin"])?;
        let stored = size_of(&self.dir.join("project/.git/modver/cache/packs"))?.saturating_sub(before);
        let second = (self.read("data/iris.csv")?, self.read("model.bin")?);
        self.check("the changed data", first != second && second.1.ends_with(&first.1))?;
        self.say(&format!(
            "The model has {}; storing its second version took {}.",
            human::bytes(second.1.len() as u64),
            human::bytes(stored)
        ));
        self.check("what the second version took", stored < second.1.len() as u64 / 4)?;
        self.git(&["commit", "-m", "More rows, tuned model"])?;
        self.modver(&["push"])?;

        self.say("A colleague clones with git and pulls the content.");
        self.cd("..");
        self.git(&["clone", "project", "clone"])?;
        self.cd("clone");
        self.modver(&["pull"])?;
        self.compare("the clone", &second)?;
        self.modver(&["verify"])?;

        self.say("The id in a pointer is the file's BLAKE3 hash, which b3sum prints, too.");
        self.sh("grep '^id' model.bin.mv")?;
        self.hash_model(&second.1)?;

        self.say("Back to the first version, where both are in the cache.");
        self.cd("../project");
        self.git(&["checkout", "--quiet", "v1"])?;
        self.modver(&["checkout"])?;
        self.compare("the first version", &first)?;
        self.modver(&["status", "--check"])?;

        self.pipeline()?;
        Ok((second.1.len() as u64, stored))
    }

    /// From the table to a number, and what a changed parameter makes of it.
    fn pipeline(&mut self) -> Result<(), CliError> {
        self.say("A pipeline on the same table: divide it, learn from one part, try on the other. Stages stand in mv.toml.");
        self.git(&["checkout", "--quiet", "-b", "recognise"])?;
        for (name, text) in PROGRAMS {
            fs::write_atomic(&self.at.join(name), text.as_bytes())?;
        }
        let mut project = self.read("mv.toml")?;
        project.extend_from_slice(b"\n");
        project.extend_from_slice(STAGES.as_bytes());
        fs::write_atomic(&self.at.join("mv.toml"), &project)?;
        self.sh("tail -n 6 mv.toml")?;
        self.sh("cat params.toml")?;
        self.modver(&["repro"])?;
        self.check("the runs", self.ran(&["prepare", "train", "evaluate"], &[]))?;
        self.sh("cat metrics.json")?;
        let first = self.read("metrics.json")?;
        self.git(&["add", "."])?;
        self.git(&["commit", "--quiet", "-m", "Recognise flowers"])?;

        self.say("Nothing changed: nothing runs.");
        self.modver(&["repro"])?;
        self.check("what did not run", self.ran(&[], &["prepare", "train", "evaluate"]))?;

        self.say("Change one parameter: only what depends on it runs.");
        self.sh("sed -i.bak '/^features/s/\"sepal_[a-z]*\", //g' params.toml && rm params.toml.bak")?;
        self.modver(&["repro"])?;
        self.check("what ran", self.ran(&["train", "evaluate"], &["prepare"]))?;
        self.modver(&["metrics", "diff"])?;
        let second = self.read("metrics.json")?;
        self.check("the accuracy", first != second)?;

        self.say("And back: what was run before is restored, not run again.");
        self.git(&["checkout", "--quiet", "params.toml"])?;
        self.modver(&["repro"])?;
        self.check("what ran", self.ran(&[], &["prepare", "train", "evaluate"]))?;
        self.check("the restored metrics", self.read("metrics.json")? == first)?;
        self.modver(&["repro", "--verify", "--quiet"])?;
        Ok(())
    }

    /// Whether the last command ran these stages, and not those.
    fn ran(&self, these: &[&str], those: &[&str]) -> bool {
        let output = self.steps.last().map_or("", |step| &step.output);
        let ran = |stage: &&str| {
            output
                .lines()
                .any(|line| line.starts_with(&format!("ran       {stage} ")))
        };
        these.iter().all(ran) && !those.iter().any(ran)
    }

    fn say(&self, text: &str) {
        self.print(&format!("\n# {text}\n"));
    }

    fn cd(&mut self, way: &str) {
        self.print(&format!("$ cd {way}\n"));
        for name in way.split('/') {
            if name == ".." {
                self.at.pop();
            } else {
                self.at.push(name);
            }
        }
    }

    fn print(&self, text: &str) {
        if self.show {
            let mut out = io::stdout().lock();
            // A reader that goes away does not stop the demonstration.
            let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
        }
    }

    fn modver(&mut self, args: &[&str]) -> Result<String, CliError> {
        let program = self.modver.clone();
        self.command(&format!("modver {}", words(args)), program.as_os_str(), args)
    }

    fn git(&mut self, args: &[&str]) -> Result<String, CliError> {
        self.command(&format!("git {}", words(args)), OsStr::new("git"), args)
    }

    fn sh(&mut self, script: &str) -> Result<String, CliError> {
        self.command(script, OsStr::new("sh"), &["-euc", script])
    }

    /// Runs a command, shows it and what it says, and requires that it succeeds.
    fn command(&mut self, shown: &str, program: &OsStr, args: &[&str]) -> Result<String, CliError> {
        self.progress.check().map_err(|_| CliError::Interrupted)?;
        self.print(&format!("$ {shown}\n"));
        let failed = |source| DemoError::Run {
            command: shown.to_owned(),
            source,
        };
        let (mut reader, writer) = io::pipe().map_err(failed)?;
        let mut command = Command::new(program);
        for name in &self.unset {
            command.env_remove(name);
        }
        command
            .args(args)
            .current_dir(&self.at)
            .envs(ENVIRONMENT.iter().copied())
            .env("HOME", self.dir.join("home"))
            .stdin(Stdio::null())
            // One pipe for both, so that the order is kept.
            .stdout(writer.try_clone().map_err(failed)?)
            .stderr(writer);
        let mut child = command.spawn().map_err(failed)?;
        // It holds the writing end, without which reading would never end.
        drop(command);
        let mut output = Vec::new();
        io::Read::read_to_end(&mut reader, &mut output).map_err(failed)?;
        let status = child.wait().map_err(failed)?;
        let output = String::from_utf8_lossy(&output).into_owned();
        self.print(&output);
        self.steps.push(Step {
            command: shown.to_owned(),
            output: output.clone(),
        });
        if status.success() {
            Ok(output)
        } else {
            Err(DemoError::Failed {
                command: shown.to_owned(),
                status,
                dir: self.dir.clone(),
            }
            .into())
        }
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, CliError> {
        Ok(fs::read(&self.at.join(path), LARGEST)?)
    }

    fn check(&self, what: &'static str, holds: bool) -> Result<(), CliError> {
        if holds {
            return Ok(());
        }
        Err(DemoError::Wrong {
            what,
            dir: self.dir.clone(),
        }
        .into())
    }

    fn compare(&self, what: &'static str, expected: &(Vec<u8>, Vec<u8>)) -> Result<(), CliError> {
        let found = (self.read("data/iris.csv")?, self.read("model.bin")?);
        self.check(what, found == *expected)
    }

    /// Compares the id in the pointer with `b3sum`, or with our own hashing where there is none.
    fn hash_model(&mut self, model: &[u8]) -> Result<(), CliError> {
        let id = FileId::of(model).to_string();
        let pointer = self.read("model.bin.mv")?;
        self.check("the pointer's id", String::from_utf8_lossy(&pointer).contains(&id))?;
        let has_b3sum = Command::new("b3sum")
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success());
        if has_b3sum {
            let printed = self.sh("b3sum model.bin")?;
            self.check("what b3sum prints", printed.starts_with(&id))
        } else {
            self.print("(there is no b3sum on PATH: modver's own hash of the file is the same)\n");
            Ok(())
        }
    }
}

/// What makes git independent of the user's settings.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_CONFIG_GLOBAL", "/dev/null"),
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_CONFIG_COUNT", "2"),
    ("GIT_CONFIG_KEY_0", "init.defaultBranch"),
    ("GIT_CONFIG_VALUE_0", "main"),
    ("GIT_CONFIG_KEY_1", "core.pager"),
    ("GIT_CONFIG_VALUE_1", "cat"),
    ("GIT_AUTHOR_NAME", "Ada"),
    ("GIT_AUTHOR_EMAIL", "ada@example.org"),
    ("GIT_COMMITTER_NAME", "Ada"),
    ("GIT_COMMITTER_EMAIL", "ada@example.org"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

/// Arguments as one would type them.
fn words(args: &[&str]) -> String {
    let quoted = args.iter().map(|arg| {
        if arg.contains(' ') {
            format!("'{arg}'")
        } else {
            (*arg).to_owned()
        }
    });
    quoted.collect::<Vec<_>>().join(" ")
}

/// Bytes of the files in the directories of `dir`.
fn size_of(dir: &Path) -> Result<u64, CliError> {
    let mut bytes = 0;
    for sub in fs::list(dir)? {
        let sub = dir.join(sub);
        for file in fs::list(&sub)? {
            bytes += fs::stat(&sub.join(file))?.map_or(0, |stat| stat.size);
        }
    }
    Ok(bytes)
}

/// Floats between -0.1 and 0.1, always the same.
fn model() -> Vec<u8> {
    let mut state = 20_260_101_u32;
    let mut bytes = Vec::with_capacity(WEIGHTS as usize * 4);
    for _ in 0..WEIGHTS {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let unit = f64::from(state) / f64::from(u32::MAX);
        #[allow(clippy::cast_possible_truncation, reason = "weights have 32 bits")]
        let weight = (unit * 0.2 - 0.1) as f32;
        bytes.extend_from_slice(&weight.to_le_bytes());
    }
    bytes
}
