//! From one cache to another: chunks as they are stored, each checked on its way.

use std::collections::HashSet;

use crate::hash::FileId;
use crate::object::{self, Node, Root, Visit};
use crate::progress::{Phase, Progress};
use crate::remote::Wanted;
use crate::repo::{RepoError, Result};
use crate::store::{Cache, PackKind, Reader, Transaction};
use crate::workspace::{Scopes, Within};

/// How much of something is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::repo) enum Depth {
    /// Only the listings.
    Listings,
    /// The content, too.
    Content,
}

/// Goes through what is wanted, as far as the listings are in `cache`: each listing and, unless only those are wanted,
/// each file, possibly several times. Returns whether all listings were there.
fn visit(
    cache: &Cache,
    wanted: &Wanted,
    depth: Depth,
    mut each: impl FnMut(PackKind, FileId) -> Result<()>,
) -> Result<bool> {
    let scopes = if wanted.parts.is_empty() {
        Scopes::whole()
    } else {
        Scopes::new(wanted.parts.clone())
    };
    let root = match wanted.root {
        Root::File(id) => {
            if depth == Depth::Content {
                each(PackKind::Data, id)?;
            }
            return Ok(true);
        }
        Root::Tree(id) => id,
    };
    each(PackKind::Tree, root.as_file())?;
    let walked = object::walk(cache, root, |path, node| {
        match (scopes.within(path), node) {
            (Within::Outside, _) => return Ok(Visit::Skip),
            (_, Node::Dir { id, .. }) => each(PackKind::Tree, id.as_file())?,
            (Within::Inside, Node::File { id, .. }) if depth == Depth::Content => each(PackKind::Data, *id)?,
            _ => {}
        }
        Ok::<_, RepoError>(Visit::Enter)
    });
    match walked {
        Ok(()) => Ok(true),
        Err(RepoError::Object(error)) if error.is_missing() => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether a cache has all that is wanted.
pub(in crate::repo) fn is_complete(cache: &Cache, wanted: &Wanted, depth: Depth) -> Result<bool> {
    let mut all = true;
    let listed = visit(cache, wanted, depth, |_, id| {
        all = all && cache.contains(&id)?;
        Ok(())
    })?;
    Ok(listed && all)
}

/// Brings what `from` has of what is wanted into `to`.
pub(in crate::repo) fn copy(
    from: &Cache,
    to: &Cache,
    wanted: &Wanted,
    depth: Depth,
    progress: &std::sync::Arc<Progress>,
) -> Result<()> {
    progress.start(Phase::Fetching, 0, 0);
    let transaction = to.transaction(progress)?;
    let mut work = Copying {
        from,
        to,
        transaction: &transaction,
        reader: Reader::new(from),
        buffer: Vec::new(),
        seen: HashSet::new(),
    };
    let done = visit(from, wanted, depth, |kind, id| {
        progress.check()?;
        work.file(kind, id, progress)
    });
    match done {
        Ok(_) => {
            transaction.commit()?;
            Ok(())
        }
        Err(RepoError::Store(error)) => Err(transaction.cause(error).into()),
        Err(error) => Err(error),
    }
}

struct Copying<'a> {
    from: &'a Cache,
    to: &'a Cache,
    transaction: &'a Transaction,
    reader: Reader,
    buffer: Vec<u8>,
    seen: HashSet<FileId>,
}

impl Copying<'_> {
    fn file(&mut self, kind: PackKind, id: FileId, progress: &Progress) -> Result<()> {
        if !self.seen.insert(id) || self.to.contains(&id)? {
            return Ok(());
        }
        if let Some(location) = self.from.locate(&id.as_chunk())? {
            self.reader.chunk(&location, &mut self.buffer)?;
            self.transaction
                .add_encoded(kind, location.chunk, self.reader.last_body())?;
            progress.advance(1, u64::from(location.chunk.raw_len));
            return Ok(());
        }
        // What it does not have either is asked for elsewhere.
        let Some(recipe) = self.from.recipe(&id)? else {
            return Ok(());
        };
        for location in self.from.locations(&recipe) {
            let location = location?;
            progress.check()?;
            if self.to.locate(&location.chunk.chunk)?.is_none() {
                self.reader.chunk(&location, &mut self.buffer)?;
                self.transaction
                    .add_encoded(kind, location.chunk, self.reader.last_body())?;
            }
            progress.advance(0, u64::from(location.chunk.raw_len));
        }
        let chunks = self.from.locations(&recipe).map(|location| Ok(location?.chunk.chunk));
        self.transaction.add_recipe(id, recipe.size, chunks)?;
        progress.advance(1, 0);
        Ok(())
    }
}
