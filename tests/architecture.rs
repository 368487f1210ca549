//! The shape of `src/` is a promise: layers import downwards, each external crate has one home, files stay small.
//!
//! The sources are read as text with comments and string contents blanked, which is enough for `use` paths, and each
//! rule is tried on a sample that breaks it.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a test may panic and uses files as a user would"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Layers from low to high. Modules on one line never import each other, but on the lowest.
const LAYERS: &[&[&str]] = &[
    &["hash", "path", "fs", "progress", "time", "causes"],
    &["config", "chunk"],
    &["store"],
    &["object"],
    &["workspace", "git", "remote"],
    &["repo", "server"],
    &["pipeline"],
    &["experiment"],
    &["cli"],
    &["bin"],
];

/// External crates and the places that may use them: path prefixes under `src/`.
const HOMES: &[(&str, &[&str])] = &[
    ("axum", &["server/"]),
    ("axum_server", &["server/"]),
    ("blake3", &["hash/"]),
    ("clap", &["cli/"]),
    ("clap_complete", &["cli/"]),
    ("csv", &["experiment/"]),
    ("gearhash", &["chunk/"]),
    ("gix", &["git/", "workspace/ignore"]),
    ("globset", &["config/", "pipeline/", "repo/", "workspace/"]),
    ("indicatif", &["cli/"]),
    ("memmap2", &["fs/"]),
    ("opendal", &["remote/"]),
    ("reqwest", &["remote/"]),
    ("rusqlite", &["pipeline/error", "pipeline/runs/index"]),
    ("rustix", &["fs/", "pipeline/process"]),
    ("serde_saphyr", &["pipeline/values"]),
    ("signal_hook", &["cli/"]),
    ("tokio", &["remote/", "server/"]),
    (
        "toml",
        &["config/", "git/", "pipeline/", "server/settings", "store/marker"],
    ),
    ("toml_edit", &["config/", "git/", "pipeline/"]),
    ("wait4", &["pipeline/process"]),
    ("zstd", &["store/codec"]),
];

/// Lines of a source file up to its tests.
const MAX_LINES: usize = 600;

#[test]
fn sources_keep_the_rules() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut broken = Vec::new();
    let mut seen = 0;
    for file in rust_files(&src) {
        let path = file.strip_prefix(&src).unwrap().to_str().unwrap().to_owned();
        broken.extend(violations(&path, &fs::read_to_string(&file).unwrap()));
        seen += 1;
    }
    assert!(seen > 10, "the sources were not found");
    assert!(broken.is_empty(), "\n{}\n", broken.join("\n"));
}

#[test]
fn every_test_file_is_part_of_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let all = rust_files(&tests).into_iter().map(|file| {
        let name = file.strip_prefix(&tests).unwrap().to_str().unwrap().to_owned();
        (name, fs::read_to_string(&file).unwrap())
    });
    let orphans = orphans(&all.collect::<Vec<_>>());
    assert!(orphans.is_empty(), "no test includes {orphans:?}");
}

