//! Ctrl-C and termination: the first asks the operation to stop at a safe point, the second ends the process at once; or, if
//! there are commands of stages running, it ends those, and the third the process.

use std::sync::Arc;
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::CliError;
use super::exit::Exit;
use crate::progress::Progress;

/// A flag that becomes true whenever a hang-up signal arrives, which then does not end the process.
#[cfg(feature = "server")]
pub(crate) fn hangup() -> Result<Arc<std::sync::atomic::AtomicBool>, CliError> {
    let flag = Arc::default();
    signal_hook::flag::register(signal_hook::consts::SIGHUP, Arc::clone(&flag)).map_err(CliError::Signals)?;
    Ok(flag)
}

/// Starts to watch for signals. The thread ends with the process.
pub(crate) fn watch(progress: Arc<Progress>) -> Result<(), CliError> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(CliError::Signals)?;
    thread::spawn(move || {
        let mut arrived = signals.forever();
        if arrived.next().is_some() {
            progress.interrupt();
        }
        while arrived.next().is_some() {
            if progress.hurry() {
                continue;
            }
            signal_hook::low_level::exit(i32::from(Exit::Interrupted.code()));
        }
    });
    Ok(())
}
