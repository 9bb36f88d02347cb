//! `tidegate serve`.

mod access;
mod entrances;
mod limits;
mod settings;
mod values;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use tidegate::Hub;

use super::config::{Environment, Flags, in_force};
pub(super) use settings::{Secrets, Settings};

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
        let filter =
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
        tracing_subscriber::fmt()
            .with_env_filter(filter)
            .with_writer(std::io::stderr)
            .init();
        let in_force = in_force(
            &self.flags,
            self.config.as_deref(),
            &Environment::of_process(),
        )?;
        for warning in in_force.warnings {
            tracing::warn!("{warning}");
        }
        serve(&in_force.settings).await?;
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
    for address in addresses {
        println!("tidegate: listening on {address}");
    }
    // Told to stop, it listens no more at once: a successor can, and no client comes back to this one.
    let served = server.run(tidegate::axum::router(hub.clone()), stop_signal());
    tokio::join!(served, drained(hub, settings.drain_deadline()));
    Ok(())
}

/// Once the server is told to stop, waits until its clients have gone or had their time, and stops the hub.
async fn drained(hub: Hub, deadline: Duration) {
    stop_signal().await;
    tracing::info!("asking clients to connect elsewhere; once more to stop at once");
    hub.drain();
    tokio::select! {
        () = all_gone(&hub) => {}
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
