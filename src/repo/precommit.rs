//! What a pre-commit hook looks at: whether what is staged stands for the data as it is.
//!
//! The pointers and lock files are those of git's index, which a commit takes, not those of the work tree. An output that is not here, or
//! only in part, is no reason to stop; in a merge or rebase, neither is one that was not brought up to date yet.

use super::observe::pointer_node;
use super::outputs::stage_target;
use super::status::Look;
use super::{Output, OutputMode, OutputState, Repository, Result, Target};
use crate::git::{self, LockedIn, LockedOut, Pointer, StagedFile};
use crate::path::{RepoPath, quote};
use crate::progress::Phase;

/// A reason not to commit.
#[derive(Debug, serde::Serialize)]
pub struct Objection {
    /// What it is about.
    pub path: RepoPath,
    /// The stage that made it, if it is an output of one.
    pub stage: Option<String>,
    /// What is wrong.
    pub why: ObjectionReason,
    /// The command that mends it.
    pub hint: String,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ObjectionReason {
    /// The output has changes that its pointer does not name.
    Modified,
    /// The output is as an earlier pointer says.
    Outdated,
    /// The pointer names what is here, and is not staged.
    PointerNotStaged,
    /// The staged pointer cannot be read.
    Pointer {
        /// Why.
        problem: String,
    },
    /// Git does not ignore the output.
    NotIgnored,
    /// The file that makes git ignore the output is not staged.
    IgnoreFileNotStaged {
        /// That file.
        file: RepoPath,
    },
    /// The file is large, and git itself would keep it for ever.
    Large {
        /// Its bytes.
        size: u64,
        /// The most that it may have.
        limit: u64,
    },
}

impl Repository {
    /// Looks for reasons not to commit what is staged.
    ///
    /// # Errors
    /// When the index or the workspace cannot be read.
    pub fn before_commit(&self) -> Result<Vec<Objection>> {
        self.progress.start(Phase::Scanning, 0, 0);
        let staged = self.git.staged_files()?;
        let mut found = Vec::new();
        let in_between = self.git.operation()?.is_some();
        let look = Look::new(self, false);
        for (pointer, parsed) in self.git.indexed_pointers()? {
            let Some(path) = git::output_path(&pointer) else {
                continue;
            };
            let is_staged = staged.iter().any(|file| file.path == pointer);
            match parsed {
                Ok(parsed) => {
                    let output = Output {
                        path,
                        pointer: parsed,
                        mode: OutputMode::Beside,
                    };
                    if is_staged {
                        found.extend(self.judge_ignored(&output)?);
                    }
                    let on_disk = || self.pointer_on_disk(&output);
                    found.extend(self.judge_output(output.clone(), on_disk, &look, in_between)?);
                }
                // One that was committed before is nobody's news; what is named so may be no pointer at all.
                Err(error) if is_staged => found.push(Objection {
                    hint: error
                        .hint()
                        .unwrap_or_else(|| format!("git restore --staged {pointer}")),
                    why: ObjectionReason::Pointer {
                        problem: error.problem.to_string(),
                    },
                    path: pointer,
                    stage: None,
                }),
                Err(_) => {}
            }
        }
        self.judge_locks(&staged, &look, in_between, &mut found)?;
        found.extend(
            self.config
                .large_file()
                .into_iter()
                .flat_map(|limit| too_large(&staged, limit)),
        );
        Ok(found)
    }

    /// The outputs of stages.
    fn judge_locks(
        &self,
        staged: &[StagedFile],
        look: &Look<'_>,
        in_between: bool,
        found: &mut Vec<Objection>,
    ) -> Result<()> {
        for (file, parsed) in self.git.indexed_locks()? {
            let is_staged = staged.iter().any(|staged| staged.path == file);
            let lock = match parsed {
                Ok(lock) => lock,
                Err(error) => {
                    found.extend(is_staged.then(|| Objection {
                        hint: error.hint().unwrap_or_else(|| format!("git restore --staged {file}")),
                        why: ObjectionReason::Pointer {
                            problem: error.problem.to_string(),
                        },
                        path: file,
                        stage: None,
                    }));
                    continue;
                }
            };
            // Whatever is wrong with the one on disk, it is not what is staged.
            let on_disk = self.read_lock(&file).unwrap_or_default();
            for (path, stage, out) in lock.cached() {
                let of = LockedIn {
                    lock: file.clone(),
                    stage: stage.to_owned(),
                    push: out.push,
                };
                let output = Output::locked(path, out, of);
                if is_staged {
                    found.extend(self.judge_ignored(&output)?);
                }
                let on_disk = on_disk.cached_at(path).map(LockedOut::to_pointer);
                found.extend(self.judge_output(output, || Ok(on_disk), look, in_between)?);
            }
        }
        Ok(())
    }

