//! Comparing the workspace with a target.

use std::cmp::Ordering;
use std::collections::HashMap;

use super::{
    CheckoutPlan, CheckoutRequest, Conflict, ConflictReason, DirWork, Failure, FailureReason, Inner, Merging,
    PlanCounts, RowRef, What, Work, relative, touch,
};
use crate::fs::{FileKind, TempFile};
use crate::hash::{FileId, TreeId};
use crate::object::{Node, Tree, Trees, check_link};
use crate::path::{Name, RepoPath};
use crate::store::Cache;
use crate::workspace::scan::{MAX_DEPTH, Obstacle, Scan, parent_and_name};
use crate::workspace::scopes::Within;
use crate::workspace::snapshot::Snapshot;
use crate::workspace::{Result, Root};

/// A directory that is still to be compared.
struct Item {
    path: Inner,
    /// The directory of the scan.
    disk: Option<usize>,
    target: Option<TreeId>,
    base: Option<TreeId>,
    /// Everything in it has to go.
    in_way: bool,
    /// It does not exist: the directory it will be made in, if that is new too.
    new: Option<Option<usize>>,
}

struct Planner<'a> {
    request: CheckoutRequest<'a>,
    merging: Option<Merging<'a>>,
    plan: CheckoutPlan,
    items: Vec<Item>,
    /// Which directory that exists has which work.
    works: HashMap<Inner, usize>,
}

/// An entry on disk.
struct Disk {
    at: RowRef,
    kind: FileKind,
}

impl CheckoutPlan {
    /// Compares the workspace, as `snapshot` (identified without storing, with all scopes) found it, with the
    /// target, whose listings are read from `cache`.
    ///
    /// # Errors
    /// When the cache cannot be asked. Listings that cannot be read are failures of the plan.
    pub fn new(request: CheckoutRequest<'_>, snapshot: Snapshot, cache: &Cache) -> Result<Self> {
        Self::merging(request, snapshot, cache, None)
    }

    /// The same for a target whose listings need not be in the cache. Directories in it that are as they are here need
    /// no listing at all.
    ///
    /// # Errors
    /// As [`CheckoutPlan::new`].
    pub fn merging(
        request: CheckoutRequest<'_>,
        snapshot: Snapshot,
        cache: &Cache,
        merging: Option<Merging<'_>>,
    ) -> Result<Self> {
        let (_, output) = parent_and_name(&snapshot.scan.root)?;
        let target_root = match request.target {
            Some(Node::Dir { id, .. }) => Some(Root::Tree(*id)),
            Some(Node::File { id, .. }) => Some(Root::File(*id)),
            _ => None,
        };
        let new_scopes = match request.present {
            Some(present) => present.union(request.scopes),
            None => request.scopes.clone(),
        };
        // Parts that stay at the old base keep it.
        let all = request.scopes.covers(&new_scopes) || request.base.is_none();
        let new_base = if all {
            merging.map_or(target_root, |merging| Some(merging.becomes))
        } else {
            request.base
        };
        let snapshot_unfinished = snapshot.scan.unfinished;
        let plan = Self {
            conflicts: Vec::new(),
            failures: Vec::new(),
            counts: PlanCounts::default(),
            cache: cache.clone(),
            snapshot,
            output: output.clone(),
            force: request.force,
            new_base,
            old_base: request.base,
            unfinished: snapshot_unfinished && !all,
            new_scopes,
            recorded: true,
            deletes: Vec::new(),
            chmods: Vec::new(),
            rmdirs: Vec::new(),
            works: Vec::new(),
        };
        let mut planner = Planner {
            request,
            merging,
            plan,
            items: Vec::new(),
            works: HashMap::new(),
        };
        planner.root(&output)?;
        while let Some(item) = planner.items.pop() {
            planner.directory(item)?;
        }
        planner.plan.conflicts.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        Ok(planner.plan)
    }
}

