//! Exit codes.

use std::process::ExitCode;

/// How a command ended, as the shell sees it. The numbers are part of the interface and never change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    Ok = 0,
    Failure = 1,
    Usage = 2,
    Partial = 3,
    NotARepository = 4,
    Locked = 5,
    Corruption = 6,
    Interrupted = 130,
}

impl Exit {
    /// Every code, in order.
    pub(crate) const ALL: [Self; 8] = [
        Self::Ok,
        Self::Failure,
        Self::Usage,
        Self::Partial,
        Self::NotARepository,
        Self::Locked,
        Self::Corruption,
        Self::Interrupted,
    ];

    /// The number.
    pub(crate) const fn code(self) -> u8 {
        self as u8
    }

    /// What it means.
    pub(crate) const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "success",
            Self::Failure => "failure, or differences found where --check asked for them",
            Self::Usage => "the command line is wrong; nothing was done",
            Self::Partial => "some of the work succeeded; what failed is listed",
            Self::NotARepository => "not inside a git repository with modver set up",
            Self::Locked => "another modver holds the lock",
            Self::Corruption => "stored data is damaged",
            Self::Interrupted => "interrupted by Ctrl-C or a termination signal",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}
