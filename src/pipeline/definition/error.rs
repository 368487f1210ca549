//! What can be wrong with the definition of stages: always with the file, the line and the nearest right spelling.

use std::fmt;

use crate::config::ConfigError;
use crate::fs::FsError;
use crate::git::GitError;
use crate::path::{RepoPath, quote};
use crate::pipeline::StageId;
use crate::pipeline::ValuesError;
use crate::repo::{RepoError, shell_word};

/// Result of reading definitions.
pub type Result<T, E = DefinitionError> = std::result::Result<T, E>;

/// A line of a project file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Place {
    /// The file.
    pub file: RepoPath,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// Why definitions cannot be read, or do not fit together.
#[derive(Debug, thiserror::Error)]
pub enum DefinitionError {
    /// A file cannot be read.
    #[error(transparent)]
    Fs(#[from] FsError),
    /// A revision cannot be read.
    #[error(transparent)]
    Git(#[from] GitError),
    /// The repository cannot be read.
    #[error(transparent)]
    Repo(#[from] RepoError),
    /// A file of variables cannot be read.
    #[error(transparent)]
    Values(#[from] ValuesError),
    /// A file of variables has no names for them.
    #[error("{path}: variables need names: expected a table, found {found}")]
    NotNamed {
        /// The file.
        path: RepoPath,
        /// What it holds.
        found: &'static str,
    },
    /// A project file is not TOML.
    #[error("{place}:{column}: {message}")]
    Syntax {
        /// Where.
        place: Place,
        /// The character in the line, from 1.
        column: usize,
        /// What is wrong.
        message: String,
    },
    /// Something in a project file is wrong.
    #[error("{place}: {problem}")]
    At {
        /// Where.
        place: Place,
        /// What.
        problem: Box<Problem>,
    },
    /// Stages depend on each other in a circle.
    #[error("{}", cycle(.stages))]
    Cycle {
        /// They, each depending on the one before it and the first on the last.
        stages: Vec<(StageId, Place)>,
    },
    /// Two outputs are the same, or one is inside the other.
    #[error("{place}: output `{path}` of stage `{stage}` {relation} `{other}` of stage `{owner}` ({owner_place})", relation = if .path == .other { "is also output" } else { "overlaps output" })]
    Overlap {
        /// The stage that comes later.
        stage: Box<StageId>,
        /// Where it is defined.
        place: Place,
        /// Its output.
        path: RepoPath,
        /// The other stage; may be the same.
        owner: Box<StageId>,
        /// Where that is defined.
        owner_place: Box<Place>,
        /// Its output.
        other: RepoPath,
    },
    /// A stage reads what it makes.
    #[error("{place}: stage `{stage}` depends on its own output: dep `{dep}`, output `{out}`")]
    OwnOutput {
        /// The stage.
        stage: Box<StageId>,
        /// Where it is defined.
        place: Place,
        /// The dependency.
        dep: RepoPath,
        /// The output.
        out: RepoPath,
    },
    /// What the user named is no stage.
    #[error("there is no stage, output or project file `{}`", quote(.target.as_bytes()))]
    UnknownTarget {
        /// What was typed.
        target: String,
        /// The nearest right spelling.
        nearest: Option<String>,
    },
    /// A pattern matches no stage.
    #[error("no stage has a name like `{}`", quote(.0.as_bytes()))]
    NoMatch(String),
    /// A pattern cannot be understood.
    #[error("`{}` is not a pattern: {problem}", quote(.pattern.as_bytes()))]
    BadPattern {
        /// What was typed.
        pattern: String,
        /// Why.
        problem: String,
    },
    /// A stage's list or matrix is empty.
    #[error("stage `{0}` has no members: its `matrix` or `foreach` is empty")]
    NoMembers(StageId),
    /// A stage of this name is defined already.
    #[error("{place}: there is a stage `{name}` already")]
    Exists {
        /// Its name.
        name: String,
        /// Where it is defined.
        place: Place,
    },
    /// A text is no name of a stage.
    #[error(transparent)]
    Name(Box<Problem>),
    /// One of several stages with one definition.
    #[error("`{member}` is one of several: only all of `{group}` can be changed")]
    OneOfMany {
        /// What was typed.
        member: String,
        /// The name of the definition.
        group: String,
    },
    /// A project file is laid out in a way that is not edited.
    #[error("{file}: `stages` is not written as tables [stages.NAME], which is all that is edited")]
    Layout {
        /// The file.
        file: RepoPath,
    },
    /// A project file would be too long to be read.
    #[error("{file} would be longer than {limit} bytes")]
    TooLong {
        /// The file.
        file: RepoPath,
        /// What is allowed.
        limit: u64,
    },
    /// There is no stage around.
    #[error("no `mv.toml` in this directory or above it has stages")]
    NoStages,
}

impl From<ConfigError> for DefinitionError {
    fn from(error: ConfigError) -> Self {
        Self::Repo(error.into())
    }
}

impl DefinitionError {
    /// A command that helps, or what to write instead.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Git(error) => error.hint(),
            Self::Repo(error) => error.hint(),
            Self::At { problem, .. } => problem.hint(),
            Self::UnknownTarget { nearest, .. } => Some(match nearest {
                Some(nearest) => format!("did you mean {}?", shell_word(nearest)),
                None => "modver stage list --all".to_owned(),
            }),
            Self::Exists { name, .. } => Some(format!("modver stage add --force {} ...", shell_word(name))),
            Self::OneOfMany { group, .. } => Some(format!("name {}", shell_word(group))),
            Self::NoMatch(_) => Some("modver stage list --all".to_owned()),
            Self::NoStages => Some(
                "modver stage add NAME -d DEP -o OUT CMD   or, for all stages, modver stage list --all".to_owned(),
            ),
            _ => None,
        }
    }
}

fn cycle(stages: &[(StageId, Place)]) -> String {
    let place = stages.first().map(|(_, place)| format!("{place}: "));
    let names = stages.iter().chain(stages.first());
    let names: Vec<String> = names.map(|(id, _)| format!("`{id}`")).collect();
    format!(
        "{}stages depend on each other in a circle: {}",
        place.unwrap_or_default(),
        names.join(" → ")
    )
}

/// `; did you mean ...?`
pub(super) struct Mean<'a>(pub(super) &'a Option<String>);

impl fmt::Display for Mean<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(nearest) => write!(f, "; did you mean `{nearest}`?"),
            None => Ok(()),
        }
    }
}

