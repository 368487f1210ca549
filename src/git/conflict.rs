//! A pointer whose merge left questions (`docs/formats.md`, "Pointer in conflict"): the pointer with our side wherever
//! there is a question, then one part for each question with what both sides have, between git's conflict markers.
//!
//! Every reader of pointers refuses it by name ([`super::PointerProblem::Conflict`]). `git checkout --ours` and `--theirs` replace it by
//! a whole pointer, and what is still open after one part was settled is written the same way again.

use std::fmt::Write as _;

use super::pointer::{MAX_POINTER, Pointer, PointerProblem, Quoted};
use crate::hash::{FileId, TreeId};
use crate::object::{Clash, Node};
use crate::path::{RepoPath, quote, unquote};

/// The first line of the file.
pub(super) const HEADER: &str =
    "# modver pointer in conflict. Each part is settled by: modver checkout --ours PATH, or --theirs PATH\n";
/// The largest such file that is read, in bytes: some hundred thousand questions.
pub const MAX_CONFLICT: u64 = 64 * 1024 * 1024;

/// Whether a file that is too large for a pointer begins as one in conflict.
///
/// # Errors
/// When it cannot be read.
pub fn is_large_conflict(file: &std::path::Path) -> crate::fs::Result<bool> {
    let mut head = vec![0; HEADER.len()];
    let open = crate::fs::open(file)?;
    crate::fs::read_exact_at(&open, file, &mut head, 0)?;
    Ok(head == HEADER.as_bytes())
}

/// A pointer in conflict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PointerConflict {
    /// The pointer, with our side in every question.
    pub pointer: Pointer,
    /// Questions about content; paths are relative to the output.
    pub clashes: Vec<Clash>,
    /// Questions about what people wrote.
    pub fields: Vec<FieldClash>,
}

/// A value of the pointer that both sides changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldClash {
    /// Which one.
    pub field: Field,
    /// What both sides began with.
    pub base: Option<String>,
    /// What we made of it.
    pub ours: Option<String>,
    /// What they made of it.
    pub theirs: Option<String>,
}

/// A value that can only be one side's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Field {
    /// The description.
    Desc,
    /// The remote.
    Remote,
}

impl Field {
    /// Its name in pointers.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Desc => "desc",
            Self::Remote => "remote",
        }
    }
}

/// Which of two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Side {
    /// The branch that was checked out (in a rebase, what was built so far).
    Ours,
    /// What was merged into it (in a rebase, the commit that is replayed).
    Theirs,
}

/// Why bytes are not a pointer in conflict.
#[derive(Debug, thiserror::Error)]
pub enum ConflictProblem {
    /// It does not begin as one.
    #[error("it has conflict markers that modver did not write")]
    Foreign,
    /// What stands before the first part is no pointer.
    #[error("its first part is no pointer")]
    Pointer(#[from] PointerProblem),
    /// A line is not as it should be.
    #[error("line {0} of it was changed by hand")]
    Line(usize),
}

impl PointerConflict {
    /// Whether nothing is open.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.clashes.is_empty() && self.fields.is_empty()
    }

    /// The bytes of the file; of the plain pointer when nothing is open.
    ///
    /// # Errors
    /// As [`Pointer::to_bytes`].
    pub fn to_bytes(&self) -> Result<Vec<u8>, PointerProblem> {
        let pointer = self.pointer.to_bytes()?;
        if self.is_settled() {
            return Ok(pointer);
        }
        let mut out = String::from(HEADER);
        let text = String::from_utf8_lossy(&pointer).into_owned();
        out.extend(text.split_inclusive('\n').skip(1));
        for clash in &self.clashes {
            let sides = [&clash.ours, &clash.base, &clash.theirs].map(|node| node_text(node.as_ref()));
            part(&mut out, &path_text(&clash.path), &sides);
        }
        for clash in &self.fields {
            let sides = [&clash.ours, &clash.base, &clash.theirs].map(|value| match value {
                Some(value) => Quoted(value).to_string(),
                None => ABSENT.to_owned(),
            });
            part(&mut out, &format!("({})", clash.field.name()), &sides);
        }
        Ok(out.into_bytes())
    }

