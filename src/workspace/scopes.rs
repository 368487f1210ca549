//! Which parts of an output are present in this workspace.

use crate::path::RepoPath;

/// How a path relates to the parts that are present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Within {
    /// The path and everything below it belongs here: what is absent was deleted.
    Inside,
    /// Only something below it does.
    Above,
    /// Nothing of it does: what is absent was never here.
    Outside,
}

/// The parts of an output that are present here.
///
/// Invariant: paths are sorted, relative to the output, and none is below another; the root stands for everything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scopes(Vec<RepoPath>);

impl Scopes {
    /// Everything.
    #[must_use]
    pub fn whole() -> Self {
        Self(vec![RepoPath::root()])
    }

    /// These parts, in any order.
    #[must_use]
    pub fn new(mut paths: Vec<RepoPath>) -> Self {
        paths.sort_unstable();
        paths.dedup_by(|below, above| below.starts_with(above));
        Self(paths)
    }

    /// Whether everything is present.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.0.first().is_some_and(RepoPath::is_root)
    }

    /// The parts; the root for everything, none for nothing.
    #[must_use]
    pub fn paths(&self) -> &[RepoPath] {
        &self.0
    }

    /// These and `other`.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        Self::new(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Whether `other` has no part that this has not.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        other.0.iter().all(|path| self.within(path) == Within::Inside)
    }

    /// How `path` relates to these parts.
    #[must_use]
    pub fn within(&self, path: &RepoPath) -> Within {
        // The scope that could hold `path` is the last that is not behind it; the one below it would be the next.
        let next = self.0.partition_point(|scope| scope <= path);
        let holds = next.checked_sub(1).and_then(|i| self.0.get(i));
        if holds.is_some_and(|scope| path.starts_with(scope)) {
            Within::Inside
        } else if self.0.get(next).is_some_and(|scope| scope.starts_with(path)) {
            Within::Above
        } else {
            Within::Outside
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn relations() {
        let scopes = Scopes::new(vec![path("b/x"), path("a"), path("a/c"), path("b.x")]);
        assert_eq!(scopes.paths().len(), 3);
        assert_eq!(scopes.within(&path("a/q/r")), Within::Inside);
        assert_eq!(scopes.within(&path("b")), Within::Above);
        assert_eq!(scopes.within(&path("b/y")), Within::Outside);
        assert_eq!(scopes.within(&RepoPath::root()), Within::Above);
        assert!(Scopes::whole().covers(&scopes) && !scopes.covers(&Scopes::whole()));
        assert!(scopes.union(&Scopes::whole()).is_whole());
        assert_eq!(Scopes::new(vec![]).within(&RepoPath::root()), Within::Outside);
    }

    proptest! {
        #[test]
        fn within_agrees_with_the_definition(
            scopes in proptest::collection::vec("[ab.]{1,2}(/[ab.x]{1,2}){0,2}", 0..5),
            asked in "[ab.]{1,2}(/[ab.x]{1,2}){0,3}",
        ) {
            let valid = |text: &String| RepoPath::new(text.as_bytes()).ok();
            let all: Vec<_> = scopes.iter().filter_map(valid).collect();
            if let Some(asked) = valid(&asked) {
                let expected = if all.iter().any(|s| asked.starts_with(s)) {
                    Within::Inside
                } else if all.iter().any(|s| s.starts_with(&asked)) {
                    Within::Above
                } else {
                    Within::Outside
                };
                prop_assert_eq!(Scopes::new(all).within(&asked), expected);
            }
        }
    }
}
