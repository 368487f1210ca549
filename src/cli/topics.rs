//! Pages of help that belong to no command.

use std::fmt::Write as _;

use super::exit::Exit;
use super::names;

const JSON: &str = "\
With --json a command prints exactly one JSON object to standard output, whether it succeeds or not:

  {\"modver\": 1, \"command\": \"add\", \"ok\": true, ...}
  {\"modver\": 1, \"command\": \"add\", \"ok\": false, \"exit\": 4,
   \"error\": {\"message\": \"...\", \"caused_by\": [\"...\"], \"hint\": \"git init\"}}

`modver` is the version of this form; within one version, fields are added but never changed or removed. `ok` says
whether the exit code is 0; a result that is not ok but has no `error` tells of differences or partial success.
`command` is null when the command line could not be understood. Messages are for people and may change; decide by
`exit`.
";

/// The page on a topic.
pub(crate) fn page(topic: &str) -> Option<String> {
    match topic {
        "names" => Some(names::RULE.to_owned()),
        "exit-codes" => Some(exit_codes()),
        "json" => Some(JSON.to_owned()),
        _ => None,
    }
}

fn exit_codes() -> String {
    Exit::ALL.iter().fold(String::new(), |mut page, exit| {
        // Writing to a String cannot fail.
        let _ = writeln!(page, "{:>3}  {}", exit.code(), exit.meaning());
        page
    })
}
