//! `tidegate serve`.

mod access;
mod entrances;
mod limits;
mod log;
#[cfg(feature = "opentelemetry")]
mod otlp;
mod reload;
mod settings;
mod supervisor;
mod values;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use tidegate::Hub;
use tidegate::serve::stop_signal;

use super::Misconfigured;
use super::config::{Environment, Flags, in_force};
use log::Log;
pub(super) use settings::{Secrets, Settings};
use supervisor::Supervisor;
pub(super) use values::time;

const NOTES: &str = "\
Backends:
  memory             in this process, and gone when it ends
  sqlite:PATH        a file, for several processes on this machine
  postgres://…       a database, for several servers
  redis://…          Redis or Valkey, also Cluster, for many servers; rediss:// uses TLS
  auto               the first that answers of REDIS_URL (or REDIS_HOST), DATABASE_URL and an SQLite
                     file of this user (TIDEGATE_SQLITE)
The default is PUBSUB_BACKEND if that is set, otherwise auto. The log says which one was chosen, and why.

Every flag except --config is also a variable and a key in the configuration file: --publish-rate, TIDEGATE_PUBLISH_RATE,
publish_rate. Flags override variables, and variables override the file. `tidegate config print` writes a file with all
settings, `tidegate config check` checks one.";

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
    if cfg!(debug_assertions) {
        tracing::info!(
            "this is a development build, several times slower than one made by cargo build --release"
        );
    }
    let (config, keys) = settings.config_and_keys().map_err(Misconfigured::because)?;
    settings.check_reach(&config)?;
    reload::outlive_hangups();
    match keys {
        Some(keys) if keys.fetches_keys() => {
            keys.fetch_keys();
            reload::at_hangups(move || keys.fetch_keys());
        }
        Some(keys) => reload::when_told("the keys of tokens", move || keys.reload()),
        None => {}
    }
    let (server, addresses) = settings.open(&config).await?;
    let choice = settings.choose_backend(&config).await?;
    if choice.backend.is_none() {
        // Other backends are logged once they are reached.
        tracing::info!("backend: {} ({})", choice.what, choice.why);
    }
    let hub = Hub::with_choice(config, &choice).context("the hub could not start")?;
    let supervisor = Supervisor::of_environment();
    // Before the addresses are printed, because whoever has read them may send the signal.
    let told = stop_signal();
    for address in addresses {
        // A reader may stop after the first address, which is no reason to end.
        let _ = writeln!(std::io::stdout(), "tidegate: listening on {address}");
    }
    supervisor.ready().await;
    let stop = async {
        told.await;
        supervisor.stopping().await;
    };
    let app = tidegate::axum::router(hub.clone());
    tokio::select! {
        () = server.run_with_hub(app, &hub, stop) => {}
        () = supervisor.watch(&hub) => {}
    }
    Ok(())
}
