//! Stopping a server whose hub has clients: they are asked to connect elsewhere first.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::sync::oneshot;

use super::{Listener, Server, Tally};
use crate::Hub;

/// How long connections may take to end once the hub has stopped.
const GRACE_AFTER_HUB: Duration = Duration::from_secs(2);

/// How often to check whether all clients have gone.
const GLANCE: Duration = Duration::from_millis(20);

impl Server {
    /// Serves `app`, in which the [endpoints](crate::axum) of `hub` are mounted, until `stop` is ready, usually
    /// [`stop_signal`]. Then it shuts down gracefully:
    ///
    /// 1. It stops listening at once.
    /// 2. It asks the hub's clients to connect elsewhere, one by one, within
    ///    [`drain_window`](crate::core::session::SessionConfig::drain_window), and sends what is waiting for them.
    /// 3. It answers the requests that `app` is working on; they can use the hub as before.
    /// 4. It stops the hub and returns, once the clients have left and these requests are answered, and at the latest a
    ///    little after [`drain_grace`](crate::core::session::SessionConfig::drain_grace). Another SIGTERM or SIGINT
    ///    stops the hub at once.
    ///
    /// It doesn't wait for anything else that the process is doing, or for answers that are streams: the hub stops
    /// under them.
    ///
    /// If other machines can reach the server and the hub doesn't ask its clients
    /// [who they are](crate::AccessConfig::authenticate), a warning is logged, unless this is
    /// [intended](crate::AccessConfig::open_to_everyone).
    pub async fn run_with_hub(mut self, app: Router, hub: &Hub, stop: impl Future<Output = ()>) {
        if let Some(listener) = self.open_by_oversight(hub) {
            tracing::warn!(
                "{listener} can be reached by other machines, and the hub does not authenticate clients: everyone may read and publish everything; set AccessConfig::authenticate, listen on 127.0.0.1, or confirm with AccessConfig::open_to_everyone"
            );
        }
        // The hub ends what is left at its deadline. Anything that hasn't ended after that hangs.
        let grace = hub.drain_grace() + GRACE_AFTER_HUB;
        self.config.stop_grace = self.config.stop_grace.max(grace);
        let (close, closing) = oneshot::channel();
        let tally = Tally::new(&self.config);
        let served = self.run_counted(app, Arc::clone(&tally), async {
            let _ = closing.await;
        });
        let drained = async {
            stop.await;
            // Stop listening at once, so that a successor can, and no client comes back to this server.
            let _ = close.send(());
            drain(hub, &tally).await;
        };
        tokio::join!(served, drained);
    }
}

impl Server {
    /// A listener through which other machines may do everything, if there is one and nobody has said that they may.
    fn open_by_oversight(&self, hub: &Hub) -> Option<&Listener> {
        let access = &hub.door().config;
        let is_meant = access.authenticate.is_some() || access.open_to_everyone;
        let mut listeners = self.listeners().filter(|_| !is_meant);
        listeners.find(|listener| listener.is_exposed())
    }
}

/// Waits until the hub's clients have gone elsewhere and the application has answered, or their time is up. Then it stops the hub.
async fn drain(hub: &Hub, tally: &Tally) {
    tracing::info!("asking clients to connect elsewhere; a second signal stops the server at once");
    hub.drain();
    tokio::select! {
        () = all_gone(hub, tally) => {}
        () = tokio::time::sleep(hub.drain_grace()) => {}
        () = stop_signal() => {}
    }
    hub.stop();
    // The hub still closes the remaining connections and its backend, and the process must not end before that.
    hub.stopped().await;
}

/// Returns once there are no clients and no unanswered requests. It doesn't wait for streams within the process, which end only with the
/// hub.
async fn all_gone(hub: &Hub, tally: &Tally) {
    let mut interval = tokio::time::interval(GLANCE);
    while hub.has_clients().await.is_ok_and(|has_clients| has_clients) || tally.has_unanswered() {
        interval.tick().await;
    }
}

/// A future that is ready when the process is told to stop: with SIGTERM or SIGINT, or on Windows by Ctrl-C, Ctrl-Break,
/// its console being closed or the system shutting down. Signals count from the call on, also those that come before the
/// first poll.
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

/// A future that is ready when the process is told to stop: by Ctrl-C, Ctrl-Break, its console being closed or the system
/// shutting down. Signals count from the call on, also those that come before the first poll.
///
/// # Panics
/// Outside of a tokio runtime with IO.
#[cfg(windows)]
pub fn stop_signal() -> impl Future<Output = ()> {
    use tokio::signal::windows::{ctrl_break, ctrl_c, ctrl_close, ctrl_shutdown};
    let events = (ctrl_c(), ctrl_break(), ctrl_close(), ctrl_shutdown());
    async {
        let (Ok(mut interrupt), Ok(mut terminate), Ok(mut close), Ok(mut shutdown)) = events else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            // Windows ends the process a few seconds after these two, whatever it still does.
            _ = close.recv() => {}
            _ = shutdown.recv() => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::JwtVerifier;
    use crate::serve::ServeConfig;
    use crate::{AccessConfig, Config};

    #[tokio::test]
    async fn a_server_is_open_to_others_by_oversight_where_nobody_is_asked_and_nothing_said() {
        let hub = |access: AccessConfig| {
            let config = Config {
                access,
                ..Config::default()
            };
            Hub::new(config).expect("threads")
        };
        let server = async |address: &str| {
            let server = Server::new(ServeConfig::default());
            let address = address.parse().expect("an address");
            server.bind(&address).await.expect("a free port")
        };
        let (near, far) = (server("127.0.0.1:0").await, server("0.0.0.0:0").await);
        let open = hub(AccessConfig::default());
        assert!(near.open_by_oversight(&open).is_none());
        assert!(far.open_by_oversight(&open).is_some());
        let meant = hub(AccessConfig {
            open_to_everyone: true,
            ..AccessConfig::default()
        });
        assert!(far.open_by_oversight(&meant).is_none());
        let verifier = JwtVerifier::hs256(&[7; 32]).expect("long enough");
        let asking = hub(AccessConfig {
            authenticate: Some(Arc::new(verifier)),
            ..AccessConfig::default()
        });
        assert!(far.open_by_oversight(&asking).is_none());
    }
}