/// What is wrong at a place.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Problem {
    #[error("not UTF-8 text")]
    NotUtf8,
    #[error("conflict markers of an unfinished merge")]
    ConflictMarkers,
    #[error("there are two definitions of `{0}`")]
    Twice(String),
    #[error("unknown key `{key}`{}", Mean(.nearest))]
    UnknownKey {
        key: String,
        nearest: Option<String>,
        instead: Option<&'static str>,
    },
    #[error("`{section}` are settings, which belong into the `mv.toml` at the root of the repository")]
    SettingsInSubdirectory { section: String },
    #[error("`{key}` must be {expected}, not {found}")]
    WrongType {
        key: String,
        expected: &'static str,
        found: &'static str,
    },
    #[error("`{key}` {}{}{}", Given(.given), .problem, SuchAs(.expected))]
    BadValue {
        key: String,
        given: Option<String>,
        problem: &'static str,
        expected: Option<&'static str>,
    },
    #[error("`{key}` is missing")]
    Missing { key: String },
    #[error(
        "`{name}` is not a name of a stage: letters, digits, `_`, `-` and `.`, starting with a letter, digit or `_`"
    )]
    StageName { name: String },
    #[error("{what} `{path}` {problem}", path = quote(.path.as_bytes()))]
    Path {
        what: &'static str,
        path: String,
        problem: PathProblem,
    },
    #[error("unknown variable `{variable}`{}", Mean(.nearest))]
    UnknownVariable { variable: String, nearest: Option<String> },
    #[error("`{variable}`: {part}")]
    VariablePart { variable: String, part: String },
    #[error("`${{{expression}}}` is not a variable: {problem}")]
    Expression { expression: String, problem: &'static str },
    #[error("`${{{variable}}}` is {found}, which cannot be part of a text")]
    NotText { variable: String, found: &'static str },
    #[error("`{variable}` has another value in {origin}: a variable has one")]
    Redefined { variable: String, origin: String },
    #[error("there is no file of variables `{path}`{}", Mean(.nearest))]
    NoVarsFile { path: RepoPath, nearest: Option<String> },
    #[error("`{key}` is no key of `{path}`{}", Mean(.nearest))]
    NoVarsKey {
        path: RepoPath,
        key: String,
        nearest: Option<String>,
    },
    #[error("two members of `{group}` would be called `{member}`: {first} and {second}")]
    SameMember {
        group: String,
        member: String,
        first: String,
        second: String,
    },
    #[error("`{group}` would have {count} members, more than {limit}")]
    TooManyMembers { group: String, count: usize, limit: usize },
    #[error("a combination to exclude names `{axis}`, which is no axis of the matrix{}", Mean(.nearest))]
    UnknownAxis { axis: String, nearest: Option<String> },
    #[error("a combination to include does not say `{axis}`")]
    MissingAxis { axis: String },
    #[error("a stage has either `matrix` or `foreach`")]
    MatrixAndForeach,
    #[error("{0}")]
    Pattern(String),
}

struct Given<'a>(&'a Option<String>);

impl fmt::Display for Given<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(given) => write!(f, "is `{}`: ", quote(given.as_bytes())),
            None => Ok(()),
        }
    }
}

struct SuchAs<'a>(&'a Option<&'static str>);

impl fmt::Display for SuchAs<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(expected) => write!(f, ", such as {expected}"),
            None => Ok(()),
        }
    }
}

impl Problem {
    fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { instead, .. } => instead.map(str::to_owned),
            Self::ConflictMarkers => Some("finish the merge in the file, then git add it".to_owned()),
            Self::UnknownVariable { variable, .. } if is_like_environment(variable) => Some(format!(
                "for a variable of the shell write ${variable}, or \\${{{variable}}} in single quotes"
            )),
            Self::Path {
                problem: PathProblem::Url,
                ..
            } => Some("modver import-url URL, and use the file it makes".to_owned()),
            _ => None,
        }
    }
}

fn is_like_environment(variable: &str) -> bool {
    variable
        .chars()
        .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_')
}

/// Why a text is no path that a stage may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum PathProblem {
    #[error("is empty")]
    Empty,
    #[error("is absolute; paths start at the stage's `wdir`")]
    Absolute,
    #[error("is outside the repository")]
    Outside,
    #[error("is in git's own directory")]
    InGit,
    #[error("is the whole repository")]
    Whole,
    #[error("is a URL, not a path in the repository")]
    Url,
    #[error("starts with `~`, which is not replaced; paths start at the stage's `wdir`")]
    Home,
    #[error("has a NUL byte or too long a name")]
    Name,
    #[error("is a file that git and modver need themselves")]
    Reserved,
    #[error("holds the project file of a stage")]
    HoldsProject,
}
