//! Signals that end the program, before which its terminal has to be restored.

/// The exit status for a signal is its number plus this, as in shells.
#[cfg(unix)]
const SIGNAL_EXIT_BASE: u8 = 128;

/// Signals that would otherwise end the program without restoring the terminal.
pub(super) struct Signals {
    #[cfg(unix)]
    caught: [(u8, tokio::signal::unix::Signal); 4],
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// If the system can't catch them.
    #[cfg(unix)]
    pub(super) fn catch() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        // Their numbers are the same on every Unix.
        Ok(Self {
            caught: [
                (1, signal(SignalKind::hangup())?),
                (2, signal(SignalKind::interrupt())?),
                (3, signal(SignalKind::quit())?),
                (15, signal(SignalKind::terminate())?),
            ],
        })
    }

    #[cfg(not(unix))]
    pub(super) fn catch() -> std::io::Result<Self> {
        Ok(Self {})
    }

    /// Waits for one of them, and returns the exit status for it.
    #[cfg(unix)]
    pub(super) async fn next(&mut self) -> u8 {
        let [hangup, interrupt, quit, terminate] = &mut self.caught;
        let number = tokio::select! {
            _ = hangup.1.recv() => hangup.0,
            _ = interrupt.1.recv() => interrupt.0,
            _ = quit.1.recv() => quit.0,
            _ = terminate.1.recv() => terminate.0,
        };
        SIGNAL_EXIT_BASE + number
    }

    #[cfg(not(unix))]
    pub(super) async fn next(&mut self) -> u8 {
        std::future::pending().await
    }
}
