//! Three-way merging of directories, path by path, from their listings alone.
//!
//! A path that one side alone changed becomes what that side made of it; one that both changed to the same becomes that;
//! content and the executable bit of a file count separately. Everything else is a clash: the merged directory has our
//! side there, and the clash says what the others have. Equal subtrees are not read, so cost follows the differences.
//! Without clashes the result does not depend on which side is ours.

use std::collections::BTreeMap;
use std::vec::IntoIter;

use super::read::{ObjectError, Result, Trees};
use super::tree::{Entry, Node, Tree};
use crate::hash::TreeId;
use crate::path::{Name, RepoPath};

/// The deepest nesting of directories that is merged.
const MAX_DEPTH: usize = 2048;

/// Listings that are new, each with its id; those of subdirectories first.
pub type NewTrees = Vec<(TreeId, Vec<u8>)>;

/// A path that both sides changed, each in its own way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Clash {
    /// Relative to the root; the root itself if that clashes.
    pub path: RepoPath,
    /// What both sides began with.
    pub base: Option<Node>,
    /// What we made of it.
    pub ours: Option<Node>,
    /// What they made of it.
    pub theirs: Option<Node>,
}

/// What a merge came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Merged {
    /// The result, with our side where there are clashes.
    pub node: Option<Node>,
    /// The clashes, in the order of a walk.
    pub clashes: Vec<Clash>,
    /// Listings that neither side has, those of subdirectories first.
    pub trees: NewTrees,
}

/// One name in the three directories.
#[derive(Default)]
struct Three {
    base: Option<Node>,
    ours: Option<Node>,
    theirs: Option<Node>,
}

/// A directory that is being merged.
struct Frame {
    /// Its name in the directory above; none for the root.
    name: Option<Name>,
    path: RepoPath,
    rest: IntoIter<(Name, Three)>,
    entries: Vec<Entry>,
    /// One side removed the directory: it stays only for what is left in it.
    is_removed: bool,
}

enum Step {
    Is(Option<Node>),
    /// Two directories, or one that the other side removed.
    Descend([Option<TreeId>; 3], bool),
    Clash,
}

/// Merges what `ours` and `theirs` made of `base`.
///
/// # Errors
/// When a listing that is needed cannot be read.
pub fn merge<S: Trees + ?Sized>(
    trees: &S,
    base: Option<&Node>,
    ours: Option<&Node>,
    theirs: Option<&Node>,
) -> Result<Merged> {
    let mut merged = Merged {
        node: None,
        clashes: Vec::new(),
        trees: Vec::new(),
    };
    let root = Three {
        base: base.cloned(),
        ours: ours.cloned(),
        theirs: theirs.cloned(),
    };
    let mut stack = vec![Frame {
        name: None,
        path: RepoPath::root(),
        rest: Vec::new().into_iter(),
        entries: Vec::new(),
        is_removed: false,
    }];
    match step(&root) {
        Step::Is(node) => {
            merged.node = node;
            return Ok(merged);
        }
        Step::Clash => {
            merged.node.clone_from(&root.ours);
            merged.clashes.push(clash(RepoPath::root(), root));
            return Ok(merged);
        }
        Step::Descend(ids, is_removed) => {
            stack[0].rest = listing(trees, ids)?;
            stack[0].is_removed = is_removed;
        }
    }
    while let Some(frame) = stack.last_mut() {
        let Some((name, three)) = frame.rest.next() else {
            let Some(done) = stack.pop() else { break };
            let node = if done.entries.is_empty() && done.is_removed {
                None
            } else {
                Some(encode(done.entries, &mut merged.trees)?)
            };
            match (stack.last_mut(), done.name, node) {
                (Some(above), Some(name), Some(node)) => above.entries.push(Entry { name, node }),
                (Some(_), _, _) => {}
                (None, _, node) => merged.node = node,
            }
            continue;
        };
        let path = frame.path.join(&name);
        match step(&three) {
            Step::Is(Some(node)) => frame.entries.push(Entry { name, node }),
            Step::Is(None) => {}
            Step::Clash => {
                if let Some(node) = three.ours.clone() {
                    frame.entries.push(Entry { name, node });
                }
                merged.clashes.push(clash(path, three));
            }
            Step::Descend(ids, is_removed) => {
                if stack.len() >= MAX_DEPTH {
                    return Err(ObjectError::TooDeep(
                        ids[1].or(ids[2]).unwrap_or_else(|| TreeId::of(b"")),
                    ));
                }
                stack.push(Frame {
                    name: Some(name),
                    path,
                    rest: listing(trees, ids)?,
                    entries: Vec::new(),
                    is_removed,
                });
            }
        }
    }
    Ok(merged)
}

