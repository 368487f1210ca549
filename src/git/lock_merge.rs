//! Three-way merging of lock files, stage by stage (`docs/formats.md`, "Lock file").
//!
//! The text is cut into the lines before the first table and the tables `[stages.NAME…]` of each stage. What only one side
//! changed is taken from there, by value: comments and order of keys are no change. The result has the stages by name,
//! each as the side it comes from wrote it. A stage that both sides changed in different ways stands there twice,
//! between git's conflict markers.
//!
//! Not promised: anything for files that are not of that form; [`merge_lock`] declines them.

use std::collections::{BTreeMap, BTreeSet};

/// What everything of a lock file is in.
const STAGES: &str = "stages";

/// A lock file that was merged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergedLock {
    /// Its text.
    pub text: String,
    /// Stages (and lines before them) that both sides changed in different ways.
    pub conflicts: u64,
}

/// A lock file in pieces; the lines before the first stage have no name.
type Pieces<'a> = BTreeMap<Option<String>, Piece<'a>>;

#[derive(Debug, Clone)]
struct Piece<'a> {
    lines: Vec<&'a str>,
    value: toml::Table,
}

/// Merges three versions of a lock file; `base` is empty if both sides began without one. `None`: one of them is not of
/// the form that can be merged by stages.
#[must_use]
pub fn merge_lock(base: &str, ours: &str, theirs: &str, marker_size: usize) -> Option<MergedLock> {
    let (base, ours, theirs) = (pieces(base)?, pieces(ours)?, pieces(theirs)?);
    let names: BTreeSet<_> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    let mut merged = MergedLock {
        text: String::new(),
        conflicts: 0,
    };
    for name in names {
        let (base, ours, theirs) = (base.get(name), ours.get(name), theirs.get(name));
        let value = |piece: Option<&Piece<'_>>| piece.map(|piece| piece.value.clone());
        if value(ours) == value(theirs) || value(base) == value(theirs) {
            merged.put(ours);
        } else if value(base) == value(ours) {
            merged.put(theirs);
        } else {
            merged.conflicts += 1;
            merged.mark('<', marker_size, " ours");
            merged.put(ours);
            merged.mark('=', marker_size, "");
            merged.put(theirs);
            merged.mark('>', marker_size, " theirs");
        }
    }
    Some(merged)
}

impl MergedLock {
    fn put(&mut self, piece: Option<&Piece<'_>>) {
        for line in piece.into_iter().flat_map(|piece| &piece.lines) {
            self.text.push_str(line);
            if !line.ends_with('\n') {
                self.text.push('\n');
            }
        }
    }

    fn mark(&mut self, sign: char, size: usize, label: &str) {
        self.text.extend(std::iter::repeat_n(sign, size));
        self.text.push_str(label);
        self.text.push('\n');
    }
}

/// Cuts a lock file; `None` if it is not TOML, has tables other than stages, or cannot be cut at its headers.
fn pieces(text: &str) -> Option<Pieces<'_>> {
    let whole: toml::Table = toml::from_str(text).ok()?;
    let mut lines: BTreeMap<Option<String>, Vec<&str>> = BTreeMap::new();
    let mut name = None;
    // Empty lines and comments belong to what follows.
    let mut above = Vec::new();
    for line in text.split_inclusive('\n') {
        above.push(line);
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[') {
            name = Some(stage_of(line)?);
        }
        lines.entry(name.clone()).or_default().append(&mut above);
    }
    if !above.is_empty() {
        lines.entry(name).or_default().append(&mut above);
    }
    let mut cut = toml::Table::new();
    let mut pieces = Pieces::new();
    for (name, lines) in lines {
        let value: toml::Table = toml::from_str(&lines.concat()).ok()?;
        for (key, value) in &value {
            match (key.as_str(), value, cut.get_mut(STAGES)) {
                (STAGES, toml::Value::Table(stages), Some(toml::Value::Table(all))) => all.extend(stages.clone()),
                _ => drop(cut.insert(key.clone(), value.clone())),
            }
        }
        pieces.insert(name, Piece { lines, value });
    }
    // A line of a string that looks like a header would have been taken for one.
    (cut == whole).then_some(pieces)
}

