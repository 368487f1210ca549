//! `modver serve token`.

use std::io::{self, Write};
use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Style, human};
use crate::server::{NewToken, Role, Token, TokenAdded, TokenFile};

#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  modver serve token add --root /srv/modver --write ann
  modver serve token add --root /srv/modver --read --repository project --expires 90d ci
  modver serve token revoke --root /srv/modver ann")]
pub(super) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make a token and print it: it is not kept and cannot be shown again
    #[command(group = clap::ArgGroup::new("role").required(true))]
    Add {
        /// Whom or what it is for
        name: String,
        /// It allows to pull
        #[arg(long, group = "role")]
        read: bool,
        /// It allows to pull and push, but not to take away what was pushed
        #[arg(long, group = "role")]
        write: bool,
        /// It allows everything, such as collection
        #[arg(long, group = "role")]
        admin: bool,
        /// Only for this repository; may be given several times
        #[arg(long = "repository", value_name = "NAME")]
        repositories: Vec<String>,
        /// It ends after this time: 12h, 90d, 4w or 1y
        #[arg(long, value_name = "TIME", value_parser = span)]
        expires: Option<u64>,
        #[command(flatten)]
        place: Place,
    },
    /// List the tokens, without what is secret
    List {
        #[command(flatten)]
        place: Place,
    },
    /// Take a token away; a running server refuses it from then on
    Revoke {
        /// The token's name
        name: String,
        #[command(flatten)]
        place: Place,
    },
}

#[derive(Debug, clap::Args)]
struct Place {
    /// The server's directory
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// The server's settings file, which says its directory
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
}

impl Place {
    fn file(&self, context: &Context) -> Result<TokenFile, CliError> {
        let file = super::settings(self.config_file.as_ref(), context)?;
        Ok(TokenFile::of(&super::root(self.root.as_ref(), &file, context)?))
    }
}

/// Reads a span of time, in seconds.
fn span(text: &str) -> Result<u64, String> {
    let wrong = || format!("`{text}` is not a time; write a number with h, d, w or y, such as 90d");
    let (digits, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len()));
    let hours = match unit {
        "h" => 1,
        "d" => 24,
        "w" => 7 * 24,
        "y" => 365 * 24,
        _ => return Err(wrong()),
    };
    let n: u64 = digits.parse().map_err(|_| wrong())?;
    n.checked_mul(hours * 3600)
        .filter(|span| *span <= 100 * 365 * 24 * 3600)
        .ok_or_else(wrong)
}

pub(super) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    Ok(match &args.action {
        Action::Add {
            name,
            read: _,
            write,
            admin,
            repositories,
            expires,
            place,
        } => {
            let role = match (write, admin) {
                (_, true) => Role::Admin,
                (true, _) => Role::Write,
                _ => Role::Read,
            };
            let new = NewToken {
                name: name.clone(),
                role,
                repositories: repositories.clone(),
                expires: expires.map(|span| now + span),
            };
            let root = place.file(context)?;
            Shown::Added(root.add(new, now)?)
        }
        Action::List { place } => {
            let tokens = place.file(context)?.load()?.unwrap_or_default();
            let tokens = tokens
                .into_iter()
                .map(|token| Listed {
                    expired: token.has_expired(now),
                    token,
                })
                .collect();
            Shown::List { tokens }
        }
        Action::Revoke { name, place } => Shown::Revoked {
            revoked: place.file(context)?.revoke(name)?.name,
        },
    })
}

/// What was done, or is there.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Added(TokenAdded),
    List { tokens: Vec<Listed> },
    Revoked { revoked: String },
}

/// A token in a list.
#[derive(Debug, serde::Serialize)]
pub(crate) struct Listed {
    expired: bool,
    #[serde(flatten)]
    token: Token,
}

impl Shown {
    pub(super) fn text(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self {
            Self::Added(added) => writeln!(out, "{}", added.token),
            Self::List { tokens } => {
                let width = tokens.iter().map(|t| t.token.name.len()).max().unwrap_or(0);
                tokens.iter().try_for_each(|Listed { expired, token }| {
                    let repositories = match token.repositories.as_slice() {
                        [] => "all repositories".to_owned(),
                        some => some.join(", "),
                    };
                    let role = match token.role {
                        Role::Read => "read ",
                        Role::Write => "write",
                        Role::Admin => "admin",
                    };
                    let day = |seconds: u64| human::time(seconds * 1000)[..10].to_owned();
                    let end = match (token.expires, expired) {
                        (None, _) => String::new(),
                        (Some(at), false) => format!(", until {}", day(at)),
                        (Some(at), true) => format!(", expired on {}", day(at)),
                    };
                    writeln!(
                        out,
                        "{:width$}  {role}  {repositories}, since {}{end}",
                        token.name,
                        day(token.created)
                    )
                })
            }
            Self::Revoked { revoked } => writeln!(out, "revoked {revoked}"),
        }
    }

    pub(super) fn notes(&self, out: &mut dyn Write, _style: Style) -> io::Result<()> {
        match self {
            Self::Added(_) => writeln!(
                out,
                "the token is not kept and is not shown again; a client takes it with\n  modver config set --local \
                 remote.NAME.token TOKEN"
            ),
            Self::List { tokens } if tokens.is_empty() => {
                writeln!(
                    out,
                    "there are no tokens; make one with: modver serve token add --write NAME"
                )
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans() {
        assert_eq!(span("12h"), Ok(12 * 3600));
        assert_eq!(span("90d"), Ok(90 * 86_400));
        assert_eq!(span("1y"), Ok(365 * 86_400));
        for bad in ["", "d", "1", "1m", "-1d", "99999999999999999999d", "9999y"] {
            assert!(span(bad).is_err(), "{bad}");
        }
    }
}
