//! Network faults between hubs and their backend.

use std::sync::Arc;

use tidegate::backend::Backend;

use super::{Ordeal, Seen, live_through};
use crate::proxy::{Proxy, Way};

/// Connections are cut in the middle of a message, in either direction, and finally all of them at once.
///
/// # Panics
/// As [`live_through`] does.
pub async fn cut_off(proxy: &Proxy, backend: impl FnMut() -> Arc<dyn Backend>) {
    live_through(Ordeal::default(), backend, async |mut progress| {
        for (percent, way, bytes) in [
            (15, Way::Down, 777),
            (35, Way::Up, 1234),
            (55, Way::Down, 33),
        ] {
            progress.reaches(percent).await;
            proxy.cut_after(way, bytes);
            proxy.is_cut().await;
        }
        progress.reaches(75).await;
        proxy.cut().await;
    })
    .await;
}

/// The backend stops answering, for longer than hubs wait: after `silence`, until `end`.
///
/// # Panics
/// As [`live_through`] does, and if no hub notices.
pub async fn unanswered(
    proxy: &Proxy,
    backend: impl FnMut() -> Arc<dyn Backend>,
    silence: impl FnOnce(),
    end: impl FnOnce(),
) {
    let seen: Seen = live_through(Ordeal::default(), backend, async |mut progress| {
        progress.reaches(30).await;
        let attempts = proxy.attempts();
        silence();
        // The hubs have given up the connection, and try to reconnect.
        proxy.asked_again(attempts).await;
        end();
    })
    .await;
    assert!(seen.stales > 0, "nobody noticed that nothing was answered");
}
