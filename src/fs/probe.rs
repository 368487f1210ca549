//! What a file system is and can do, found out by trying.

use std::fs::{self, File};
use std::path::Path;

use super::{Attempt, Result, TempFile, at, fault};

/// What [`probe`] found a directory's file system to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Abilities {
    /// Files can share their blocks until one of them is written.
    pub reflink: bool,
    /// A file can have several names.
    pub hard_link: bool,
    /// There are symbolic links.
    pub symlink: bool,
    /// `a` and `A` are two names.
    pub case_sensitive: bool,
    /// Advisory locks work.
    pub lock: bool,
}

/// Tries things out in a new directory inside `dir`, and removes it.
///
/// # Errors
/// When `dir` cannot be written.
pub fn probe(dir: &Path) -> Result<Abilities> {
    let marker = TempFile::create_in(dir)?;
    let scratch = marker.path().with_added_extension("d");
    fault::pass(Attempt::CreateDir, &scratch)?;
    fs::create_dir(&scratch).map_err(at(Attempt::CreateDir, &scratch))?;
    let tried = try_out(&scratch);
    let _ = fs::remove_dir_all(&scratch);
    tried
}

fn try_out(dir: &Path) -> Result<Abilities> {
    let (from, to) = (dir.join("a"), dir.join("clone"));
    let create = |path: &Path| {
        fault::pass(Attempt::Create, path)?;
        File::create_new(path).map_err(at(Attempt::Create, path))
    };
    fs::write(&from, b"modver probe\n").map_err(at(Attempt::Write, &from))?;
    let source = super::open(&from)?;
    let target = create(&to)?;
    Ok(Abilities {
        reflink: clone_blocks(&target, &source),
        hard_link: fs::hard_link(&from, dir.join("hard")).is_ok(),
        symlink: std::os::unix::fs::symlink("a", dir.join("soft")).is_ok(),
        case_sensitive: super::stat(&dir.join("A"))?.is_none(),
        lock: super::FileLock::try_acquire(&dir.join("lock"), super::LockKind::Exclusive).is_ok(),
    })
}

#[cfg(target_os = "linux")]
fn clone_blocks(target: &File, source: &File) -> bool {
    rustix::fs::ioctl_ficlone(target, source).is_ok()
}

#[cfg(not(target_os = "linux"))]
const fn clone_blocks(_target: &File, _source: &File) -> bool {
    false
}

/// The name of the type of the file system that `path` is on: `ext4`, `btrfs`, `nfs`; its number when it is not a
/// known one.
///
/// # Errors
/// When it cannot be asked.
#[cfg(target_os = "linux")]
pub fn filesystem_type(path: &Path) -> Result<String> {
    const KNOWN: &[(u32, &str)] = &[
        (0x0000_ef53, "ext4"),
        (0x9123_683e, "btrfs"),
        (0x5846_5342, "xfs"),
        (0xf2f5_2010, "f2fs"),
        (0x2fc1_2fc1, "zfs"),
        (0xca45_1a4e, "bcachefs"),
        (0x0102_1994, "tmpfs"),
        (0x8584_58f6, "ramfs"),
        (0x794c_7630, "overlayfs"),
        (0x0000_6969, "nfs"),
        (0xff53_4d42, "cifs"),
        (0xfe53_4d42, "smb2"),
        (0x0bd0_0bd0, "lustre"),
        (0x4750_4653, "gpfs"),
        (0x00c3_6400, "ceph"),
        (0x1980_0202, "beegfs"),
        (0x6573_5546, "fuse"),
        (0x0102_1997, "9p"),
        (0x0000_4d44, "vfat"),
        (0x2011_bab0, "exfat"),
        (0x5346_544e, "ntfs"),
        (0x7366_746e, "ntfs3"),
    ];
    let stat = rustix::fs::statfs(path).map_err(at(Attempt::Stat, path))?;
    let number = number_of(&stat);
    let known = KNOWN.iter().find(|(magic, _)| *magic == number);
    Ok(known.map_or_else(|| format!("{number:#x}"), |(_, name)| (*name).to_owned()))
}

#[cfg(target_os = "linux")]
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the numbers have 32 bits, in fields whose type differs by platform"
)]
const fn number_of(stat: &rustix::fs::StatFs) -> u32 {
    stat.f_type as u32
}

/// Whether a file is on a file system of another machine, or of a program, where an open file may be gone with its name:
/// NFS, CIFS, SMB, 9P, BeeGFS, FUSE.
#[cfg(target_os = "linux")]
pub(super) fn is_remote(file: &File) -> bool {
    const REMOTE: [u32; 6] = [0x6969, 0xff53_4d42, 0xfe53_4d42, 0x0102_1997, 0x1980_0202, 0x6573_5546];
    rustix::fs::fstatfs(file).is_ok_and(|stat| REMOTE.contains(&number_of(&stat)))
}

/// The same where the system does not tell.
#[cfg(not(target_os = "linux"))]
pub(super) const fn is_remote(_file: &File) -> bool {
    false
}

/// The name of the type of the file system that `path` is on, where the system tells it.
///
/// # Errors
/// Never here.
#[cfg(not(target_os = "linux"))]
pub fn filesystem_type(_path: &Path) -> Result<String> {
    Ok("unknown".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probing_leaves_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let abilities = probe(dir.path()).unwrap();
        assert!(abilities.symlink && abilities.lock);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        assert!(!filesystem_type(dir.path()).unwrap().is_empty());
        assert!(probe(&dir.path().join("absent")).is_err());
    }
}
