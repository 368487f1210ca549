//! Paths as they are written in project files.

use super::error::PathProblem;
use crate::path::{Name, RepoPath};
use crate::repo::PROJECT_FILE;

/// What `text` means in the directory `base`: `.` and `..` are folded, links are not looked at.
pub(in crate::pipeline) fn resolve(base: &RepoPath, text: &str) -> Result<RepoPath, PathProblem> {
    if text.is_empty() {
        return Err(PathProblem::Empty);
    }
    if text.contains("://") {
        return Err(PathProblem::Url);
    }
    if text.starts_with('/') {
        return Err(PathProblem::Absolute);
    }
    if text == "~" || text.starts_with("~/") {
        return Err(PathProblem::Home);
    }
    let simple = text
        .split('/')
        .all(|part| !matches!(part, "" | "." | "..") && !part.eq_ignore_ascii_case(".git"));
    if simple && base.is_root() {
        return RepoPath::new(text.as_bytes()).map_err(|_| PathProblem::Name);
    }
    let mut names: Vec<&[u8]> = base.names().collect();
    for part in text.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                names.pop().ok_or(PathProblem::Outside)?;
            }
            name => names.push(name.as_bytes()),
        }
    }
    if names.iter().any(|name| name.eq_ignore_ascii_case(b".git")) {
        return Err(PathProblem::InGit);
    }
    RepoPath::new(&names.join(&b'/')).map_err(|_| PathProblem::Name)
}

/// As [`resolve`], for what a stage reads or makes.
pub(super) fn resolve_data(base: &RepoPath, text: &str) -> Result<RepoPath, PathProblem> {
    let path = resolve(base, text)?;
    if path.is_root() {
        return Err(PathProblem::Whole);
    }
    Ok(path)
}

/// As [`resolve_data`], for what a stage makes.
pub(super) fn resolve_out(base: &RepoPath, text: &str) -> Result<RepoPath, PathProblem> {
    const RESERVED: [&[u8]; 6] = [
        b"mv.toml",
        b"mv.lock",
        b".gitignore",
        b".gitattributes",
        b".gitmodules",
        b".mvignore",
    ];
    let path = resolve_data(base, text)?;
    let is_reserved = |name: &Name| RESERVED.contains(&name.as_bytes()) || crate::git::is_pointer_path(&path);
    if path.file_name().as_ref().is_some_and(is_reserved) {
        return Err(PathProblem::Reserved);
    }
    Ok(path)
}

/// The project file in a directory.
pub(in crate::pipeline) fn project_file_in(dir: &RepoPath) -> RepoPath {
    Name::new(PROJECT_FILE.as_bytes()).map_or_else(|_| dir.clone(), |name| dir.join(&name))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> RepoPath {
        RepoPath::new(text.as_bytes()).unwrap()
    }

    #[test]
    fn folds_against_the_base() {
        let base = path("a/b");
        assert_eq!(resolve(&base, "c"), Ok(path("a/b/c")));
        assert_eq!(resolve(&base, "../c/"), Ok(path("a/c")));
        assert_eq!(resolve(&base, "./x//y/."), Ok(path("a/b/x/y")));
        assert_eq!(resolve(&base, "../.."), Ok(RepoPath::root()));
        assert_eq!(resolve(&RepoPath::root(), "a.git/x"), Ok(path("a.git/x")));
        assert_eq!(resolve(&base, "../../.."), Err(PathProblem::Outside));
        assert_eq!(resolve(&base, "../../../b"), Err(PathProblem::Outside));
        assert_eq!(resolve(&base, ""), Err(PathProblem::Empty));
        assert_eq!(resolve(&base, "/x"), Err(PathProblem::Absolute));
        assert_eq!(resolve(&base, "~/x"), Err(PathProblem::Home));
        assert_eq!(resolve(&base, "s3://b/x"), Err(PathProblem::Url));
        assert_eq!(resolve(&base, "../../.git/x"), Err(PathProblem::InGit));
        assert_eq!(resolve(&RepoPath::root(), "sub/.GIT"), Err(PathProblem::InGit));
        assert_eq!(resolve(&base, "a\0b"), Err(PathProblem::Name));
        assert_eq!(resolve_data(&base, "../.."), Err(PathProblem::Whole));
        assert_eq!(resolve_out(&base, "data.mv"), Err(PathProblem::Reserved));
        assert_eq!(resolve_out(&base, "../mv.lock"), Err(PathProblem::Reserved));
        assert_eq!(resolve_out(&base, "model.bin"), Ok(path("a/b/model.bin")));
    }
}
