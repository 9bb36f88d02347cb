//! Serves an application over TCP, TLS and Unix sockets, with limits on slow, numerous and malicious clients.
//!
//! Any axum application can be served this way. In addition to what `axum::serve` does, there are:
//!
//! * time limits for handshakes, heads, bodies, idle connections and clients that don't read, and limits of size and
//!   number: [`ServeConfig`] has them all;
//! * TLS whose certificate is read again when its file changes, HTTP/2 over it, Unix sockets, and sockets that the service
//!   manager has opened;
//! * a graceful stop of limited duration, before which the hub's clients connect elsewhere;
//! * event streams that a [hub](crate::Hub) writes to their sockets itself, as it does with WebSockets, in TLS and without. That
//!   costs a fraction of the memory and processor time, and works over HTTP/1.1 only: over HTTP/2 an event stream is written by
//!   the HTTP server.
//!
//! ```no_run
//! # #[tokio::main] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use tidegate::serve::{ServeConfig, Server, stop_signal};
//!
//! let hub = tidegate::Hub::new(Default::default())?;
//! let app = axum::Router::new().nest("/live", tidegate::axum::router(hub.clone()));
//! let server = Server::new(ServeConfig::default()).bind(&"127.0.0.1:8420".parse()?).await?;
//! server.run_with_hub(app, &hub, stop_signal()).await;
//! # Ok(()) }
//! ```
//!
//! This hub doesn't ask clients who they are, which is only for callers on the same machine. Before others can reach
//! it, set [`AccessConfig::authenticate`](crate::AccessConfig::authenticate).
//!
//! Requests carry these extensions: a [`Peer`], the server's [`Tally`] in an `Arc`, and for TCP axum's
//! `ConnectInfo<SocketAddr>`.

mod address;
mod config;
mod connection;
mod front;
mod handover;
mod incoming;
mod listener;
mod stopping;
mod stream;
mod tally;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix_socket;
mod watch;
mod watched;

use std::future::Future;
use std::sync::Arc;

use axum::Router;
use futures_util::future::join_all;
use tokio::sync::watch as channel;

pub use address::{Address, AddressError};
pub use config::ServeConfig;
pub(crate) use connection::ClientStream;
pub(crate) use front::is_late_body;
pub(crate) use handover::Handover;
pub use listener::{ListenError, Listener};
pub use stopping::stop_signal;
pub use stream::Peer;
pub(crate) use stream::Stream;
pub use tally::Tally;
#[cfg(feature = "tls")]
pub use tls::{Tls, TlsError};
pub(crate) use watched::Watched;

/// A server that is being set up. [`Server::run_with_hub`] or [`Server::run`] serves.
#[derive(Debug)]
pub struct Server {
    config: ServeConfig,
    entrances: Vec<Entrance>,
}

/// A listener, and the certificate for its TLS handshakes, if it has any.
#[derive(Debug)]
struct Entrance {
    listener: Listener,
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
}

/// What all connections of a loop share.
struct Shared {
    config: ServeConfig,
    tally: Arc<Tally>,
    app: Router,
}

/// The phase of a serving loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Serving,
    /// Requests in progress are answered, and no further ones.
    Stopping,
    /// Connections that are left are closed.
    Over,
}

impl Server {
    /// A server with these limits. It doesn't listen yet.
    pub fn new(mut config: ServeConfig) -> Self {
        config.head_bytes_max = config.head_bytes_max.max(config::HEAD_BYTES_MIN);
        Self {
            config,
            entrances: Vec::new(),
        }
    }

    /// Also listens at this address.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub async fn bind(self, address: &Address) -> Result<Self, ListenError> {
        let listeners = Listener::bind(address).await?;
        Ok(listeners.into_iter().fold(self, Self::listen))
    }

    /// The places at which it listens.
    pub fn listeners(&self) -> impl Iterator<Item = &Listener> {
        self.entrances.iter().map(|entrance| &entrance.listener)
    }

    /// Also serves the connections of this listener.
    #[must_use]
    pub fn listen(mut self, listener: impl Into<Listener>) -> Self {
        self.entrances.push(Entrance {
            listener: listener.into(),
            #[cfg(feature = "tls")]
            tls: None,
        });
        self
    }

    /// Also serves the connections of this listener, after a TLS handshake. The certificate's files are checked every
    /// ten seconds, and read again when they have changed.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn listen_tls(mut self, listener: impl Into<Listener>, tls: Tls) -> Self {
        self.entrances.push(Entrance {
            listener: listener.into(),
            tls: Some(tls),
        });
        self
    }

    /// Serves `app` until `stop` is ready. Then it stops listening at once, so that a successor can listen; it answers
    /// the requests in progress, and returns when every connection has ended, after [`ServeConfig::stop_grace`] at the
    /// latest.
    pub async fn run(self, app: Router, stop: impl Future<Output = ()>) {
        let tally = Tally::new(&self.config);
        self.run_counted(app, tally, stop).await;
    }

    /// Like [`Self::run`], with a tally that the caller can read, too.
    async fn run_counted(self, app: Router, tally: Arc<Tally>, stop: impl Future<Output = ()>) {
        let shared = Arc::new(Shared {
            tally,
            config: self.config,
            app,
        });
        let (phase, _) = channel::channel(Phase::Serving);
        let incoming = self
            .entrances
            .into_iter()
            .map(|entrance| entrance.serve(&shared, &phase));
        tokio::select! {
            _ = join_all(incoming) => {}
            () = stop => {}
        }
        phase.send_replace(Phase::Stopping);
        let ended = tokio::time::timeout(shared.config.stop_grace, phase.closed()).await;
        if ended.is_err() {
            tracing::info!("connections that did not end in time are closed");
            phase.send_replace(Phase::Over);
            phase.closed().await;
        }
    }
}
