//! The name rule: is this `mv` ours or the system's?
//!
//! Decided from the arguments alone, and from whether a file of one name exists here, before anything else is
//! loaded: scripts call `mv` thousands of times. The decision errs to the system's side: whatever the system's `mv`
//! could carry out, it gets. [`RULE`] says the rule to people.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;

use super::commands::NAMES;

/// The rule in words, as `help names` and the README show it.
pub(crate) const RULE: &str = "\
`modver` always means this program. `mv` means this program when

  - the first argument is one of its commands and no file of that name exists here:
      mv add data/          ours, unless there is a file called `add`
      mv old.txt new.txt    the system's
  - or there is only one argument, and that is a command, --help or --version:
      mv status             ours (the system's mv always needs two arguments)
  - or there is none.

Options that the system's mv does not know (-C DIR, -q, -j N, --json, --no-progress) may come first. In every other
case the next `mv` on PATH that is not this program runs instead, with the same arguments, environment, working
directory, standard input and exit status.

Scripts and CI files should say `modver`. To get the system's mv in any case, write `command -p mv` or /bin/mv.
";

/// Who a command line that starts with `mv` is meant for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    Ours,
    Systems,
}

/// Long options of ours that the system's `mv` does not know, and whether a value follows.
const LONG: [(&str, bool); 5] = [
    ("config", true),
    ("jobs", true),
    ("json", false),
    ("no-progress", false),
    ("quiet", false),
];

/// Short options of ours that the system's `mv` does not know, and whether a value follows.
const SHORT: [(u8, bool); 4] = [(b'c', true), (b'C', true), (b'j', true), (b'q', false)];

/// Decides from the arguments behind the program's name. `exists` tells whether the directory entry (of whatever
/// kind, also a dangling link) exists here.
pub(crate) fn whose(args: &[OsString], exists: impl Fn(&OsStr) -> bool) -> Whose {
    let mut rest = args;
    while let Some((first, behind)) = rest.split_first() {
        match option(first.as_bytes()) {
            Some(Takes::Nothing) => rest = behind,
            Some(Takes::NextArgument) => rest = behind.get(1..).unwrap_or_default(),
            None => break,
        }
    }
    let ours = match rest {
        [] => true,
        [only] => is_command(only) || matches!(only.as_bytes(), b"--help" | b"-h" | b"--version" | b"-V"),
        [first, ..] => is_command(first) && !exists(first),
    };
    if ours { Whose::Ours } else { Whose::Systems }
}

fn is_command(arg: &OsStr) -> bool {
    NAMES.iter().any(|name| name.as_bytes() == arg.as_bytes())
}

enum Takes {
    Nothing,
    NextArgument,
}

/// What an argument takes if it consists of our own options only.
fn option(arg: &[u8]) -> Option<Takes> {
    if let Some(long) = arg.strip_prefix(b"--") {
        return LONG
            .iter()
            .find_map(|(name, valued)| match long.strip_prefix(name.as_bytes())? {
                [] if *valued => Some(Takes::NextArgument),
                [] => Some(Takes::Nothing),
                [b'=', ..] if *valued => Some(Takes::Nothing),
                _ => None,
            });
    }
    let letters = arg.strip_prefix(b"-").filter(|letters| !letters.is_empty())?;
    for (i, letter) in letters.iter().enumerate() {
        let (_, valued) = SHORT.iter().find(|(short, _)| short == letter)?;
        if *valued {
            let last = i + 1 == letters.len();
            return Some(if last { Takes::NextArgument } else { Takes::Nothing });
        }
    }
    Some(Takes::Nothing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use std::collections::BTreeSet;

    fn decide(line: &str, files: &[&str]) -> Whose {
        let args: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        whose(&args, |name| files.iter().any(|file| *file == name))
    }

    #[test]
    fn ours() {
        for line in [
            "",
            "--help",
            "-h",
            "--version",
            "-V",
            "status",
            "add data/",
            "add a b c",
            "help names",
            "list x",
            "-q add x",
            "-C dir add x",
            "-Cdir add x",
            "-j 4 add x",
            "-j4 add x",
            "-c core.jobs=1 add x",
            "-qj4 add x",
            "-qj 4 add x",
            "-qC dir status",
            "--json add x",
            "--json --quiet --no-progress status x",
            "--jobs=4 add x",
            "--jobs 4 add x",
            "--json --help",
            "add -f x",
            "-q",
            "-C",
        ] {
            assert_eq!(decide(line, &[]), Whose::Ours, "mv {line}");
        }
        assert_eq!(decide("add", &["add"]), Whose::Ours, "mv needs two arguments");
    }

    #[test]
    fn the_systems() {
        for line in [
            "a",
            "a b",
            "-f a b",
            "-t dir a b",
            "--target-directory=dir a",
            "-- -x y",
            "-- add x",
            "-v add x",
            "-qv add x",
            "-f add x",
            "--verbose add x",
            "--help x",
            "./add x",
            "adds x",
            "add/ x",
            "--jsonx add x",
            "--json=1 add x",
            "- add",
            "-C add x",
            "-j add x",
        ] {
            assert_eq!(decide(line, &[]), Whose::Systems, "mv {line}");
        }
        assert_eq!(decide("add x", &["add"]), Whose::Systems);
        assert_eq!(decide("-q add x", &["add"]), Whose::Systems);
        assert_eq!(decide("add x", &["x"]), Whose::Ours);
        let odd = [OsString::from("add"), OsStr::from_bytes(b"\xff").to_owned()];
        assert_eq!(whose(&odd, |_| false), Whose::Ours);
        let odd = [OsStr::from_bytes(b"\xffadd").to_owned(), OsString::from("x")];
        assert_eq!(whose(&odd, |_| false), Whose::Systems);
    }

    #[test]
    fn knows_exactly_claps_commands_and_options() {
        let command = super::super::args::Cli::command();
        let from_clap: BTreeSet<String> = command
            .get_subcommands()
            .flat_map(|sub| std::iter::once(sub.get_name()).chain(sub.get_all_aliases()))
            .map(str::to_owned)
            .collect();
        assert_eq!(from_clap, NAMES.iter().map(|name| (*name).to_owned()).collect());

        let mut long = BTreeSet::new();
        let mut short = BTreeSet::new();
        for arg in command.get_arguments().filter(|arg| arg.is_global_set()) {
            let valued = arg.get_action().takes_values();
            if arg.get_long() == Some("verbose") {
                continue;
            }
            long.extend(arg.get_long().map(|name| (name, valued)));
            short.extend(arg.get_short().map(|letter| (u8::try_from(letter).unwrap(), valued)));
        }
        assert_eq!(long, LONG.into_iter().collect());
        assert_eq!(short, SHORT.into_iter().collect());
    }
}
