//! How a server stops whose hub has clients: they are asked to go elsewhere first.

use std::future::Future;
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;

use super::Server;
use crate::Hub;

/// How long connections may take to end once the hub has stopped.
const GRACE_AFTER_HUB: Duration = Duration::from_secs(2);

/// How often it is looked whether all clients have gone.
const GLANCE: Duration = Duration::from_millis(20);

impl Server {
    /// Serves `app`, which `hub`'s [endpoints](crate::axum) are mounted in, until `stop` is ready, and stops in order: it
    /// listens no more, at once; the hub's clients are asked to connect elsewhere, one by one, within
    /// [`drain_window`](crate::core::session::SessionConfig::drain_window); what waits for them is sent. It returns once they
    /// have gone and the hub has stopped, at the latest a little after
    /// [`drain_grace`](crate::core::session::SessionConfig::drain_grace). Another signal to the process meanwhile ends that.
    ///
    /// [`stop_signal`] is what `stop` mostly is.
    pub async fn run_with_hub(mut self, app: Router, hub: &Hub, stop: impl Future<Output = ()>) {
        // The hub ends what is left at its deadline; what doesn't end by that hangs.
        let grace = hub.drain_grace() + GRACE_AFTER_HUB;
        self.config.stop_grace = self.config.stop_grace.max(grace);
        let (close, closing) = oneshot::channel();
        let served = self.run(app, async {
            let _ = closing.await;
        });
        let drained = async {
            stop.await;
            // It listens no more at once: a successor can, and no client comes back to this one.
            let _ = close.send(());
            drain(hub).await;
        };
        tokio::join!(served, drained);
    }
}

/// Waits until the hub's clients have gone elsewhere or had their time, and stops it.
async fn drain(hub: &Hub) {
    tracing::info!("asking clients to connect elsewhere; once more to stop at once");
    hub.drain();
    tokio::select! {
        () = all_gone(hub) => {}
        () = tokio::time::sleep(hub.drain_grace()) => {}
        () = stop_signal() => {}
    }
    hub.stop();
    // It says goodbye to those who stayed, and to its backend; the process must not end before.
    hub.stopped().await;
}

/// Streams within the process, which it reads itself, end only with the hub: nobody waits for them.
async fn all_gone(hub: &Hub) {
    let mut interval = tokio::time::interval(GLANCE);
    while hub.has_clients().await.is_ok_and(|has_clients| has_clients) {
        interval.tick().await;
    }
}

/// Ready once the process is told to stop, by SIGTERM or SIGINT, from the call on: a signal that comes before the first
/// poll counts.
///
/// # Panics
/// Outside of a tokio runtime with IO.
#[cfg(unix)]
pub fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::unix::{SignalKind, signal};
    let signals = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    );
    async {
        let (Ok(mut interrupt), Ok(mut terminate)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    }
}

/// Ready once the process is told to stop.
#[cfg(not(unix))]
pub async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
