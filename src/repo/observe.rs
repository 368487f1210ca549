//! Looking at an output in the workspace: what is there, compared with what was recorded about it.

use super::{Output, OutputMode, Repository, Result};
use crate::fs::{self, FileKind};
use crate::git::{Pointer, PointerContent};
use crate::hash::TreeId;
use crate::object::{self, Node, Root, Tree, Trees};
use crate::path::RepoPath;
use crate::store::Transaction;
use crate::workspace::{IgnoreRules, Mode, Scan, ScanRequest, Scopes, Snapshot, State, scan};

/// An output as it is in the workspace.
#[derive(Debug)]
pub(crate) struct Observed {
    /// What was found.
    pub(crate) scan: Scan,
    /// What the workspace was last brought to: only what is in it may be removed by a checkout.
    pub(crate) last: Option<Root>,
    /// What entries that are absent here are taken from.
    pub(crate) base: Option<Root>,
    /// Which parts of the output are present here.
    pub(crate) scopes: Scopes,
}

/// The trees of the cache, which is opened when the first is asked for.
impl Trees for Repository {
    fn tree(&self, id: TreeId) -> object::Result<Tree> {
        self.open_cache()?.tree(id)
    }
}

impl Repository {
    /// Looks at what is at `path`, which is or will be an output. `pointer` is what it should be, if it is one already.
    ///
    /// # Errors
    /// When it cannot be walked. What cannot be tracked is in the scan's problems.
    pub(crate) fn observe(&self, path: &RepoPath, pointer: Option<Root>) -> Result<Observed> {
        let state = State::read(&self.state_file(path));
        let on_disk = path.on_disk(self.root());
        // Only what is inside a directory can be ignored; looking for rules costs more than asking.
        let is_dir = matches!(fs::stat(&on_disk)?, Some(stat) if stat.kind == FileKind::Dir);
        let ignore = if is_dir {
            IgnoreRules::above(self.root(), path)?
        } else {
            IgnoreRules::none()
        };
        let scan = scan(
            &ScanRequest {
                root: &on_disk,
                state: state.as_ref(),
                ignore: &ignore,
            },
            &self.progress,
        )?;
        let last = state.as_ref().and_then(State::base);
        let scopes = match (&state, pointer) {
            (Some(state), Some(_)) if last.is_some() => state.scopes().clone(),
            // A pointer of which nothing was ever checked out here: what is absent belongs to it all the same.
            (_, Some(Root::Tree(_))) => Scopes::new(Vec::new()),
            _ => Scopes::whole(),
        };
        Ok(Observed {
            scan,
            last,
            base: pointer,
            scopes,
        })
    }

    /// Looks at what is at an output. What a stage made, and what nobody stored or brought here, is all that there is of it.
    ///
    /// # Errors
    /// As [`Repository::observe`].
    pub(crate) fn observe_output(&self, output: &Output) -> Result<Observed> {
        let mut observed = self.observe(&output.path, Some(output.root()))?;
        if matches!(output.mode, OutputMode::Stage(_)) && observed.last.is_none() && observed.scan.kind.is_some() {
            (observed.base, observed.scopes) = (None, Scopes::whole());
        }
        Ok(observed)
    }

    /// Identifies everything in an observed output, storing it if there is a transaction to store it in. Otherwise the
    /// cache is only opened if the output is partly present.
    ///
    /// # Errors
    /// When something cannot be read or stored, or (when storing) cannot be tracked.
    pub(crate) fn identify(&self, observed: Observed, transaction: Option<&Transaction>) -> Result<Snapshot> {
        let mode = transaction.map_or(Mode::HashOnly, Mode::Store);
        Ok(observed
            .scan
            .snapshot(mode, observed.base, &observed.scopes, self, &self.progress)?)
    }
}

/// What a pointer names, as an entry of a listing.
pub(crate) fn pointer_node(output: &Output) -> Node {
    root_node(&output.pointer)
}

/// The same of a pointer.
pub(crate) fn root_node(pointer: &Pointer) -> Node {
    let size = pointer.size;
    match pointer.content {
        PointerContent::File { id, executable } => Node::File { id, size, executable },
        PointerContent::Dir { id, files } => Node::Dir { id, size, files },
    }
}
