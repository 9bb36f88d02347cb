//! `tidegate serve`.

mod access;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

use access::AccessArgs;
use anyhow::{Context as _, bail};
use axum::serve::ListenerExt as _;
use clap::Args;
use tidegate::backend::Keep;
use tidegate::core::history::HistoryLimits;
use tidegate::{Config, Hub};
use tokio::net::TcpListener;

/// How long clients have to go elsewhere before a server that was told to stop does so.
const DRAIN_GRACE: Duration = Duration::from_secs(5);

const BACKENDS: &str = "\
Backends:
  memory             in this process, and gone when it ends
  sqlite:PATH        a file, for several processes of this machine
  postgres://…       a database, for several servers
  redis://…          Redis or Valkey, also Cluster, for many servers; rediss:// encrypts
  auto               the first that answers of REDIS_URL (or REDIS_HOST), DATABASE_URL and a file of
                     this user's (TIDEGATE_SQLITE)
Without --backend, TIDEGATE_BACKEND or PUBSUB_BACKEND names one; without those it is auto. The log says which
one was chosen, and why.";

#[derive(Args)]
#[command(after_help = BACKENDS)]
pub(super) struct Serve {
    /// Where to listen. Port 0 takes a free one.
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    #[command(flatten)]
    backend: super::BackendArg,
    /// How many publications of a topic are kept, within 1 MiB and ten minutes, for whoever was away: at least a topic's
    /// rate times the longest time that a connection takes to come back, or be replaced by another tab's
    #[arg(long, value_name = "PUBLICATIONS", default_value_t = HistoryLimits::default().count_max)]
    history: usize,
    /// How many threads serve the connections: a number, or auto, one for each processor
    #[arg(long, value_name = "N", default_value = "1", value_parser = shards)]
    shards: NonZeroUsize,
    /// Compress messages with more bytes than this, for WebSocket clients that understand it
    #[arg(long, value_name = "BYTES")]
    compress_above: Option<usize>,
    /// Listen on an address that other machines reach, although nothing asks who they are.
    #[arg(long)]
    open_to_everyone: bool,
    #[command(flatten)]
    access: AccessArgs,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let filter =
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
        let mut config = Config {
            shards: self.shards,
            compress_above: self.compress_above,
            ..Config::default()
        };
        self.access.apply(&mut config)?;
        let is_open = config.access.authenticate.is_none();
        if is_open && !self.listen.ip().is_loopback() && !self.open_to_everyone {
            bail!(
                "{} can be reached by other machines, and nothing asks who they are; listen on 127.0.0.1, \
                 ask for tokens (--jwt-secret-file, --jwks), or say --open-to-everyone",
                self.listen
            );
        }
        let listener = TcpListener::bind(self.listen).await.with_context(|| {
            format!(
                "cannot listen on {}; is another server running there? (--listen)",
                self.listen
            )
        })?;
        let history = HistoryLimits {
            count_max: self.history,
            ..HistoryLimits::default()
        };
        config.server.hub.history = history;
        let keep = Keep {
            history,
            ..Keep::default()
        };
        let choice = self.backend.choose(&keep).await?;
        if choice.backend.is_none() {
            // Of all others it is told when they are reached.
            tracing::info!("backend: {} ({})", choice.what, choice.why);
        }
        let hub = Hub::with_choice(config, &choice).context("the hub could not start")?;
        println!("tidegate: listening on http://{}", listener.local_addr()?);
        let listener = listener.tap_io(|stream| {
            // Small frames must not wait for each other; a socket that refuses is merely slower.
            let _ = stream.set_nodelay(true);
        });
        let app =
            tidegate::axum::router(hub.clone()).into_make_service_with_connect_info::<SocketAddr>();
        // Told to stop, it listens no more at once: a successor can, and no client comes back to this one.
        let server = axum::serve(listener, app).with_graceful_shutdown(stop_signal());
        let (served, ()) = tokio::join!(server.into_future(), drained(hub));
        served.context("the server stopped")?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What `--shards` says.
fn shards(text: &str) -> Result<NonZeroUsize, String> {
    if text == "auto" {
        // Where the system does not tell, one is what there is.
        return Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    }
    let number = text.parse();
    number.map_err(|_| "expected a number of threads from 1 on, or auto".to_owned())
}

/// Once the server is told to stop, waits until its clients have gone or had their time, and stops the hub.
async fn drained(hub: Hub) {
    stop_signal().await;
    tracing::info!("asking clients to connect elsewhere; once more to stop at once");
    hub.drain();
    tokio::select! {
        () = all_gone(&hub) => {}
        () = tokio::time::sleep(DRAIN_GRACE) => {}
        () = stop_signal() => {}
    }
    hub.stop();
    // It says goodbye to those who stayed, and to its backend; the process must not end before.
    hub.stopped().await;
}

/// In-process streams (Server-Sent Events among them) count as connections, and end only with the hub.
async fn all_gone(hub: &Hub) {
    let mut interval = tokio::time::interval(Duration::from_millis(20));
    while hub
        .counts()
        .await
        .is_ok_and(|counts| counts.connections > 0)
    {
        interval.tick().await;
    }
}

#[cfg(unix)]
async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) = (
        signal(SignalKind::interrupt()),
        signal(SignalKind::terminate()),
    ) else {
        return std::future::pending().await;
    };
    tokio::select! {
        _ = interrupt.recv() => {}
        _ = terminate.recv() => {}
    }
}

#[cfg(not(unix))]
async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
