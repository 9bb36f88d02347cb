//! The thread on which all clients of a process run, so that applications need no async runtime.

use std::io;
use std::sync::OnceLock;

use tokio::runtime::{Builder, Handle, Runtime};

/// The runtime of all clients: one thread, which sleeps while there is nothing to do.
///
/// # Errors
/// If the system provides no thread.
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
        // Another thread was faster. Dropping a runtime blocks, which a thread that runs a task must not do.
        second.shutdown_background();
    }
    Ok(RUNTIME.get().expect("one of the two was set").handle())
}