fn rust_files(dir: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(rust_files(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// What a source file breaks. `path` is relative to `src/`.
fn violations(path: &str, source: &str) -> Vec<String> {
    let mut broken = Vec::new();
    let all = blank(source);
    let code = if is_test_module(path) { "" } else { without_tests(&all) };
    let lines = code.lines().count();
    if lines > MAX_LINES {
        broken.push(format!("{path}: {lines} lines without tests, more than {MAX_LINES}"));
    }
    if path == "lib.rs" {
        return broken;
    }
    let module = path.split('/').next().unwrap().trim_end_matches(".rs");
    let Some(layer) = layer_of(module) else {
        broken.push(format!(
            "{path}: module `{module}` has no layer; add it here, in lib.rs and architecture.md"
        ));
        return broken;
    };
    // Tests of a module keep to the layers, too, but may use any crate.
    for used in paths_behind(&all, "crate").union(&paths_behind(&all, "modver")) {
        let Some(other) = layer_of(used).filter(|_| used != module) else {
            continue;
        };
        if other > layer {
            broken.push(format!("{path}: `crate::{used}` is a higher layer than `{module}`"));
        } else if other == layer && layer > 0 {
            broken.push(format!(
                "{path}: `crate::{used}` is beside `{module}`, neither may use the other"
            ));
        }
    }
    for (name, homes) in HOMES {
        let at_home = homes.iter().any(|home| path.starts_with(home));
        if !at_home && uses_crate(code, name) {
            broken.push(format!("{path}: crate `{name}` may be used in {homes:?} only"));
        }
    }
    if module != "fs" && paths_behind(code, "std").contains("fs") {
        broken.push(format!("{path}: `std::fs` may be used in src/fs only, use crate::fs"));
    }
    broken
}

/// Whether a file is a module of tests by its name, declared under `#[cfg(test)]`.
fn is_test_module(path: &str) -> bool {
    ["tests.rs", "testing.rs"].contains(&path.rsplit('/').next().unwrap_or(path))
}

fn layer_of(module: &str) -> Option<usize> {
    LAYERS.iter().position(|layer| layer.contains(&module))
}

/// The part of a file before its `#[cfg(test)] mod`.
fn without_tests(code: &str) -> &str {
    let tests = code.match_indices("#[cfg(test)]").find(|(at, attribute)| {
        let behind = code[at + attribute.len()..].trim_start();
        behind.starts_with("mod ")
    });
    tests.map_or(code, |(at, _)| &code[..at])
}

const fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// The places where `word` stands alone; the text behind each.
fn behind_word<'a>(code: &'a str, word: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
    code.match_indices(word).filter_map(move |(at, _)| {
        let (before, behind) = (&code[..at], &code[at + word.len()..]);
        (!before.ends_with(is_word) && !behind.starts_with(is_word)).then_some((before, behind))
    })
}

/// The first names behind `root::`, also inside braces: `crate::{a, b::{c, d}}` has `a` and `b`.
fn paths_behind(code: &str, root: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for (before, behind) in behind_word(code, root) {
        // `self::fs::crate` cannot be, but `foo::std::fs` is not the standard library.
        if before.trim_end().ends_with("::") && !before.trim_end().ends_with(" ::") {
            continue;
        }
        let Some(path) = behind.trim_start().strip_prefix("::") else {
            continue;
        };
        let path = path.trim_start();
        match path.strip_prefix('{') {
            Some(group) => names.extend(first_names(group)),
            None => names.extend(first_name(path)),
        }
    }
    names
}

fn first_name(path: &str) -> Option<String> {
    let path = path.trim_start().trim_start_matches("r#");
    let name: String = path.chars().take_while(|c| is_word(*c)).collect();
    (!name.is_empty()).then_some(name)
}

/// The first names of the paths in a group, up to its closing brace.
fn first_names(group: &str) -> Vec<String> {
    let mut names = Vec::from_iter(first_name(group));
    let mut depth = 0_usize;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => names.extend(first_name(&group[at + 1..])),
            _ => {}
        }
    }
    names
}

/// Whether an external crate is named: `use name...`, `name::` or `extern crate name`, not as part of another path.
fn uses_crate(code: &str, name: &str) -> bool {
    behind_word(code, name).any(|(before, behind)| {
        let (before, behind) = (before.trim_end(), behind.trim_start());
        let is_path = behind.starts_with("::") && (!before.ends_with("::") || is_absolute(before));
        let is_use = before.ends_with("use") && (behind.starts_with(';') || behind.starts_with("as "));
        is_path || is_use || before.ends_with("extern crate")
    })
}

/// Whether the `::` at the end starts a path: nothing it could continue stands before it.
fn is_absolute(before: &str) -> bool {
    let before = before.trim_end_matches("::");
    !before.ends_with(|c: char| is_word(c) || c == '>')
}

