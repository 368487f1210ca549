//! Directories that several users share through a group: whoever may write there may read and remove what the others
//! wrote, whatever umask they have. Only what this user owns is ever changed.

use std::fs::{self, File};
use std::os::fd::AsFd as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{PoisonError, RwLock};

use rustix::fs::Mode;

use super::{Attempt, Result, at, fault};

/// What the group may do with a shared directory; what is made in one gets its group.
const DIR: u32 = 0o2070;
/// What the group may do with a shared file.
const FILE: u32 = 0o060;

static SHARED: RwLock<Vec<PathBuf>> = RwLock::new(Vec::new());

/// Who a path belongs to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Belongs {
    /// The name of the owner, or the number.
    pub owner: String,
    /// The name of the group, or the number.
    pub group: String,
    /// Whether the owner is this user.
    pub is_ours: bool,
    /// Whether this user is in the group.
    pub in_group: bool,
    /// Whether it is a directory.
    pub is_dir: bool,
}

/// From now on, what this process makes in `dir` or below can be read and written by the group. Makes `dir`. When this
/// user has a directory there that is not shared yet, so is all that is this user's in it now.
///
/// # Errors
/// When it cannot be made or changed.
pub fn share(dir: &Path) -> Result<()> {
    {
        let mut shared = SHARED.write().unwrap_or_else(PoisonError::into_inner);
        if !shared.iter().any(|known| known == dir) {
            shared.push(dir.to_owned());
        }
    }
    super::create_dir_all(dir)?;
    open_up(dir, true)
}

/// Gives the group what it lacks: first what is in a directory, so that one that has everything says that all is done.
fn open_up(path: &Path, top: bool) -> Result<()> {
    let meta = fs::symlink_metadata(path).map_err(at(Attempt::Stat, path))?;
    if meta.is_symlink() {
        // Of the cache itself, what it leads to.
        return if top {
            open_up(&super::canonicalize(path)?, false)
        } else {
            Ok(())
        };
    }
    let is_ours = meta.uid() == rustix::process::geteuid().as_raw();
    let lacks = if meta.is_dir() { DIR } else { FILE } & !meta.mode();
    if meta.is_dir() && is_ours && lacks != 0 {
        for name in super::list(path)? {
            match open_up(&path.join(name), false) {
                // Gone since it was listed.
                Err(error) if error.is_not_found() => {}
                other => other?,
            }
        }
    }
    if is_ours && lacks != 0 && (meta.is_dir() || meta.is_file()) {
        fault::pass(Attempt::SetMode, path)?;
        let mode = Mode::from_raw_mode((meta.mode() & 0o7777) | lacks);
        rustix::fs::chmod(path, mode).map_err(at(Attempt::SetMode, path))?;
    }
    Ok(())
}

/// Whether this is shared, or in a directory that is.
pub(super) fn is_shared(path: &Path) -> bool {
    let shared = SHARED.read().unwrap_or_else(PoisonError::into_inner);
    shared.iter().any(|dir| path.starts_with(dir))
}

/// Lets the group read and write a file of this user that is in a shared directory.
pub(super) fn settle_file(file: &File, path: &Path) -> Result<()> {
    if !is_shared(path) {
        return Ok(());
    }
    let meta = file.metadata().map_err(at(Attempt::Stat, path))?;
    if meta.mode() & FILE == FILE || meta.uid() != rustix::process::geteuid().as_raw() {
        return Ok(());
    }
    let mode = Mode::from_raw_mode((meta.mode() & 0o7777) | FILE);
    rustix::fs::fchmod(file.as_fd(), mode).map_err(at(Attempt::SetMode, path))
}

/// Makes a directory of a shared one, and those it is in.
pub(super) fn create_dir_all(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(parent) = path.parent() {
        if is_shared(parent) {
            create_dir_all(parent)?;
        } else {
            fs::create_dir_all(parent).map_err(at(Attempt::CreateDir, parent))?;
        }
    }
    match fs::create_dir(path) {
        Ok(()) => {
            let meta = fs::symlink_metadata(path).map_err(at(Attempt::Stat, path))?;
            let mode = Mode::from_raw_mode((meta.mode() & 0o7777) | DIR);
            rustix::fs::chmod(path, mode).map_err(at(Attempt::SetMode, path))
        }
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(at(Attempt::CreateDir, path)(error)),
    }
}

/// Whether this user may list, write and enter a directory.
#[must_use]
pub fn may_use(dir: &Path) -> bool {
    use rustix::fs::Access;
    rustix::fs::access(dir, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_ok()
}

/// Gives a file of this user to whoever `like` belongs to, if this is root: others cannot give files away, and need not.
///
/// # Errors
/// When it cannot be given.
pub fn give(path: &Path, like: &Path) -> Result<()> {
    if !rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let meta = fs::metadata(like).map_err(at(Attempt::Stat, like))?;
    std::os::unix::fs::chown(path, Some(meta.uid()), Some(meta.gid())).map_err(at(Attempt::SetMode, path))
}

/// Who a path belongs to; `None` if it cannot be asked.
#[must_use]
pub fn belongs(path: &Path) -> Option<Belongs> {
    let meta = fs::metadata(path).ok()?;
    let groups = rustix::process::getgroups().unwrap_or_default();
    Some(Belongs {
        owner: name_of("/etc/passwd", meta.uid()),
        group: name_of("/etc/group", meta.gid()),
        is_ours: meta.uid() == rustix::process::geteuid().as_raw(),
        in_group: meta.gid() == rustix::process::getegid().as_raw()
            || groups.iter().any(|group| group.as_raw() == meta.gid()),
        is_dir: meta.is_dir(),
    })
}

/// The name with this number in a file such as `/etc/passwd`, or else the number.
fn name_of(file: &str, id: u32) -> String {
    let text = super::read(Path::new(file), 16 << 20).unwrap_or_default();
    let id = id.to_string();
    let text = String::from_utf8_lossy(&text);
    let found = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    });
    found.unwrap_or(id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt as _;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn what_is_made_and_what_was_there_is_open_to_the_group() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("cache");
        fs::create_dir_all(dir.join("old")).unwrap();
        fs::write(dir.join("old/file"), "x").unwrap();
        for (path, mode) in [("old/file", 0o600), ("old", 0o700), ("", 0o700)] {
            fs::set_permissions(dir.join(path), fs::Permissions::from_mode(mode)).unwrap();
        }
        share(&dir).unwrap();
        assert_eq!(mode(&dir), 0o2770);
        assert_eq!(mode(&dir.join("old")), 0o2770);
        assert_eq!(mode(&dir.join("old/file")), 0o660);
        super::super::create_dir_all(&dir.join("a/b")).unwrap();
        assert_eq!(mode(&dir.join("a")) & DIR, DIR);
        assert_eq!(mode(&dir.join("a/b")) & DIR, DIR);
        super::super::write_atomic(&dir.join("a/b/file"), b"x").unwrap();
        assert_eq!(mode(&dir.join("a/b/file")) & FILE, FILE);
        // Beside it nothing changes.
        super::super::create_dir_all(&temp.path().join("cached")).unwrap();
        assert_eq!(mode(&temp.path().join("cached")) & 0o2000, 0);
    }
}
