//! The files that `init` writes.

/// A new `mv.toml`.
pub const PROJECT_TEMPLATE: &str = "\
# Settings of modver that everybody who clones this repository shares.
# Your own go elsewhere: `modver config set --local` (this clone) or `--user`.
# Never put passwords or keys here. All settings: `modver help config`.

[core]
# The remote that push, fetch and pull use when none is named.
# remote = \"origin\"

# [remote.origin]
# url = \"s3://bucket/prefix\"
";

/// A new `.mvignore`.
pub const MVIGNORE_TEMPLATE: &str = "\
# Files that `modver add` leaves out of tracked directories, in the syntax of .gitignore.
# What is named here is not versioned, pushed or restored.
.DS_Store
Thumbs.db
desktop.ini
";
