//! The threads that drive requests: two for all of the process.

use std::sync::{Mutex, OnceLock, PoisonError};

use tokio::runtime::Runtime;

/// The runtime all requests share.
pub(super) fn runtime() -> std::io::Result<&'static Runtime> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    static MAKING: Mutex<()> = Mutex::new(());
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let _one_at_a_time = MAKING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("modver-remote")
        .enable_all()
        .build()?;
    Ok(RUNTIME.get_or_init(|| runtime))
}