/// The source with comments and the contents of string and character literals replaced by spaces; lines stay.
fn blank(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(c) = rest.chars().next() {
        let after_word = out.ends_with(is_word);
        let skip = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => block_comment(rest),
            '"' => string(rest),
            'r' | 'b' | 'c' if !after_word => prefixed_string(rest).unwrap_or(0),
            '\'' => character(rest),
            _ => 0,
        };
        if skip == 0 {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        } else {
            out.extend(rest[..skip].chars().map(|c| if c == '\n' { '\n' } else { ' ' }));
            rest = &rest[skip..];
        }
    }
    out
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += 1;
        }
    }
    text.len()
}

fn string(text: &str) -> usize {
    let mut bytes = text.bytes().enumerate().skip(1);
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'\\' => drop(bytes.next()),
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of `r"..."`, `r#"..."#`, `b"..."`, `br"..."`, `c"..."`.
fn prefixed_string(text: &str) -> Option<usize> {
    let prefix = text.len() - text.trim_start_matches(['b', 'c', 'r']).len();
    if prefix > 2 {
        return None;
    }
    let body = &text[prefix..];
    if !text[..prefix].contains('r') {
        return body.starts_with('"').then(|| prefix + string(body));
    }
    let hashes = body.len() - body.trim_start_matches('#').len();
    let content = body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(
        content
            .find(&end)
            .map_or(text.len(), |at| prefix + hashes + 1 + at + end.len()),
    )
}

/// The length of a character literal; 0 for a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            chars.next();
            chars.find(|(_, c)| *c == '\'').map_or(0, |(at, _)| at + 1)
        }
        Some(_) => match chars.next() {
            Some((at, '\'')) => at + 1,
            _ => 0,
        },
        None => 0,
    }
}

/// The files of `tests/` that no test binary reaches by `mod NAME;`.
fn orphans(files: &[(String, String)]) -> Vec<String> {
    let mut reached: BTreeSet<&str> = BTreeSet::new();
    let is_binary = |name: &str| !name.contains('/') || name.split('/').nth(1) == Some("main.rs");
    let mut todo: Vec<&(String, String)> = files.iter().filter(|(name, _)| is_binary(name)).collect();
    while let Some((name, source)) = todo.pop() {
        if !reached.insert(name) {
            continue;
        }
        let dir = match name.rsplit_once('/') {
            Some((dir, "mod.rs" | "main.rs")) => format!("{dir}/"),
            Some((_, _)) => format!("{}/", name.trim_end_matches(".rs")),
            None => String::new(),
        };
        for (_, rest) in source
            .match_indices("#[path = \"")
            .map(|(at, found)| source.split_at(at + found.len()))
        {
            let path = rest.split('"').next().unwrap_or_default();
            let parent = name
                .rsplit_once('/')
                .map_or(String::new(), |(dir, _)| format!("{dir}/"));
            todo.extend(files.iter().filter(|(file, _)| *file == format!("{parent}{path}")));
        }
        let code = blank(source);
        for (_, behind) in behind_word(&code, "mod") {
            let Some(module) = first_name(behind) else { continue };
            let places = [format!("{dir}{module}.rs"), format!("{dir}{module}/mod.rs")];
            todo.extend(files.iter().filter(|(name, _)| places.contains(name)));
        }
    }
    let all = files.iter().map(|(name, _)| name.as_str());
    all.filter(|name| !reached.contains(name)).map(str::to_owned).collect()
}

#[cfg(test)]
mod the_rules_bite {
    use super::*;

    #[track_caller]
    fn breaks(path: &str, source: &str, what: &str) {
        let broken = violations(path, source);
        assert!(
            broken.len() == 1 && broken[0].contains(what),
            "{path}: {source}\ngave {broken:?}"
        );
    }

    #[track_caller]
    fn keeps(path: &str, source: &str) {
        assert_eq!(violations(path, source), [""; 0], "{path}: {source}");
    }