/// The directory `root` with other nodes, or none, at some paths (not at the root); with the listings that are new.
/// Directories on the way are made where there are none; one that loses its last entry goes, too, but for the root.
///
/// # Errors
/// When a listing that is needed cannot be read.
pub fn replace<S: Trees + ?Sized>(
    trees: &S,
    root: TreeId,
    edits: Vec<(RepoPath, Option<Node>)>,
) -> Result<(Node, NewTrees)> {
    let mut new = Vec::new();
    let edits = edits.into_iter().filter(|(path, _)| !path.is_root()).collect();
    let entries = edited(trees, Some(root), edits, 0, &mut new)?;
    Ok((encode(entries, &mut new)?, new))
}

/// The entries of a directory after some edits below it.
fn edited<S: Trees + ?Sized>(
    trees: &S,
    id: Option<TreeId>,
    edits: Vec<(RepoPath, Option<Node>)>,
    depth: usize,
    new: &mut NewTrees,
) -> Result<Vec<Entry>> {
    let tree = id.map_or_else(|| Ok(Tree::default()), |id| trees.tree(id))?;
    if depth > MAX_DEPTH {
        return Err(ObjectError::TooDeep(id.unwrap_or_else(|| TreeId::of(b""))));
    }
    let mut entries: BTreeMap<Name, Node> = tree.into_entries().into_iter().map(|e| (e.name, e.node)).collect();
    let mut below: BTreeMap<Name, Vec<(RepoPath, Option<Node>)>> = BTreeMap::new();
    for (path, node) in edits {
        let Some(name) = path.names().next().and_then(|name| Name::new(name).ok()) else {
            continue;
        };
        match path.strip_prefix(&RepoPath::root().join(&name)) {
            Some(rest) if !rest.is_root() => below.entry(name).or_default().push((rest, node)),
            _ => {
                match node {
                    Some(node) => entries.insert(name, node),
                    None => entries.remove(&name),
                };
            }
        }
    }
    for (name, edits) in below {
        let id = match entries.get(&name) {
            Some(Node::Dir { id, .. }) => Some(*id),
            _ => None,
        };
        let inside = edited(trees, id, edits, depth + 1, new)?;
        if inside.is_empty() {
            entries.remove(&name);
        } else {
            entries.insert(name, encode(inside, new)?);
        }
    }
    Ok(entries.into_iter().map(|(name, node)| Entry { name, node }).collect())
}

/// The one rule for a name.
fn step(three: &Three) -> Step {
    let Three { base, ours, theirs } = three;
    if ours == theirs || base == theirs {
        return Step::Is(ours.clone());
    }
    if base == ours {
        return Step::Is(theirs.clone());
    }
    let dir = |node: &Option<Node>| match node {
        Some(Node::Dir { id, .. }) => Some(*id),
        _ => None,
    };
    match (dir(base), dir(ours), dir(theirs)) {
        (base, Some(ours), Some(theirs)) => Step::Descend([base, Some(ours), Some(theirs)], false),
        (Some(base), Some(ours), None) if theirs.is_none() => Step::Descend([Some(base), Some(ours), None], true),
        (Some(base), None, Some(theirs)) if ours.is_none() => Step::Descend([Some(base), None, Some(theirs)], true),
        _ => file(three).map_or(Step::Clash, |node| Step::Is(Some(node))),
    }
}

/// Content and mode of a file, if each was changed by one side only.
fn file(three: &Three) -> Option<Node> {
    let parts = |node: &Option<Node>| match node {
        Some(Node::File { id, size, executable }) => Some(((*id, *size), *executable)),
        _ => None,
    };
    let (base, ours, theirs) = (parts(&three.base)?, parts(&three.ours)?, parts(&three.theirs)?);
    let (id, size) = pick(&base.0, &ours.0, &theirs.0)?;
    let executable = pick(&base.1, &ours.1, &theirs.1)?;
    Some(Node::File { id, size, executable })
}

/// What a value becomes that at most one side changed, or both to the same; `None` if they disagree.
pub fn pick<T: PartialEq + Clone>(base: &T, ours: &T, theirs: &T) -> Option<T> {
    if ours == theirs || base == theirs {
        Some(ours.clone())
    } else if base == ours {
        Some(theirs.clone())
    } else {
        None
    }
}

fn clash(path: RepoPath, three: Three) -> Clash {
    Clash {
        path,
        base: three.base,
        ours: three.ours,
        theirs: three.theirs,
    }
}

/// The names of three directories, sorted.
fn listing<S: Trees + ?Sized>(trees: &S, ids: [Option<TreeId>; 3]) -> Result<IntoIter<(Name, Three)>> {
    let mut names: BTreeMap<Name, Three> = BTreeMap::new();
    for (side, id) in ids.into_iter().enumerate() {
        let Some(id) = id else { continue };
        for Entry { name, node } in trees.tree(id)?.into_entries() {
            let three = names.entry(name).or_default();
            match side {
                0 => three.base = Some(node),
                1 => three.ours = Some(node),
                _ => three.theirs = Some(node),
            }
        }
    }
    Ok(names.into_iter().collect::<Vec<_>>().into_iter())
}

