//! Documents that are generated must be up to date: `UPDATE_DOCS=1 cargo test --test docs` writes them.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

use std::fs;
use std::path::Path;

#[test]
fn commands_md_is_up_to_date() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/commands.md");
    let generated = modver::cli::reference();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(&file, &generated).unwrap();
    }
    let there = fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == generated,
        "docs/commands.md is not what the program's help says; run: UPDATE_DOCS=1 cargo test --test docs"
    );
}
