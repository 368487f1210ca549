//! What stands elsewhere: whole outputs, and files that went from one output to another.

use std::collections::HashMap;

use super::{Changed, FileCounts, FileDiff, OutputDiff};
use crate::hash::RootId;
use crate::repo::{Content, ContentKind};

/// What content is recognised by; empty files are not.
fn identity(content: Option<&Content>) -> Option<(ContentKind, RootId)> {
    let content = content.filter(|content| content.size > 0)?;
    Some((content.kind, content.id?))
}

/// Makes one of an output that is gone and one that is new with the same content.
pub(super) fn pair_outputs(outputs: &mut Vec<OutputDiff>) {
    let mut gone: HashMap<_, Vec<usize>> = HashMap::new();
    for (i, output) in outputs.iter().enumerate().rev() {
        if output.change == Changed::Deleted
            && let Some(identity) = identity(output.before.as_ref())
        {
            gone.entry(identity).or_default().push(i);
        }
    }
    let mut used = vec![false; outputs.len()];
    for i in 0..outputs.len() {
        if outputs[i].change != Changed::Added {
            continue;
        }
        let Some(from) = identity(outputs[i].after.as_ref()).and_then(|id| gone.get_mut(&id)?.pop()) else {
            continue;
        };
        used[from] = true;
        let (before, old) = (outputs[from].before.clone(), outputs[from].path.clone());
        let output = &mut outputs[i];
        output.change = Changed::Renamed;
        output.from = Some(old.clone());
        output.before.clone_from(&before);
        let files = vec![FileDiff {
            path: output.path.clone(),
            change: Changed::Renamed,
            from: Some(old),
            before,
            after: output.after.clone(),
        }];
        output.counts = Some(FileCounts::of(&files));
        output.files = Some(files);
    }
    let mut used = used.into_iter();
    outputs.retain(|_| used.next() != Some(true));
}

/// The same for files of different outputs.
pub(super) fn pair_files(outputs: &mut Vec<OutputDiff>) {
    let mut gone: HashMap<_, Vec<(usize, usize)>> = HashMap::new();
    for (i, output) in outputs.iter().enumerate().rev() {
        for (j, file) in output.files.as_deref().unwrap_or_default().iter().enumerate().rev() {
            if file.change == Changed::Deleted
                && let Some(identity) = identity(file.before.as_ref())
            {
                gone.entry(identity).or_default().push((i, j));
            }
        }
    }
    let mut pairs = Vec::new();
    for (i, output) in outputs.iter().enumerate() {
        for (j, file) in output.files.iter().flatten().enumerate() {
            if !gone.is_empty()
                && file.change == Changed::Added
                && let Some(from) = identity(file.after.as_ref()).and_then(|id| gone.get_mut(&id)?.pop())
            {
                pairs.push((from, (i, j)));
            }
        }
    }
    let mut left: Vec<(usize, usize)> = Vec::new();
    for (from, to) in pairs {
        let Some(old) = outputs[from.0].files.as_ref().map(|files| files[from.1].clone()) else {
            continue;
        };
        if let Some(files) = outputs[to.0].files.as_mut() {
            files[to.1].change = Changed::Renamed;
            files[to.1].from = Some(old.path);
            files[to.1].before = old.before;
            left.push(from);
        }
    }
    if left.is_empty() {
        return;
    }
    left.sort_unstable();
    for (i, output) in outputs.iter_mut().enumerate() {
        if let Some(files) = &mut output.files {
            let mut j = 0;
            files.retain(|_| {
                j += 1;
                left.binary_search(&(i, j - 1)).is_err()
            });
            output.counts = Some(FileCounts::of(files.iter()));
        }
    }
    // An output all of whose changes are told where its files are now.
    outputs
        .retain(|output| output.change != Changed::Modified || output.files.as_ref().is_none_or(|f| !f.is_empty()));
}
