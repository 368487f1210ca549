//! `modver serve`.

mod token;

use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;

use crate::cli::context::Context;
use crate::cli::error::CliError;
use crate::cli::ui::{Nothing, Render, Style, note};
use crate::cli::{exit::Exit, signals};
use crate::config::parse_size;
use crate::progress::Progress;
use crate::server::{AccessLog, FileSettings, Options, Server, ServerError, TlsFiles};

/// Serve stores over HTTP, for those who have no other place to share
///
/// Keeps any number of repositories below one directory, or in another remote; a client's remote is
/// http://HOST:PORT/REPOSITORY, where REPOSITORY is a name that comes into being with the first push. Who may do what is said by
/// tokens, which are made with `modver serve token add`; as long as there is none, only this machine is served. Checks
/// every object before anybody can see it. Ends on Ctrl-C or SIGTERM when the requests under way are done; SIGHUP
/// reads the certificate again and opens the access log again.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  modver serve --root /srv/modver
  modver serve token add --root /srv/modver --write ann
  modver serve --root /srv/modver --listen 0.0.0.0:8443 --tls-cert cert.pem --tls-key key.pem

On a client:
  modver remote add --default hub https://server:8443/project
  modver config set --local remote.hub.token TOKEN
  modver push"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Option<Action>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, clap::Subcommand)]
enum Action {
    /// Make, list and revoke tokens
    Token(token::Args),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "HOST:PORT")]
    listen: Option<String>,
    /// The server's directory: its tokens, unfinished uploads and, without --storage, the repositories
    #[arg(long, value_name = "DIR")]
    root: Option<PathBuf>,
    /// Keep the repositories in this remote instead: a name from the settings, or a URL
    #[arg(long, value_name = "REMOTE")]
    storage: Option<String>,
    /// The certificate, with those that vouch for it, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// The certificate's key, as a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// The most bytes of an object [default: 4GiB]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    max_object: Option<u64>,
    /// The most bytes of a repository
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    quota: Option<u64>,
    /// Let everybody read
    #[arg(long)]
    public_read: bool,
    /// Write a line for each request to this file; - is standard output
    #[arg(long, value_name = "FILE")]
    access_log: Option<PathBuf>,
    /// Take options that are not given here from this TOML file
    #[arg(long, value_name = "FILE")]
    config_file: Option<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &Args, context: &Context) -> Result<Shown, CliError> {
    match &args.action {
        Some(Action::Token(args)) => Ok(Shown::Token(token::run(args, context)?)),
        None => {
            serve(&args.serve, context)?;
            Ok(Shown::Ended(Nothing {}))
        }
    }
}

/// The server's directory, as an option or the settings file says it.
fn root(given: Option<&PathBuf>, file: &FileSettings, context: &Context) -> Result<PathBuf, CliError> {
    let root = given.or(file.root.as_ref()).ok_or(CliError::NoServerRoot)?;
    Ok(context.cwd.join(root))
}

fn settings(file: Option<&PathBuf>, context: &Context) -> Result<FileSettings, CliError> {
    Ok(match file {
        Some(path) => FileSettings::load(&context.cwd.join(path))?,
        None => FileSettings::default(),
    })
}

fn options(args: &Serve, context: &Context) -> Result<Options, CliError> {
    let file = settings(args.config_file.as_ref(), context)?;
    let mut options = Options::new(root(args.root.as_ref(), &file, context)?);
    let size = |given: Option<u64>, text: &Option<String>| given.or_else(|| parse_size(text.as_deref()?).ok());
    if let Some(listen) = args.listen.as_ref().or(file.listen.as_ref()) {
        options.listen.clone_from(listen);
    }
    if let Some(bytes) = size(args.max_object, &file.max_object) {
        options.max_object = bytes;
    }
    options.quota = size(args.quota, &file.quota);
    options.public_read = args.public_read || file.public_read.unwrap_or(false);
    let cert = args.tls_cert.as_ref().or(file.tls_cert.as_ref());
    let key = args.tls_key.as_ref().or(file.tls_key.as_ref());
    options.tls = match (cert, key) {
        (Some(cert), Some(key)) => Some(TlsFiles {
            cert: context.cwd.join(cert),
            key: context.cwd.join(key),
        }),
        (None, None) => None,
        _ => return Err(CliError::HalfACertificate),
    };
    options.log = match args.access_log.as_ref().or(file.access_log.as_ref()) {
        None => AccessLog::None,
        Some(path) if path.as_os_str() == "-" => AccessLog::Writer(Box::new(io::stdout())),
        Some(path) => AccessLog::File(context.cwd.join(path)),
    };
    if let Some(storage) = args.storage.as_ref().or(file.storage.as_ref()) {
        // Requests that are under way when the server is to stop still need it.
        let progress = Arc::new(Progress::new());
        options.storage = Some(context.settings()?.open_place(storage, &progress)?);
    }
    Ok(options)
}

fn serve(args: &Serve, context: &Context) -> Result<(), CliError> {
    let options = options(args, context)?;
    let scheme = if options.tls.is_some() { "https" } else { "http" };
    let reload = signals::hangup()?;
    let server = Server::start(options, Box::new(note))?;
    let address = server.address();
    if !context.quiet {
        note(&format!("listening on {scheme}://{address}"));
        if scheme == "http" && !address.ip().is_loopback() {
            note(
                "warning: without TLS, tokens and data can be read on the network; use --tls-cert and --tls-key, or a \
                 proxy that has them",
            );
        }
        if server.is_open() {
            note("there is no token: whoever can reach this address on this machine may read and write");
        }
    }
    server
        .run(&context.progress, &reload)
        .map_err(|error: ServerError| error.into())
}

/// What there is to show.
#[derive(Debug, serde::Serialize)]
#[serde(untagged)]
pub(crate) enum Shown {
    Token(token::Shown),
    Ended(Nothing),
}

impl Render for Shown {
    fn text(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Token(shown) => shown.text(out, style),
            Self::Ended(nothing) => nothing.text(out, style),
        }
    }

    fn notes(&self, out: &mut dyn Write, style: Style) -> io::Result<()> {
        match self {
            Self::Token(shown) => shown.notes(out, style),
            Self::Ended(_) => writeln!(out, "stopped"),
        }
    }

    fn exit(&self) -> Exit {
        Exit::Ok
    }
}