    #[test]
    fn layers() {
        breaks("store/pack.rs", "use crate::object::Tree;", "higher layer");
        breaks("store/pack.rs", "use crate::{fs, object::Tree};", "higher layer");
        breaks(
            "store/pack.rs",
            "use crate::{\n    fs::{self, open},\n    object,\n};",
            "higher layer",
        );
        breaks("store/pack.rs", "fn f() { crate::repo::add() }", "higher layer");
        breaks("store/pack.rs", "pub(in crate::cli) fn f() {}", "higher layer");
        breaks("git/mod.rs", "use crate::remote::Url;", "beside");
        breaks("chunk/cut.rs", "use crate::config;", "beside");
        breaks(
            "chunk/cut.rs",
            "#[cfg(test)]\nmod tests { use crate::store; }",
            "higher layer",
        );
        breaks("repo/mod.rs", "use modver::cli;", "higher layer");
        breaks("util/mod.rs", "", "no layer");
        keeps("fs/mod.rs", "use crate::path::Name;");
        keeps("store/pack.rs", "use crate::store::Index; use crate::{hash, chunk};");
        keeps(
            "store/pack.rs",
            "// crate::cli\nconst S: &str = \"crate::cli\";\n/* crate::cli /* */ crate::cli */",
        );
        keeps(
            "store/pack.rs",
            "const S: &str = r#\"\" crate::cli\"#; const C: char = '\"'; // \"\ncrate!();",
        );
        keeps("cli/mod.rs", "use crate::{repo, store};");
        keeps("bin/mv.rs", "fn main() { modver::cli::main() }");
    }

    #[test]
    fn homes() {
        breaks("store/pack.rs", "use blake3::Hasher;", "blake3");
        breaks("store/pack.rs", "fn f() { ::blake3::hash(b\"\"); }", "blake3");
        breaks("store/pack.rs", "use blake3 as b;", "blake3");
        breaks("workspace/walk.rs", "use gix::Repository;", "gix");
        breaks("store/pack.rs", "use zstd::bulk;", "zstd");
        breaks("repo/add.rs", "use clap::Parser;", "clap");
        breaks("cli/mod.rs", "use rustix::fs;", "rustix");
        keeps("hash/mod.rs", "use blake3::Hasher;");
        keeps("store/codec.rs", "use zstd::bulk;");
        keeps("workspace/ignore.rs", "use gix::glob;");
        keeps(
            "store/pack.rs",
            "fn f(zstd: u8, x: codec::zstd::Level) { my_zstd::g(zstd) }",
        );
        keeps("repo/add.rs", "#[cfg(test)]\nmod tests { use blake3::Hasher; }");
    }

    #[test]
    fn files() {
        breaks("repo/add.rs", "use std::fs;", "std::fs");
        breaks("repo/add.rs", "use std::{io, fs::File};", "std::fs");
        breaks("cli/mod.rs", "fn f() { std::fs::read(\"x\"); }", "std::fs");
        keeps("fs/mod.rs", "use std::fs;");
        keeps("repo/add.rs", "use crate::fs; use std::io;");
        keeps("repo/add.rs", "#[cfg(test)]\nmod tests { use std::fs; }");
        breaks("repo/add.rs", &"\n".repeat(601), "lines");
        breaks("lib.rs", &"\n".repeat(601), "lines");
        keeps(
            "repo/add.rs",
            &("\n".repeat(500) + "#[cfg(test)]\nmod tests {" + &"\n".repeat(500) + "}"),
        );
        breaks(
            "repo/add.rs",
            &("#[cfg(test)]\nfn f() {}".to_owned() + &"\n".repeat(700)),
            "lines",
        );
    }

    #[test]
    fn test_files() {
        let files = |names: &[(&str, &str)]| -> Vec<(String, String)> {
            names
                .iter()
                .map(|(name, source)| ((*name).to_owned(), (*source).to_owned()))
                .collect()
        };
        let good = files(&[
            ("data.rs", "mod support;\nmod big { mod x; }"),
            ("support/mod.rs", "pub mod s3;"),
            ("support/s3.rs", ""),
            ("crash/main.rs", "mod kill;"),
            ("crash/kill.rs", ""),
        ]);
        assert_eq!(orphans(&good), [""; 0]);
        let bad = files(&[
            ("data.rs", "// mod support;"),
            ("support/mod.rs", "mod s3;"),
            ("support/s3.rs", ""),
        ]);
        assert_eq!(orphans(&bad), ["support/mod.rs", "support/s3.rs"]);
    }
}
