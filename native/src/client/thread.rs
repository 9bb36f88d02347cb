//! The thread in which the clients of a process are at work, so that they need no runtime of their users'.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime of all clients: one thread, which sleeps while there is nothing to do.
///
/// # Errors
/// When the system gives no thread.
pub(super) fn runtime() -> io::Result<&'static Handle> {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    if let Some(runtime) = RUNTIME.get() {
        return Ok(runtime.handle());
    }
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("tidegate-client")
        .enable_all()
        .build()?;
    if let Err(second) = RUNTIME.set(runtime) {
        // Another thread was faster. A runtime may not be dropped by waiting where a task may be running.
        second.shutdown_background();
    }
    Ok(RUNTIME.get().expect("one of the two was set").handle())
}