impl Planner<'_> {
    fn scan(&self) -> &Scan {
        &self.plan.snapshot.scan
    }

    fn relative(&self, path: &Inner) -> RepoPath {
        relative(path, &self.plan.output)
    }

    fn conflict(&mut self, path: &Inner, reason: ConflictReason) {
        let path = self.relative(path);
        self.plan.conflicts.push(Conflict { path, reason });
    }

    fn fail(&mut self, path: &Inner, reason: FailureReason) {
        let path = self.relative(path);
        self.plan.failures.push(Failure { path, reason });
    }

    /// The output itself, as an entry of the directory that holds it.
    fn root(&mut self, output: &Name) -> Result<()> {
        let base = match self.request.base {
            Some(Root::Tree(id)) => Some(Node::Dir { id, size: 0, files: 0 }),
            Some(Root::File(id)) => Some(Node::File {
                id,
                size: 0,
                executable: false,
            }),
            None => None,
        };
        let disk = self.scan().kind.map(|kind| Disk { at: (0, 0), kind });
        if disk.is_none() && !self.scan().problems.is_empty() {
            let path = RepoPath::root().join(output);
            if self.plan.force {
                self.fail(&path, FailureReason::Taken);
            } else {
                self.conflict(&path, ConflictReason::Root);
            }
            return Ok(());
        }
        let target = self.request.target.cloned();
        // What was merged is what was found.
        if let Some(node) = &target
            && self.merging.is_none()
            && !self.is_as_claimed(&RepoPath::root().join(output), node)?
        {
            return Ok(());
        }
        // When nothing is to be here, everything has to go.
        let in_way = target.is_none();
        self.entry(&RepoPath::root(), output, disk, target, base.as_ref(), in_way, None)
    }

    /// Whether what the pointer names is what it says about it; people edit pointers, too.
    fn is_as_claimed(&mut self, path: &Inner, node: &Node) -> Result<bool> {
        let (size, files) = match node {
            Node::Dir { id, .. } => match self.load(path, *id) {
                Some(tree) => (tree.size(), tree.files()),
                None => return Ok(false),
            },
            // Of a file that is not in the cache, nothing is known.
            Node::File { id, size, .. } => (self.plan.cache.size_of(id)?.unwrap_or(*size), 1),
            Node::Symlink { .. } => return Ok(true),
        };
        if (size, files) == (node.size(), node.files()) {
            return Ok(true);
        }
        self.fail(path, FailureReason::Claim { size, files });
        Ok(false)
    }

    /// Whether an entry can be written at all: asked before something else goes to make room for it.
    fn can_be_written(&mut self, path: &Inner, node: &Node) -> Result<bool> {
        let reason = match node {
            Node::Dir { id, .. } => return Ok(self.load(path, *id).is_some()),
            Node::Symlink { target } => match self.check_link(path, target) {
                Ok(()) => return Ok(true),
                Err(reason) => reason,
            },
            Node::File { id, size, .. } => match self.plan.cache.size_of(id)? {
                Some(here) if here == *size => return Ok(true),
                Some(_) => FailureReason::Size,
                None => FailureReason::Missing,
            },
        };
        self.fail(path, reason);
        Ok(false)
    }

    fn check_link(&self, path: &Inner, target: &[u8]) -> std::result::Result<(), FailureReason> {
        // Depth of the directory below the output's root; the root itself is one name deep here.
        let depth = self.relative(path).names().count().saturating_sub(1);
        check_link(depth, target).map_err(FailureReason::Link)
    }

    fn load(&mut self, path: &Inner, id: TreeId) -> Option<Tree> {
        let found = match self.merging {
            Some(merging) => merging.trees.tree(id),
            None => self.plan.cache.tree(id),
        };
        match found {
            Ok(tree) => Some(tree),
            Err(error) => {
                let reason = if error.is_missing() {
                    FailureReason::Missing
                } else {
                    FailureReason::Tree(error)
                };
                self.fail(path, reason);
                None
            }
        }
    }

    fn directory(&mut self, item: Item) -> Result<()> {
        let path = &item.path;
        if path.names().count() > MAX_DEPTH {
            self.fail(path, FailureReason::TooDeep);
            return Ok(());
        }
        let target = match item.target {
            None => Tree::default(),
            Some(id) => match self.load(path, id) {
                Some(tree) => tree,
                None => return Ok(()),
            },
        };
        // Without the base's listing nothing here counts as tracked, which only makes this more careful.
        let base = item
            .base
            .and_then(|id| self.plan.cache.tree(id).ok())
            .unwrap_or_default();
        let fresh = item.new.map(|parent| {
            let index = self.plan.works.len();
            let top = parent.and_then(|parent| self.plan.works[parent].fresh).unwrap_or(index);
            self.plan.works.push(DirWork {
                path: path.clone(),
                fresh: Some(top),
                parent,
                entries: Vec::new(),
            });
            self.plan.counts.dirs_created += 1;
            index
        });
        // Where nothing takes its place, what is not tracked stays.
        if let Some(disk) = item.disk
            && item.in_way
            && self.request.target.is_some()
        {
            for skipped in self.scan().dirs[disk].skipped.clone() {
                let reason = skipped.why.into();
                self.conflict(&path.join(&skipped.name), reason);
            }
        }
        let mut wanted = target.into_entries().into_iter().peekable();
        let rows = item.disk.map_or(0, |disk| self.scan().dirs[disk].table.rows().len());
        let mut row = 0;
        loop {
            let name = match item.disk {
                Some(disk) if row < rows => {
                    let table = &self.scan().dirs[disk].table;
                    Some(Name::new(table.name(&table.rows()[row]))?)
                }
                _ => None,
            };
            let order = match (&name, wanted.peek()) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(name), Some(entry)) => name.cmp(&entry.name),
            };
            let entry = if order == Ordering::Less { None } else { wanted.next() };
            let disk = match (item.disk, order) {
                (Some(disk), Ordering::Less | Ordering::Equal) => {
                    let kind = self.scan().dirs[disk].table.rows()[row].kind();
                    row += 1;
                    Some(Disk {
                        at: (disk, row - 1),
                        kind,
                    })
                }
                _ => None,
            };
            let Some(name) = entry.as_ref().map(|e| e.name.clone()).or(name) else {
                break;
            };
            if disk.is_none()
                && let Some(at) = item.disk
            {
                let skipped = &self.scan().dirs[at].skipped;
                if let Ok(found) = skipped.binary_search_by(|s| s.name.cmp(&name)) {
                    let why = skipped[found].why;
                    let below = path.join(&name);
                    if self.request.scopes.within(&self.relative(&below)) == Within::Inside {
                        match entry.map(|entry| entry.node) {
                            Some(node @ (Node::File { .. } | Node::Symlink { .. }))
                                if self.plan.force && why == Obstacle::Ignored =>
                            {
                                self.over_ignored(path, &name, node)?;
                            }
                            _ => self.obstructed(&below, why),
                        }
                    }
                    continue;
                }
            }
            let base = base.get(name.as_bytes()).map(|entry| &entry.node);
            self.entry(path, &name, disk, entry.map(|e| e.node), base, item.in_way, fresh)?;
        }
        Ok(())
    }

    /// Something that is not tracked has the name of a target. It is never touched: what it is cannot be restored.
    fn obstructed(&mut self, path: &Inner, why: Obstacle) {
        if self.plan.force {
            self.fail(path, FailureReason::Taken);
            return;
        }
        self.conflict(path, why.into());
    }

    /// An ignored file has the name of one that is tracked all the same, and the user wants that.
    fn over_ignored(&mut self, dir: &Inner, name: &Name, node: Node) -> Result<()> {
        let path = dir.join(name);
        if self.allowed(&path, name) && self.can_be_written(&path, &node)? {
            self.conflict(&path, ConflictReason::Ignored);
            self.write(dir, name, node, None, None);
            let work = self.works.get(dir).and_then(|work| self.plan.works.get_mut(*work));
            if let Some(entry) = work
                .and_then(|work| work.entries.last_mut())
                .filter(|entry| entry.name == *name)
            {
                entry.over = true;
            }
        }
        Ok(())
    }

    #[allow(
        clippy::too_many_arguments,
        reason = "one name in three listings and its surroundings"
    )]
    fn entry(
        &mut self,
        dir: &Inner,
        name: &Name,
        disk: Option<Disk>,
        target: Option<Node>,
        base: Option<&Node>,
        in_way: bool,
        fresh: Option<usize>,
    ) -> Result<()> {
        let path = dir.join(name);
        let within = self.request.scopes.within(&self.relative(&path));
        let base_dir = match base {
            Some(Node::Dir { id, .. }) => Some(*id),
            _ => None,
        };
        let below = |disk: Option<usize>, target: Option<TreeId>, in_way: bool, new: Option<Option<usize>>| Item {
            path: path.clone(),
            disk,
            target,
            base: base_dir,
            in_way,
            new,
        };
        let disk_is_dir = disk.as_ref().is_some_and(|disk| disk.kind == FileKind::Dir);
        let disk_dir = if disk_is_dir {
            self.scan().index(&self.relative(&path))
        } else {
            None
        };
        match (within, &disk, target) {
            (Within::Outside, ..) | (_, None, None) => {}
            (_, Some(disk), Some(Node::Dir { id, .. })) if disk.kind == FileKind::Dir => {
                let same = self.scan().kind == Some(FileKind::Dir) && self.disk_tree(&path, disk.at) == Some(id);
                if !same {
                    let item = below(disk_dir, Some(id), false, None);
                    self.items.push(item);
                }
            }
            (_, None, Some(Node::Dir { id, .. })) => {
                if self.allowed(&path, name) {
                    let item = below(None, Some(id), false, Some(fresh));
                    self.items.push(item);
                }
            }
            (Within::Above, Some(disk), None) if disk.kind == FileKind::Dir => {
                let item = below(disk_dir, None, false, None);
                self.items.push(item);
            }
            (_, Some(disk), Some(node @ Node::Dir { id, .. })) => {
                if self.allowed(&path, name)
                    && self.can_be_written(&path, &node)?
                    && self.may_go(&path, disk.at, base)?
                {
                    self.delete(dir, name, disk.at);
                    let item = below(None, Some(id), false, Some(fresh));
                    self.items.push(item);
                }
            }
            (Within::Above, ..) => {}
            (Within::Inside, Some(disk), None) if disk.kind == FileKind::Dir => {
                if in_way || base_dir.is_some() {
                    let item = below(disk_dir, None, in_way, None);
                    self.items.push(item);
                    self.plan.rmdirs.push(path);
                    self.plan.counts.dirs_deleted += 1;
                } else {
                    let row = self.plan.row(disk.at).copied();
                    self.plan.counts.left += row.map_or(0, |row| row.ino);
                }
            }
            (Within::Inside, Some(disk), None) => {
                let tracked = base.is_some() && base_dir.is_none();
                if !tracked && !in_way {
                    self.plan.counts.left += 1;
                } else if self.may_go(&path, disk.at, base)? {
                    self.delete(dir, name, disk.at);
                }
            }
            (Within::Inside, _, Some(node)) if disk_is_dir => {
                if self.allowed(&path, name) && self.can_be_written(&path, &node)? {
                    let item = below(disk_dir, None, true, None);
                    self.items.push(item);
                    self.plan.rmdirs.push(path);
                    self.plan.counts.dirs_deleted += 1;
                    self.write(dir, name, node, None, fresh);
                }
            }
            (Within::Inside, disk, Some(node)) => {
                let at = disk.as_ref().map(|disk| disk.at);
                self.leaf(dir, name, at, node, base, fresh)?;
            }
        }
        Ok(())
    }

    /// A file or link where there is none, or a file or link.
    fn leaf(
        &mut self,
        dir: &Inner,
        name: &Name,
        at: Option<RowRef>,
        node: Node,
        base: Option<&Node>,
        fresh: Option<usize>,
    ) -> Result<()> {
        let path = dir.join(name);
        if let Some(at) = at {
            match (self.disk_node(at), &node) {
                (Some(here), wanted) if here == *wanted => return Ok(()),
                (Some(Node::File { id: here, .. }), Node::File { id, .. }) if here == *id => {
                    self.plan.counts.chmods += 1;
                    touch(&mut self.plan.chmods, dir, name, at);
                    return Ok(());
                }
                _ => {}
            }
            if !self.allowed(&path, name) || !self.may_go(&path, at, base)? {
                return Ok(());
            }
        } else if !self.allowed(&path, name) {
            return Ok(());
        }
        self.write(dir, name, node, at, fresh);
        Ok(())
    }

    fn disk_node(&self, at: RowRef) -> Option<Node> {
        let table = &self.scan().dirs.get(at.0)?.table;
        let row = table.rows().get(at.1)?;
        match row.kind() {
            FileKind::File => Some(Node::File {
                id: FileId::from_bytes(row.id()?),
                size: row.size,
                executable: row.is_executable(),
            }),
            FileKind::Symlink => Some(Node::Symlink {
                target: table.target(row).into(),
            }),
            _ => None,
        }
    }

    /// The tree of a directory on disk; the output's own is that of the snapshot.
    fn disk_tree(&self, path: &Inner, at: RowRef) -> Option<TreeId> {
        if self.relative(path).is_root() {
            return match self.plan.snapshot.node {
                Some(Node::Dir { id, .. }) => Some(id),
                _ => None,
            };
        }
        self.plan.row(at)?.id().map(TreeId::from_bytes)
    }

    /// Whether a name from a listing may be written.
    fn allowed(&mut self, path: &Inner, name: &Name) -> bool {
        // `.git` in any spelling some file system takes for it.
        let bytes = name.as_bytes();
        let git = bytes.eq_ignore_ascii_case(b".git") || bytes.eq_ignore_ascii_case(b"git~1");
        if git || TempFile::is_temp_name(name.as_os()) {
            self.fail(path, FailureReason::Name);
            return false;
        }
        true
    }

    /// Whether a file or link may be removed or replaced: its content is stored, or the caller forces it.
    fn may_go(&mut self, path: &Inner, at: RowRef, base: Option<&Node>) -> Result<bool> {
        let node = self.disk_node(at);
        let stored = match &node {
            Some(Node::File { id, .. }) => self.plan.cache.contains(id)?,
            Some(link) => base == Some(link),
            None => false,
        };
        if stored {
            return Ok(true);
        }
        let reason = match base {
            None | Some(Node::Dir { .. }) => ConflictReason::Untracked,
            Some(_) => ConflictReason::Modified,
        };
        self.conflict(path, reason);
        Ok(self.plan.force)
    }

    fn delete(&mut self, dir: &Inner, name: &Name, at: RowRef) {
        self.plan.counts.deleted += 1;
        touch(&mut self.plan.deletes, dir, name, at);
    }

    fn write(&mut self, dir: &Inner, name: &Name, node: Node, replaces: Option<RowRef>, fresh: Option<usize>) {
        let counts = &mut self.plan.counts;
        let what = match node {
            Node::File { id, size, executable } => {
                counts.bytes = counts.bytes.saturating_add(size);
                What::File { id, size, executable }
            }
            Node::Symlink { target } => {
                let path = dir.join(name);
                if let Err(reason) = self.check_link(&path, &target) {
                    self.fail(&path, reason);
                    return;
                }
                What::Link { target }
            }
            Node::Dir { .. } => return,
        };
        if replaces.is_some() {
            self.plan.counts.replaced += 1;
        } else {
            self.plan.counts.created += 1;
        }
        let works = &mut self.plan.works;
        let index = fresh.unwrap_or_else(|| {
            *self.works.entry(dir.clone()).or_insert_with(|| {
                works.push(DirWork {
                    path: dir.clone(),
                    fresh: None,
                    parent: None,
                    entries: Vec::new(),
                });
                works.len() - 1
            })
        });
        works[index].entries.push(Work {
            name: name.clone(),
            what,
            replaces,
            over: false,
        });
    }
}