/// The stage whose table begins with this line.
fn stage_of(line: &str) -> Option<String> {
    let header: toml::Table = toml::from_str(line).ok()?;
    let (key, value) = header.into_iter().next()?;
    let stages = value.as_table().filter(|_| key == STAGES)?;
    stages.keys().next().cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn lock(stages: &[(&str, u8)]) -> String {
        let mut text = String::from("version = 1\n");
        for (name, dep) in stages {
            text +=
                &format!("\n[stages.{name}]\ncmd = \"run {name}\"\n[stages.{name}.deps]\n\"a.csv\" = \"{dep}\"\n");
        }
        text
    }

    #[test]
    fn stages_are_merged_by_name() {
        let base = lock(&[("prepare", 1), ("train", 1), ("old", 1)]);
        let ours = lock(&[("prepare", 2), ("train", 1), ("old", 1), ("evaluate", 1)]);
        let theirs = lock(&[("prepare", 1), ("train", 3), ("plot", 1)]);
        let merged = merge_lock(&base, &ours, &theirs, 7).unwrap();
        let expected = lock(&[("evaluate", 1), ("plot", 1), ("prepare", 2), ("train", 3)]);
        assert_eq!((merged.text.as_str(), merged.conflicts), (expected.as_str(), 0));
        assert_eq!(merge_lock(&base, &theirs, &ours, 7), Some(merged));
    }

    #[test]
    fn what_both_changed_is_marked_and_the_rest_merged() {
        let base = lock(&[("a", 1), ("b", 1)]);
        let ours = lock(&[("a", 2), ("b", 2)]);
        let theirs = lock(&[("a", 3), ("b", 1), ("c", 1)]);
        let merged = merge_lock(&base, &ours, &theirs, 7).unwrap();
        assert_eq!(merged.conflicts, 1);
        let a = |dep| lock(&[("a", dep)]).replace("version = 1\n", "");
        let expected = format!(
            "version = 1\n<<<<<<< ours\n{}=======\n{}>>>>>>> theirs\n{}",
            a(2),
            a(3),
            lock(&[("b", 2), ("c", 1)]).replace("version = 1\n", "")
        );
        assert_eq!(merged.text, expected);
        // One side removed what the other changed.
        let merged = merge_lock(&base, &lock(&[("b", 1)]), &theirs, 7).unwrap();
        assert_eq!(merged.conflicts, 1, "{}", merged.text);
    }

    #[test]
    fn other_files_are_declined() {
        let good = lock(&[("a", 1)]);
        for bad in [
            "no toml",
            "[other]\nx = 1\n",
            "[stages.a]\nx = '''\n[stages.b]\n'''\n",
            "<<<<<<< ours\n",
        ] {
            assert_eq!(merge_lock("", bad, &good, 7), None, "{bad}");
            assert_eq!(merge_lock("", &good, bad, 7), None, "{bad}");
        }
        assert!(merge_lock("", &good, &good.replace('\n', "\r\n"), 7).is_some());
    }

    proptest! {
        #[test]
        fn changes_of_different_stages_commute(
            base in proptest::collection::btree_map("[a-e]", 0..3_u8, 0..5),
            ours in proptest::collection::btree_map("[a-e]", 0..3_u8, 0..5),
            theirs in proptest::collection::btree_map("[a-e]", 0..3_u8, 0..5),
        ) {
            let text = |map: &BTreeMap<String, u8>| {
                lock(&map.iter().map(|(name, dep)| (name.as_str(), *dep)).collect::<Vec<_>>())
            };
            let [b, o, t] = [&base, &ours, &theirs].map(text);
            let merged = merge_lock(&b, &o, &t, 7).unwrap();
            prop_assert_eq!(&merge_lock(&b, &b, &t, 7).unwrap().text, &t);
            prop_assert_eq!(&merge_lock(&b, &o, &b, 7).unwrap().text, &o);
            let other = merge_lock(&b, &t, &o, 7).unwrap();
            prop_assert_eq!(merged.conflicts, other.conflicts);
            if merged.conflicts == 0 {
                prop_assert_eq!(&merged, &other);
                let mut expected = BTreeMap::new();
                for name in base.keys().chain(ours.keys()).chain(theirs.keys()) {
                    let side = if base.get(name) == ours.get(name) { &theirs } else { &ours };
                    expected.extend(side.get(name).map(|dep| (name.clone(), *dep)));
                }
                prop_assert_eq!(merged.text, text(&expected));
            }
        }

        #[test]
        fn arbitrary_text_never_panics(text in ".{0,80}", other in "(\\[stages\\.[a-c\"]{0,3}\\]\n|x = [0-9']\n|'''\n){0,6}") {
            let _ = merge_lock(&text, &other, &other, 7);
            let _ = merge_lock("", &other, &text, 7);
        }
    }
}