    /// `on_disk` is the pointer of the work tree.
    fn judge_output(
        &self,
        output: Output,
        on_disk: impl FnOnce() -> Result<Option<Pointer>>,
        look: &Look<'_>,
        in_between: bool,
    ) -> Result<Option<Objection>> {
        let judge = |output: &Output| {
            look.at(&Target {
                output: output.clone(),
                parts: Vec::new(),
                named: false,
                commit: None,
            })
        };
        let status = judge(&output)?;
        let path = output.path.clone();
        let (why, hint) = match status.state {
            OutputState::Diverged if !in_between => (
                ObjectionReason::Modified,
                match status.clashes.first() {
                    Some(clash) => format!(
                        "modver checkout --force {clash}   to take what the pointer names, or modver commit --force {path}"
                    ),
                    None => format!("modver checkout {path} && modver commit {path}"),
                },
            ),
            OutputState::Modified | OutputState::Diverged | OutputState::TypeChanged => {
                if on_disk()?.is_some_and(|on_disk| {
                    on_disk.content != output.pointer.content
                        && judge(&Output {
                            path: path.clone(),
                            pointer: on_disk,
                            mode: output.mode.clone(),
                        })
                        .is_ok_and(|status| status.state == OutputState::Unchanged)
                }) {
                    let pointer = output.pointer_path()?;
                    (ObjectionReason::PointerNotStaged, format!("git add {pointer}"))
                } else {
                    (ObjectionReason::Modified, record_again(&output))
                }
            }
            OutputState::Outdated if !in_between => match on_disk()? {
                Some(on_disk) if on_disk.content != output.pointer.content => {
                    let pointer = output.pointer_path()?;
                    (ObjectionReason::PointerNotStaged, format!("git add {pointer}"))
                }
                _ if status.in_cache == Some(false) => (ObjectionReason::Outdated, format!("modver pull {path}")),
                _ => (ObjectionReason::Outdated, format!("modver checkout {path}")),
            },
            _ => return Ok(None),
        };
        Ok(Some(Objection {
            stage: output.stage().map(stage_target),
            path,
            why,
            hint,
        }))
    }

    /// The pointer as it is in the work tree.
    fn pointer_on_disk(&self, output: &Output) -> Result<Option<Pointer>> {
        let pointer = output.pointer_path()?;
        let bytes = crate::fs::read_if_exists(&pointer.on_disk(self.root()), git::MAX_CONFLICT)?;
        Ok(bytes.and_then(|bytes| Pointer::parse(&bytes, &pointer).ok()))
    }

    /// Whether git will ignore the data in every clone of what is staged.
    fn judge_ignored(&self, output: &Output) -> Result<Option<Objection>> {
        let path = &output.path;
        let dir = path.parent().unwrap_or_default();
        let name = super::inputs::name_of(path)?;
        let file = dir.join(&crate::path::Name::new(b".gitignore")?);
        let staged = self.git.indexed_file(&file)?.unwrap_or_default();
        if git::has_entry(&staged, &name) {
            return Ok(None);
        }
        let is_dir = matches!(pointer_node(output), crate::object::Node::Dir { .. });
        let rule = self.git.excludes()?.is_excluded(path, is_dir)?;
        let objection = |why, hint| {
            Some(Objection {
                path: path.clone(),
                stage: output.stage().map(stage_target),
                why,
                hint,
            })
        };
        let not_ignored = match output.stage() {
            None => format!("modver add {path}"),
            Some(_) => format!("modver commit {path}"),
        };
        let Some(rule) = rule else {
            return Ok(objection(ObjectionReason::NotIgnored, not_ignored));
        };
        // A rule of another file counts if that is staged as it is.
        let source = rule.source.and_then(|source| {
            let source = self.root().join(source);
            RepoPath::from_user(&source, self.root(), self.root()).ok()
        });
        Ok(match source {
            Some(source) => {
                let on_disk = crate::fs::read_if_exists(&source.on_disk(self.root()), 1 << 24)?;
                if self.git.indexed_file(&source)? == on_disk {
                    None
                } else {
                    let hint = format!("git add {}", quote(source.as_bytes()));
                    objection(ObjectionReason::IgnoreFileNotStaged { file: source }, hint)
                }
            }
            // Only in this clone, such as `.git/info/exclude`.
            None => objection(ObjectionReason::NotIgnored, not_ignored),
        })
    }
}

/// What makes git's names for an output agree with what is here.
fn record_again(output: &Output) -> String {
    let path = &output.path;
    match output.stage() {
        None => format!("modver add {path}"),
        Some(of) => format!(
            "modver repro {}   or, to keep it as it is, modver commit {path}",
            stage_target(of)
        ),
    }
}

fn too_large(staged: &[StagedFile], limit: u64) -> impl Iterator<Item = Objection> {
    let large = staged.iter().filter(move |file| file.size > limit);
    large.map(move |file| Objection {
        path: file.path.clone(),
        stage: None,
        why: ObjectionReason::Large { size: file.size, limit },
        hint: format!("git rm --cached {path} && modver add {path}", path = file.path),
    })
}
