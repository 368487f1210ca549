//! Debug builds only: arms the fail points of `fs::fault` from `MODVER_TEST_FAULT`, for the crash tests.
//!
//! `kill@N` dies at the N-th operation that changes the disk; `errno=28@N` fails it with that error number, and
//! `errno=28@N+` every later one, too; `fold-case` takes
//! names that differ only in case for one; `count:FILE` writes the number of operations to FILE at the end.

use std::path::Path;

use super::context::Env;
use crate::fs::{self, fault};

const VARIABLE: &str = "MODVER_TEST_FAULT";

/// Arms what the variable says.
///
/// # Panics
/// When the variable says nothing known: a crash test that tests nothing must not pass.
pub(crate) fn arm(env: &Env) {
    let Some(text) = env.get(VARIABLE) else { return };
    let text = text.to_string_lossy();
    if text.starts_with("count:") {
        return;
    }
    if text == "fold-case" {
        fault::fold_case();
        return;
    }
    let (nth, fault) = parse(&text).unwrap_or_else(|| unreachable!("{VARIABLE}={text} is not understood"));
    fault::arm(nth, fault);
}

/// Writes the number of operations, if asked.
pub(crate) fn finish(env: &Env) {
    let file = env.get(VARIABLE).and_then(|text| text.to_str()?.strip_prefix("count:"));
    if let Some(file) = file {
        // A test that finds no file says so itself.
        let _ = fs::write_atomic(Path::new(file), fault::count().to_string().as_bytes());
    }
}

fn parse(text: &str) -> Option<(u64, fault::Fault)> {
    let (what, when) = text.split_once('@')?;
    let sticky = when.ends_with('+');
    let nth = when.strip_suffix('+').unwrap_or(when).parse().ok()?;
    if what == "kill" {
        return (!sticky).then_some((nth, fault::Fault::Kill));
    }
    let code = what.strip_prefix("errno=")?.parse().ok()?;
    Some((nth, fault::Fault::Errno { code, sticky }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fault::Fault;

    #[test]
    fn faults_are_understood() {
        assert_eq!(parse("kill@3"), Some((3, Fault::Kill)));
        let errno = |sticky| Fault::Errno { code: 28, sticky };
        assert_eq!(parse("errno=28@1"), Some((1, errno(false))));
        assert_eq!(parse("errno=28@12+"), Some((12, errno(true))));
        for bad in ["kill", "kill@", "kill@x", "kill@3+", "errno=@1", "28@1"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
