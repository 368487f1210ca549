//! A panic is a bug: said in two lines, without a backtrace.

use std::io::Write as _;

/// Replaces the default message of a panic.
pub(crate) fn install_hook() {
    std::panic::set_hook(Box::new(|info| {
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        let what = info.payload_as_str().unwrap_or("panic");
        let _ = writeln!(
            std::io::stderr(),
            "error: this is a bug in modver {}: {what} ({place})\nhint: please report the line above and the output of: modver doctor",
            env!("CARGO_PKG_VERSION")
        );
    }));
}