    /// Reads one.
    ///
    /// # Errors
    /// For anything that [`PointerConflict::to_bytes`] does not write.
    pub fn parse(bytes: &[u8]) -> Result<Self, ConflictProblem> {
        if !bytes.starts_with(HEADER.trim_end().as_bytes()) || bytes.len() as u64 > MAX_CONFLICT {
            return Err(ConflictProblem::Foreign);
        }
        let text = std::str::from_utf8(bytes).map_err(PointerProblem::NotText)?;
        let mut lines = Lines {
            rest: text.lines(),
            number: 0,
        };
        let mut header = String::new();
        let mut first = None;
        while let Some(line) = lines.next() {
            if line.starts_with(OURS) {
                first = Some(line);
                break;
            }
            if header.len() as u64 > MAX_POINTER {
                return Err(PointerProblem::TooLarge(header.len() as u64).into());
            }
            header.push_str(line);
            header.push('\n');
        }
        let mut conflict = Self {
            pointer: super::pointer::parse(header.as_bytes())?,
            clashes: Vec::new(),
            fields: Vec::new(),
        };
        while let Some(begin) = first {
            conflict.part(begin, &mut lines)?;
            first = lines.next();
        }
        if conflict.is_settled() {
            return Err(ConflictProblem::Line(lines.number));
        }
        Ok(conflict)
    }

    fn part(&mut self, begin: &str, lines: &mut Lines<'_>) -> Result<(), ConflictProblem> {
        let wrong = |lines: &Lines<'_>| ConflictProblem::Line(lines.number);
        let title = begin.strip_prefix(OURS).ok_or_else(|| wrong(lines))?;
        let ours = lines.next().ok_or_else(|| wrong(lines))?;
        lines.expect(BASE)?;
        let base = lines.next().ok_or_else(|| wrong(lines))?;
        lines.expect(BETWEEN)?;
        let theirs = lines.next().ok_or_else(|| wrong(lines))?;
        lines.expect(&format!("{THEIRS}{title}"))?;
        let field = match title {
            "(desc)" => Some(Field::Desc),
            "(remote)" => Some(Field::Remote),
            _ => None,
        };
        if let Some(field) = field {
            let value = |text: &str| match text {
                ABSENT => Some(None),
                _ => toml::from_str::<toml::Table>(&format!("v = {text}"))
                    .ok()
                    .filter(|table| table.len() == 1)
                    .and_then(|table| Some(Some(table.get("v")?.as_str()?.to_owned()))),
            };
            self.fields.push(FieldClash {
                field,
                base: value(base).ok_or_else(|| wrong(lines))?,
                ours: value(ours).ok_or_else(|| wrong(lines))?,
                theirs: value(theirs).ok_or_else(|| wrong(lines))?,
            });
        } else {
            self.clashes.push(Clash {
                path: path_of(title).ok_or_else(|| wrong(lines))?,
                base: node_of(base).ok_or_else(|| wrong(lines))?,
                ours: node_of(ours).ok_or_else(|| wrong(lines))?,
                theirs: node_of(theirs).ok_or_else(|| wrong(lines))?,
            });
        }
        Ok(())
    }
}

const OURS: &str = "<<<<<<< ours ";
const BASE: &str = "||||||| base";
const BETWEEN: &str = "=======";
const THEIRS: &str = ">>>>>>> theirs ";
const ABSENT: &str = "absent";

struct Lines<'a> {
    rest: std::str::Lines<'a>,
    number: usize,
}

impl<'a> Lines<'a> {
    fn next(&mut self) -> Option<&'a str> {
        self.number += 1;
        self.rest.next()
    }

    fn expect(&mut self, wanted: &str) -> Result<(), ConflictProblem> {
        if self.next() == Some(wanted) {
            Ok(())
        } else {
            Err(ConflictProblem::Line(self.number))
        }
    }
}

fn part(out: &mut String, title: &str, [ours, base, theirs]: &[String; 3]) {
    // Writing to a `String` cannot fail.
    let _ = write!(
        out,
        "{OURS}{title}\n{ours}\n{BASE}\n{base}\n{BETWEEN}\n{theirs}\n{THEIRS}{title}\n"
    );
}

/// A path in a marker: as messages have it, and in quotes too where it could be taken for something else.
fn path_text(path: &RepoPath) -> String {
    if path.is_root() {
        return ".".to_owned();
    }
    let text = quote(path.as_bytes());
    let odd = text.starts_with('(') || text.starts_with(' ') || text.ends_with(' ');
    if odd { format!("\"{text}\"") } else { text.into_owned() }
}

fn path_of(text: &str) -> Option<RepoPath> {
    match text {
        "." => Some(RepoPath::root()),
        _ => RepoPath::new(&unquote(text)?).ok().filter(|path| !path.is_root()),
    }
}

fn node_text(node: Option<&Node>) -> String {
    match node {
        None => ABSENT.to_owned(),
        Some(Node::File { id, size, executable }) => {
            let kind = if *executable { "executable" } else { "file" };
            format!("{kind} {size} {id}")
        }
        Some(Node::Dir { id, size, files }) => format!("dir {size} {files} {id}"),
        Some(Node::Symlink { target }) => {
            let text = quote(target);
            if text.starts_with('"') {
                format!("link {text}")
            } else {
                format!("link \"{text}\"")
            }
        }
    }
}

