//! Comparing two trees. Equal subtrees are skipped by id, so cost follows the difference.

use std::cmp::Ordering;

use super::read::{Result, Trees};
use super::tree::{Entry, Node, Tree};
use crate::hash::TreeId;
use crate::path::RepoPath;

/// One difference between two trees. Directories appear only where a whole one was added or deleted or where a
/// name changed between directory and something else; otherwise their entries do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Relative to the roots.
    pub path: RepoPath,
    /// What stood there.
    pub before: Option<Node>,
    /// What stands there now.
    pub after: Option<Node>,
}

/// Calls `each` with every difference from `before` to `after`, sorted by name within each directory, the entries of a
/// directory before those of its subdirectories. A missing root is an empty directory.
///
/// # Errors
/// When a tree cannot be read, or `each` fails.
pub fn diff<S, E>(
    trees: &S,
    before: Option<TreeId>,
    after: Option<TreeId>,
    each: &mut dyn FnMut(Change) -> std::result::Result<(), E>,
) -> std::result::Result<(), E>
where
    S: Trees + ?Sized,
    E: From<super::ObjectError>,
{
    let mut stack = vec![(RepoPath::root(), before, after)];
    while let Some((path, before, after)) = stack.pop() {
        if before == after {
            continue;
        }
        let load = |id: Option<TreeId>| -> Result<Tree> { id.map_or_else(|| Ok(Tree::default()), |id| trees.tree(id)) };
        let (before, after) = (load(before)?, load(after)?);
        let mut below = Vec::new();
        for (old, new) in pairs(before.into_entries(), after.into_entries()) {
            let Some(name) = old.as_ref().or(new.as_ref()).map(|entry| entry.name.clone()) else {
                continue;
            };
            let path = path.join(&name);
            match (old.map(|e| e.node), new.map(|e| e.node)) {
                (Some(Node::Dir { id: old, .. }), Some(Node::Dir { id: new, .. })) => {
                    below.push((path, Some(old), Some(new)));
                }
                (old, new) if old != new => each(Change {
                    path,
                    before: old,
                    after: new,
                })?,
                _ => {}
            }
        }
        stack.extend(below.into_iter().rev());
    }
    Ok(())
}

/// Merges two sorted listings into pairs of the same name.
fn pairs(before: Vec<Entry>, after: Vec<Entry>) -> impl Iterator<Item = (Option<Entry>, Option<Entry>)> {
    let mut before = before.into_iter().peekable();
    let mut after = after.into_iter().peekable();
    std::iter::from_fn(move || {
        let order = match (before.peek(), after.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(old), Some(new)) => old.name.cmp(&new.name),
        };
        Some(match order {
            Ordering::Less => (before.next(), None),
            Ordering::Greater => (None, after.next()),
            Ordering::Equal => (before.next(), after.next()),
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::FileId;
    use crate::object::ObjectError;
    use crate::path::Name;
    use crate::store::StoreError;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Memory(HashMap<TreeId, Tree>);

    impl Trees for Memory {
        fn tree(&self, id: TreeId) -> Result<Tree> {
            self.0
                .get(&id)
                .cloned()
                .ok_or(ObjectError::Store(StoreError::MissingFile(id.as_file())))
        }
    }

    impl Memory {
        fn put(&mut self, entries: &[(&str, Node)]) -> Node {
            let entries = entries
                .iter()
                .map(|(name, node)| Entry {
                    name: Name::new(name.as_bytes()).unwrap(),
                    node: node.clone(),
                })
                .collect();
            let tree = Tree::new(entries).unwrap();
            let (id, _) = tree.encode();
            let node = Node::Dir { id, size: tree.size(), files: tree.files() };
            self.0.insert(id, tree);
            node
        }
    }

    fn file(content: &str) -> Node {
        Node::File { id: FileId::of(content.as_bytes()), size: content.len() as u64, executable: false }
    }

    fn id(node: &Node) -> Option<TreeId> {
        match node {
            Node::Dir { id, .. } => Some(*id),
            _ => None,
        }
    }

    #[test]
    fn only_differences_are_visited() {
        let mut memory = Memory::default();
        let same = Node::Dir { id: TreeId::of(b"never read"), size: 5, files: 1 };
        let sub1 = memory.put(&[("x", file("1")), ("y", file("2"))]);
        let sub2 = memory.put(&[("x", file("1")), ("y", file("3"))]);
        let before = memory.put(&[("a", file("a")), ("same", same.clone()), ("sub", sub1), ("t", file("t"))]);
        let after = memory.put(&[("b", file("a")), ("same", same.clone()), ("sub", sub2), ("t", same)]);
        let mut seen = Vec::new();
        diff::<_, ObjectError>(&memory, id(&before), id(&after), &mut |change| {
            seen.push((change.path.to_string(), change.before.is_some(), change.after.is_some()));
            Ok(())
        })
        .unwrap();
        let seen: Vec<_> = seen.iter().map(|(p, b, a)| (p.as_str(), *b, *a)).collect();
        assert_eq!(
            seen,
            [("a", true, false), ("b", false, true), ("t", true, true), ("sub/y", true, true)]
        );
        let mut count = 0;
        diff::<_, ObjectError>(&memory, None, id(&after), &mut |_| {
            count += 1;
            Ok(())
        })
        .unwrap();
        assert_eq!(count, 4);
    }
}