/// A directory of these entries, with its listing noted.
fn encode(entries: Vec<Entry>, trees: &mut NewTrees) -> Result<Node> {
    let tree = Tree::new(entries).map_err(|source| ObjectError::Tree {
        id: TreeId::of(b""),
        source,
    })?;
    let (id, bytes) = tree.encode();
    let node = Node::Dir {
        id,
        size: tree.size(),
        files: tree.files(),
    };
    trees.push((id, bytes));
    Ok(node)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::FileId;
    use crate::store::StoreError;
    use proptest::prelude::*;
    use std::cell::RefCell;
    use std::collections::HashMap;

    #[derive(Default)]
    struct Memory(RefCell<HashMap<TreeId, Tree>>);

    impl Trees for Memory {
        fn tree(&self, id: TreeId) -> Result<Tree> {
            let known = self.0.borrow().get(&id).cloned();
            known.ok_or(ObjectError::Store(StoreError::MissingFile(id.as_file())))
        }
    }

    /// A directory as its paths: a directory is `None`.
    type Model = BTreeMap<RepoPath, Option<Node>>;

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text.as_bytes()).unwrap()
    }

    fn file(content: u8, executable: bool) -> Node {
        Node::File {
            id: FileId::of(&[content]),
            size: u64::from(content),
            executable,
        }
    }

    impl Memory {
        /// What an add of the directory gives.
        fn add(&self, model: &Model, at: &RepoPath) -> Node {
            let mut entries = Vec::new();
            for (path, node) in model {
                if !path.is_root() && path.parent().as_ref() == Some(at) {
                    let node = node.clone().unwrap_or_else(|| self.add(model, path));
                    let name = path.file_name().unwrap();
                    entries.push(Entry { name, node });
                }
            }
            let mut new = Vec::new();
            let node = encode(entries, &mut new).unwrap();
            self.keep(new);
            node
        }

        fn keep(&self, new: NewTrees) {
            for (id, bytes) in new {
                self.0.borrow_mut().insert(id, Tree::decode(&bytes).unwrap());
            }
        }

        fn merge(&self, base: &Node, ours: &Node, theirs: &Node) -> Merged {
            let merged = merge(self, Some(base), Some(ours), Some(theirs)).unwrap();
            self.keep(merged.trees.clone());
            merged
        }

        fn paths(&self, node: &Node) -> Model {
            let Node::Dir { id, .. } = node else {
                return Model::new();
            };
            let mut found = Model::new();
            super::super::walk::<_, ObjectError>(self, *id, |path, node| {
                let leaf = (!matches!(node, Node::Dir { .. })).then(|| node.clone());
                found.insert(path.clone(), leaf);
                Ok(super::super::Visit::Enter)
            })
            .unwrap();
            found
        }
    }

    /// Files by path, with the directories above them; a path below a file is left out.
    fn model(files: &[(String, u8, bool)]) -> Model {
        let mut model = Model::new();
        for (text, content, executable) in files {
            let at = path(text);
            let above: Vec<RepoPath> = std::iter::successors(at.parent(), RepoPath::parent).collect();
            if model.contains_key(&at) || above.iter().any(|dir| matches!(model.get(dir), Some(Some(_)))) {
                continue;
            }
            for dir in above.into_iter().filter(|dir| !dir.is_root()) {
                model.insert(dir, None);
            }
            model.insert(at, Some(file(*content, *executable)));
        }
        model
    }

    fn any_model() -> impl Strategy<Value = Model> {
        let text = prop_oneof!["[ab]", "[ab]/[cd]", "[ab]/[cd]/[ef]"];
        proptest::collection::vec((text, 0u8..3, any::<bool>()), 0..8).prop_map(|files| model(&files))
    }

    /// The same merge, said path by path; `None` if anything clashes.
    fn merged_model(base: &Model, ours: &Model, theirs: &Model) -> Option<Model> {
        let mut merged = Model::new();
        let mut dirs = Vec::new();
        for at in base.keys().chain(ours.keys()).chain(theirs.keys()) {
            let three = [base.get(at), ours.get(at), theirs.get(at)];
            if three.iter().flatten().any(|node| node.is_none()) {
                if three.iter().flatten().any(|node| node.is_some()) {
                    return None;
                }
                dirs.push((at.clone(), pick(&three[0], &three[1], &three[2]).flatten().is_some()));
                continue;
            }
            let node = match pick(&three[0], &three[1], &three[2]) {
                Some(node) => node.cloned().flatten(),
                None => Some(super::file(&Three {
                    base: three[0].cloned().flatten(),
                    ours: three[1].cloned().flatten(),
                    theirs: three[2].cloned().flatten(),
                })?),
            };
            if node.is_some() {
                merged.insert(at.clone(), node);
            }
        }
        for (dir, stays) in dirs {
            if stays || merged.keys().any(|path| path.starts_with(&dir)) {
                merged.insert(dir, None);
            }
        }
        Some(merged)
    }

    proptest! {
        #[test]
        fn one_side_alone_wins(base in any_model(), changed in any_model()) {
            let memory = Memory::default();
            let (base, changed) = (memory.add(&base, &RepoPath::root()), memory.add(&changed, &RepoPath::root()));
            for [b, o, t] in [[&base, &base, &changed], [&base, &changed, &base], [&base, &changed, &changed]] {
                let merged = memory.merge(b, o, t);
                prop_assert_eq!(merged.node.as_ref(), Some(&changed));
                prop_assert!(merged.clashes.is_empty() && merged.trees.is_empty());
            }
        }

        #[test]
        fn sides_commute_and_the_result_is_that_of_an_add(b in any_model(), o in any_model(), t in any_model()) {
            let memory = Memory::default();
            let add = |model| memory.add(model, &RepoPath::root());
            let (base, ours, theirs) = (add(&b), add(&o), add(&t));
            let one = memory.merge(&base, &ours, &theirs);
            let other = memory.merge(&base, &theirs, &ours);
            let swapped: Vec<Clash> = other.clashes.iter().cloned().map(|clash| Clash {
                ours: clash.theirs,
                theirs: clash.ours,
                ..clash
            }).collect();
            prop_assert_eq!(&one.clashes, &swapped);
            if one.clashes.is_empty() {
                prop_assert_eq!(&one.node, &other.node);
            }
            if let Some(merged) = merged_model(&b, &o, &t) {
                prop_assert!(one.clashes.is_empty(), "{:?}", one.clashes);
                prop_assert_eq!(one.node, Some(add(&merged)));
            } else {
                // Deciding every clash for them gives what they have at each of these paths.
                let Some(Node::Dir { id, .. }) = one.node else { panic!("a directory") };
                let edits = one.clashes.iter().map(|clash| (clash.path.clone(), clash.theirs.clone())).collect();
                let (decided, new) = replace(&memory, id, edits).unwrap();
                memory.keep(new);
                let decided = memory.paths(&decided);
                for clash in one.clashes {
                    let leaf = clash.theirs.filter(|node| !matches!(node, Node::Dir { .. }));
                    prop_assert_eq!(decided.get(&clash.path).cloned().flatten(), leaf);
                }
            }
        }
    }

    #[test]
    fn the_rules_by_example() {
        let memory = Memory::default();
        let of = |files: &[(&str, u8, bool)]| {
            let files: Vec<_> = files.iter().map(|(p, c, x)| ((*p).to_owned(), *c, *x)).collect();
            memory.add(&model(&files), &RepoPath::root())
        };
        let base = of(&[("d/a", 1, false), ("d/b", 1, false), ("keep", 1, false)]);
        // Content here, mode there.
        let merged = memory.merge(&of(&[("f", 1, false)]), &of(&[("f", 2, false)]), &of(&[("f", 1, true)]));
        assert_eq!(merged.node, Some(of(&[("f", 2, true)])));
        // A directory that we removed and they changed in one place.
        let merged = memory.merge(
            &base,
            &of(&[("keep", 1, false)]),
            &of(&[
                ("d/a", 2, false),
                ("d/b", 1, false),
                ("keep", 1, false),
                ("new", 3, false),
            ]),
        );
        assert_eq!(merged.node, Some(of(&[("keep", 1, false), ("new", 3, false)])));
        assert_eq!(merged.clashes.len(), 1);
        assert_eq!(merged.clashes[0].path, path("d/a"));
        assert_eq!(
            (&merged.clashes[0].ours, &merged.clashes[0].theirs),
            (&None, &Some(file(2, false)))
        );
        // Each empties half of a directory that both keep.
        let merged = memory.merge(
            &base,
            &of(&[("d/a", 1, false), ("keep", 1, false)]),
            &of(&[("d/b", 1, false), ("keep", 1, false)]),
        );
        let Some(Node::Dir { id, .. }) = merged.node else {
            panic!()
        };
        assert_eq!(
            super::super::find(&memory, id, &path("d"))
                .unwrap()
                .map(|node| node.files()),
            Some(0)
        );
        // A file against a directory.
        let merged = memory.merge(&of(&[]), &of(&[("x", 1, false)]), &of(&[("x/y", 1, false)]));
        assert_eq!(merged.clashes.len(), 1);
        assert_eq!(merged.node, Some(of(&[("x", 1, false)])));
    }
}
