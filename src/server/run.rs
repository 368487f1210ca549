//! Starting, running and stopping.

use std::net::{SocketAddr, TcpListener, ToSocketAddrs as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use axum_server::Handle;
use axum_server::tls_rustls::{RustlsAcceptor, RustlsConfig};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;

use super::error::{Result, ServerError};
use super::idle::Watch;
use super::log::Log;
use super::metrics::Metrics;
use super::options::{Options, Patience, TlsFiles};
use super::routes::{State, handle};
use super::sessions::Sessions;
use super::storage::Storage;
use super::tokens::Tokens;
use super::usage::Usage;
use crate::causes::in_one_line;
use crate::fs::{self, FileLock, LockKind, TempFile};
use crate::progress::Progress;

/// The longest head of a request, and what is read from a connection at once.
const BUFFER: usize = 128 * 1024;
/// How often abandoned uploads are looked for.
const SWEEP: Duration = Duration::from_secs(600);

/// Is told in a sentence what an administrator has to know.
pub type Notice = Box<dyn Fn(&str) + Send + Sync>;

/// A running server. Dropping it ends it at once.
pub struct Server {
    address: SocketAddr,
    runtime: Option<Runtime>,
    handle: Handle<SocketAddr>,
    serving: Option<JoinHandle<std::io::Result<()>>>,
    tls: Option<(RustlsConfig, TlsFiles)>,
    state: Arc<State>,
    grace: Duration,
    _lock: FileLock,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Server {
    /// Starts to listen.
    ///
    /// # Errors
    /// When the address cannot be listened on, or must not without a token, or the directory or certificate cannot be
    /// used.
    pub fn start(options: Options, notice: Notice) -> Result<Self> {
        let address = options
            .listen
            .to_socket_addrs()
            .ok()
            .and_then(|mut addresses| addresses.next())
            .ok_or_else(|| ServerError::Address(options.listen.clone()))?;
        fs::create_dir_all(&options.root)?;
        let root = fs::canonicalize(&options.root)?;
        let lock = FileLock::try_acquire(&root.join("lock"), LockKind::Exclusive)?
            .ok_or_else(|| ServerError::InUse(options.root.clone()))?;
        let tokens = Tokens::of(&root);
        let any = tokens.current()?.is_some_and(|tokens| !tokens.is_empty());
        let local = address.ip().is_loopback();
        if !local && !any {
            return Err(ServerError::NoToken {
                address,
                root: options.root,
            });
        }
        let spool = root.join("uploads");
        fs::create_dir_all(&spool)?;
        remove_leftovers(&spool)?;
        let storage = Arc::new(match options.storage {
            Some(transport) => Storage::other(transport),
            None => Storage::dir(&root.join("repositories"))?,
        });
        let state = Arc::new(State {
            usage: Usage::new(Arc::clone(&storage), options.quota),
            storage,
            sessions: Sessions::new(&spool, options.upload_expiry),
            tokens,
            metrics: Metrics::default(),
            log: Log::open(options.log)?,
            spool,
            patience: options.patience,
            max_object: options.max_object,
            public_read: options.public_read,
            open: local,
            unchecked: options.unchecked,
            notice,
        });
        state.sessions.sweep()?;

        let runtime = tokio::runtime::Builder::new_multi_thread()
            .thread_name("modver-serve")
            .enable_all()
            .build()
            .map_err(ServerError::Run)?;
        let tls = match options.tls {
            None => None,
            Some(files) => {
                let config = runtime
                    .block_on(RustlsConfig::from_pem_file(&files.cert, &files.key))
                    .map_err(|source| tls_error(&files, source))?;
                Some((config, files))
            }
        };
        let listener = TcpListener::bind(address).map_err(|source| ServerError::Listen { address, source })?;
        let address = listener.local_addr().map_err(ServerError::Run)?;
        let handle = Handle::new();
        let serving = {
            let (state, handle) = (Arc::clone(&state), handle.clone());
            let config = tls.as_ref().map(|(config, _)| config.clone());
            runtime.spawn(async move { listen(listener, config, handle, state).await })
        };
        runtime.spawn(sweep(Arc::clone(&state)));
        Ok(Self {
            address,
            runtime: Some(runtime),
            handle,
            serving: Some(serving),
            tls,
            state,
            grace: options.grace,
            _lock: lock,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it lets everybody in, because no token was ever made.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.state.open && matches!(self.state.tokens.current(), Ok(None))
    }

    /// Serves until `stop` is interrupted; requests that are under way end, within the time that the options give them.
    /// When `reload` becomes true, the certificate is read again and the log opened again.
    ///
    /// # Errors
    /// When the server ended by itself.
    pub fn run(mut self, stop: &Progress, reload: &AtomicBool) -> Result<()> {
        while stop.check().is_ok() {
            if self.serving.as_ref().is_none_or(JoinHandle::is_finished) {
                return self.finish();
            }
            if reload.swap(false, Relaxed) {
                self.reload();
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        self.handle.graceful_shutdown(Some(self.grace));
        self.finish()
    }

    fn finish(&mut self) -> Result<()> {
        let (Some(runtime), Some(serving)) = (self.runtime.take(), self.serving.take()) else {
            return Ok(());
        };
        let ended = runtime.block_on(serving);
        // What still blocks on a disk is not waited for: nothing of it is visible.
        runtime.shutdown_timeout(Duration::from_secs(5));
        match ended {
            Ok(result) => result.map_err(ServerError::Run),
            Err(error) => Err(ServerError::Run(std::io::Error::other(error))),
        }
    }

    fn reload(&self) {
        let notice = &self.state.notice;
        if let (Some(runtime), Some((config, files))) = (&self.runtime, &self.tls) {
            match runtime.block_on(config.reload_from_pem_file(&files.cert, &files.key)) {
                Ok(()) => notice("read the certificate again"),
                Err(source) => {
                    let error = tls_error(files, source);
                    notice(&format!("{}; the one before stays in use", in_one_line(&error)));
                }
            }
        }
        if let Err(error) = self.state.log.reopen() {
            notice(&in_one_line(&error));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.handle.shutdown();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn tls_error(files: &TlsFiles, source: std::io::Error) -> ServerError {
    ServerError::Tls {
        cert: files.cert.clone(),
        key: files.key.clone(),
        source,
    }
}

/// Removes what a server that was killed was receiving, but for resumable uploads.
fn remove_leftovers(spool: &std::path::Path) -> Result<()> {
    for name in fs::list(spool)? {
        if TempFile::is_temp_name(&name) {
            fs::remove_file(&spool.join(name))?;
        }
    }
    Ok(())
}

async fn sweep(state: Arc<State>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        let sweeping = Arc::clone(&state);
        if let Ok(Err(error)) = tokio::task::spawn_blocking(move || sweeping.sessions.sweep()).await {
            (state.notice)(&in_one_line(&error));
        }
    }
}

async fn listen(
    listener: TcpListener,
    tls: Option<RustlsConfig>,
    handle_: Handle<SocketAddr>,
    state: Arc<State>,
) -> std::io::Result<()> {
    let Patience { first, head, idle } = state.patience;
    let router = Router::new().fallback(
        move |ConnectInfo(peer): ConnectInfo<SocketAddr>, request: Request<Body>| {
            handle(Arc::clone(&state), peer, request)
        },
    );
    let service = router.into_make_service_with_connect_info::<SocketAddr>();
    let mut server = axum_server::from_tcp(listener)?
        .handle(handle_)
        .http1_only()
        .first_request_timeout(first);
    server
        .http_builder()
        .http1()
        .header_read_timeout(head)
        .max_buf_size(BUFFER);
    match tls {
        None => server.acceptor(Watch { idle }).serve(service).await,
        Some(config) => {
            let acceptor = RustlsAcceptor::new(config).acceptor(Watch { idle });
            server.acceptor(acceptor).serve(service).await
        }
    }
}
