//! What is read again on SIGHUP.

use std::fmt::Display;

/// From now on, calls `reload` on each SIGHUP, which returns whether there was anything new.
#[cfg(unix)]
pub(super) fn when_told<E: Display>(
    what: &'static str,
    reload: impl Fn() -> Result<bool, E> + Send + 'static,
) {
    at_hangups(move || match reload() {
        Ok(true) => tracing::info!("{what}: read again"),
        Ok(false) => tracing::info!("{what}: the same as before"),
        Err(error) => {
            tracing::error!(%error, "{what}: not replaced; what was read before stays in use");
        }
    });
}

/// From now on, calls `act` on each SIGHUP.
#[cfg(unix)]
pub(super) fn at_hangups(act: impl Fn() + Send + 'static) {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut hangup) = signal(SignalKind::hangup()) else {
        return;
    };
    tokio::spawn(async move {
        while hangup.recv().await.is_some() {
            act();
        }
    });
}

/// From now on, SIGHUP doesn't end a server without a terminal, whether or not it has anything to read again.
#[cfg(unix)]
pub(super) fn outlive_hangups() {
    use std::io::IsTerminal as _;

    if std::io::stdin().is_terminal() {
        return;
    }
    at_hangups(|| {
        tracing::info!(
            "SIGHUP: keys and certificates are read again from their files or URL; everything else needs a restart"
        );
    });
}

#[cfg(not(unix))]
pub(super) fn outlive_hangups() {}

#[cfg(not(unix))]
pub(super) fn when_told<E: Display>(
    _what: &'static str,
    _reload: impl Fn() -> Result<bool, E> + Send + 'static,
) {
}

#[cfg(not(unix))]
pub(super) fn at_hangups(_act: impl Fn() + Send + 'static) {}
