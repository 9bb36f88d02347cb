//! `tidegate serve`.

mod access;
mod entrances;
mod limits;
mod log;
#[cfg(feature = "opentelemetry")]
mod otlp;
mod settings;
mod supervisor;
mod values;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tidegate::Hub;

use super::config::{Environment, Flags, in_force};
use log::Log;
pub(super) use settings::{Secrets, Settings};
use supervisor::Supervisor;

const NOTES: &str = "\
Backends:
  memory             in this process, and gone when it ends
  sqlite:PATH        a file, for several processes of this machine
  postgres://…       a database, for several servers
  redis://…          Redis or Valkey, also Cluster, for many servers; rediss:// encrypts
  auto               the first that answers of REDIS_URL (or REDIS_HOST), DATABASE_URL and a file of
                     this user's (TIDEGATE_SQLITE)
Where none is named, here or by PUBSUB_BACKEND, it is auto. The log says which one was chosen, and why.

Every flag but --config is a variable and a key of the configuration file, too: --publish-rate, TIDEGATE_PUBLISH_RATE,
publish_rate. A flag counts before a variable, a variable before the file. `tidegate config print` writes a file with all
of them, `tidegate config check` looks one over.";

#[derive(Args)]
#[command(after_help = NOTES)]
pub(super) struct Serve {
    /// The configuration file, in TOML [env: TIDEGATE_CONFIG=]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    flags: Flags,
}

impl Serve {
    pub(super) async fn run(self) -> anyhow::Result<ExitCode> {
        let in_force = in_force(
            &self.flags,
            self.config.as_deref(),
            &Environment::of_process(),
        )?;
        let log = Log::start(&in_force.settings)?;
        for warning in in_force.warnings {
            tracing::warn!("{warning}");
        }
        let served = serve(&in_force.settings).await;
        log.end();
        served?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(settings: &Settings) -> anyhow::Result<()> {
    let config = settings.config()?;
    settings.check_reach(&config)?;
    let (server, addresses) = settings.open().await?;
    let choice = settings.choose_backend().await?;
    if choice.backend.is_none() {
        // Of all others it is told when they are reached.
        tracing::info!("backend: {} ({})", choice.what, choice.why);
    }
    let hub = Hub::with_choice(config, &choice).context("the hub could not start")?;
    let supervisor = Supervisor::of_environment();
    // Whoever knows that it listens may tell it to stop.
    let (closing, leaving) = (stop_signal(), stop_signal());
    for address in addresses {
        println!("tidegate: listening on {address}");
    }
    supervisor.ready();
    // Told to stop, it listens no more at once: a successor can, and no client comes back to this one.
    let served = server.run(tidegate::axum::router(hub.clone()), closing);
    let drained = async {
        leaving.await;
        supervisor.stopping();
        drain(&hub, settings.drain_deadline()).await;
    };
    tokio::select! {
        _ = async { tokio::join!(served, drained) } => {}
        () = supervisor.watch(&hub) => {}
    }
    Ok(())
}

/// Waits until the hub's clients have gone elsewhere or had their time, and stops it.
async fn drain(hub: &Hub, deadline: Duration) {
    tracing::info!("asking clients to connect elsewhere; once more to stop at once");
    hub.drain();
    tokio::select! {
        () = all_gone(hub) => {}
        () = tokio::time::sleep(deadline) => {}
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

/// Ends once the server is told to stop, from now on.
#[cfg(unix)]
fn stop_signal() -> impl Future<Output = ()> {
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

/// Ends once the server is told to stop.
#[cfg(not(unix))]
async fn stop_signal() {
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}