/// `None` when it cannot be read.
fn node_of(text: &str) -> Option<Option<Node>> {
    if text == ABSENT {
        return Some(None);
    }
    let (kind, rest) = text.split_once(' ')?;
    if kind == "link" {
        let target = rest.starts_with('"').then(|| unquote(rest)).flatten()?;
        let fits = !target.is_empty() && target.len() <= 65_535 && !target.contains(&0);
        return fits.then(|| Some(Node::Symlink { target: target.into() }));
    }
    let words: Vec<&str> = rest.split(' ').collect();
    Some(Some(match (kind, &words[..]) {
        ("file" | "executable", [size, id]) => Node::File {
            id: id.parse::<FileId>().ok()?,
            size: size.parse().ok()?,
            executable: kind == "executable",
        },
        ("dir", [size, files, id]) => Node::Dir {
            id: TreeId::from(id.parse::<FileId>().ok()?),
            size: size.parse().ok()?,
            files: files.parse().ok()?,
        },
        _ => return None,
    }))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{path, pointer};
    use super::super::{Pointer as P, PointerProblem};
    use super::*;
    use proptest::prelude::*;

    fn file(content: &str) -> Option<Node> {
        Some(Node::File {
            id: FileId::of(content.as_bytes()),
            size: content.len() as u64,
            executable: content.len().is_multiple_of(2),
        })
    }

    fn sample() -> PointerConflict {
        let clash = |at: &str, ours, theirs| Clash {
            path: if at == "." { RepoPath::root() } else { path(at) },
            base: file("base"),
            ours,
            theirs,
        };
        PointerConflict {
            pointer: pointer("merged"),
            clashes: vec![
                clash("a/b.txt", file("ours"), file("theirs")),
                clash(" edge ", None, file("theirs")),
                clash("(desc)", file("o"), None),
                clash(
                    "line\nfeed \"q\"",
                    Some(Node::Symlink {
                        target: b"a b".as_slice().into(),
                    }),
                    None,
                ),
                clash(
                    ".",
                    Some(Node::Dir {
                        id: TreeId::of(b"x"),
                        size: 5,
                        files: 2,
                    }),
                    None,
                ),
            ],
            fields: vec![FieldClash {
                field: Field::Desc,
                base: None,
                ours: Some("one \"line\"\n<<<<<<< ours".to_owned()),
                theirs: Some("another".to_owned()),
            }],
        }
    }

    #[test]
    fn reads_back_what_it_writes_and_pointers_refuse_it() {
        let conflict = sample();
        let bytes = conflict.to_bytes().unwrap();
        assert_eq!(
            PointerConflict::parse(&bytes).unwrap(),
            conflict,
            "{}",
            String::from_utf8_lossy(&bytes)
        );
        let error = P::parse(&bytes, &path("x.mv")).unwrap_err();
        assert!(matches!(error.problem, PointerProblem::Conflict));
        let settled = PointerConflict {
            clashes: vec![],
            fields: vec![],
            ..conflict
        };
        assert_eq!(
            P::parse(&settled.to_bytes().unwrap(), &path("x.mv")).unwrap(),
            settled.pointer
        );
    }

    #[test]
    fn names_the_line_that_was_changed() {
        let text = String::from_utf8(sample().to_bytes().unwrap()).unwrap();
        let changed = text.replacen("=======", "======", 1);
        assert!(matches!(
            PointerConflict::parse(changed.as_bytes()),
            Err(ConflictProblem::Line(10))
        ));
        let git = "<<<<<<< HEAD\nid = 1\n=======\n>>>>>>> x\n";
        assert!(matches!(
            PointerConflict::parse(git.as_bytes()),
            Err(ConflictProblem::Foreign)
        ));
    }

    #[test]
    fn the_golden_file_reads_and_writes_the_same() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/formats/pointer-conflict.mv");
        let bytes = std::fs::read(file).unwrap();
        let conflict = PointerConflict::parse(&bytes).unwrap();
        assert_eq!((conflict.clashes.len(), conflict.fields.len()), (3, 1));
        assert_eq!(
            String::from_utf8(conflict.to_bytes().unwrap()),
            String::from_utf8(bytes)
        );
    }

    proptest! {
        #[test]
        fn never_panics(at in 0usize..4000, byte in any::<u8>()) {
            let mut bytes = sample().to_bytes().unwrap();
            let len = bytes.len();
            bytes[at % len] = byte;
            if let Ok(read) = PointerConflict::parse(&bytes) {
                prop_assert_eq!(PointerConflict::parse(&read.to_bytes().unwrap()).unwrap(), read);
            }
        }

        #[test]
        fn any_path_survives(bytes in proptest::collection::vec(any::<u8>(), 1..20)) {
            if let Ok(path) = RepoPath::new(&bytes) {
                prop_assert_eq!(path_of(&path_text(&path)), Some(path));
            }
        }
    }
}
