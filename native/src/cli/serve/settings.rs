//! The settings of a server. Each is a flag, and under the same name a variable and a key of the configuration file.

use std::fmt;
use std::num::NonZeroUsize;
use std::time::Duration;

use anyhow::{anyhow, bail};
use clap::Args;
use tidegate::Config;
use tidegate::auth::JwtVerifier;
use tidegate::backend::Choice;
use tidegate::core::history::{HistoryLimits, HistoryRules};
use tidegate::core::topic::Pattern;
use tidegate::serve::Server;

use super::access::AccessArgs;
use super::entrances::EntranceArgs;
use super::limits::LimitArgs;
use super::log::LogFormat;
use super::values::{Bytes, OrOff, history_of, shards, time};
use crate::cli::{BackendArg, Misconfigured};

/// The settings of a server.
#[derive(Args, Clone, Debug)]
pub(in crate::cli) struct Settings {
    /// Listen on addresses that other machines can reach, even without authentication
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value_t = false, default_missing_value = "true", action = clap::ArgAction::Set)]
    open_to_everyone: bool,
    #[command(flatten)]
    backend: BackendArg,
    /// How many publications each topic keeps, within 1 MiB and ten minutes, for subscribers that were away. Keep at
    /// least the topic's rate times the longest time until a connection is back, or another tab has taken it over
    #[arg(long, value_name = "PUBLICATIONS", default_value_t = HistoryLimits::default().count_max)]
    history: usize,
    /// What topics that match a pattern keep instead: publications, a time, and bytes, such as user:*=1000,7d for topics
    /// that devices come back to. The first pattern that matches a topic applies; may be repeated
    #[arg(long, value_name = "PATTERN=PUBLICATIONS,TIME,BYTES", value_parser = history_of)]
    history_of: Vec<(Pattern, HistoryLimits)>,
    /// How many threads serve the connections: a number, or auto for one per processor
    #[arg(long, value_name = "N", default_value = "1", value_parser = shards)]
    shards: NonZeroUsize,
    /// Compress messages larger than this, for WebSocket clients that support it
    #[arg(long, value_name = "BYTES", default_value = "off")]
    compress_above: OrOff<Bytes>,
    #[command(flatten)]
    entrances: EntranceArgs,
    #[command(flatten)]
    access: AccessArgs,
    #[command(flatten)]
    limits: LimitArgs,
    #[command(flatten)]
    stopping: StopArgs,
    /// The format of the log: text for people, json for programs
    #[arg(
        long,
        value_name = "FORMAT",
        default_value = "text",
        help_heading = "Log"
    )]
    pub(super) log: LogFormat,
    /// Also send the log to the OpenTelemetry collector at this address, with OTLP over HTTP, such as
    /// http://127.0.0.1:4318
    #[cfg(feature = "opentelemetry")]
    #[arg(long, value_name = "URL", help_heading = "Log")]
    pub(super) otlp_endpoint: Option<tidegate::client::ServerAddress>,
    #[arg(skip)]
    secrets: Secrets,
}

/// How a server stops that is told to.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Stopping")]
struct StopArgs {
    /// The longest time over which clients are spread when they move to another server. It is two milliseconds per
    /// client, if that is less
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = time)]
    drain_window: Duration,
    /// When to exit, even if clients are still connected
    #[arg(long, value_name = "TIME", default_value = "8s", value_parser = time)]
    drain_deadline: Duration,
}

impl StopArgs {
    fn apply(self, config: &mut Config) -> anyhow::Result<()> {
        if self.drain_window > self.drain_deadline {
            bail!(
                "drain_window ({:?}) is longer than drain_deadline ({:?}): clients would be cut off before their time",
                self.drain_window,
                self.drain_deadline
            );
        }
        config.server.session.drain_window = self.drain_window;
        config.server.session.drain_grace = self.drain_deadline;
        Ok(())
    }
}

/// Settings that can't be set on the command line.
#[derive(Clone, Default)]
pub(in crate::cli) struct Secrets {
    pub(super) jwt: Option<String>,
    pub(super) ticket: Option<String>,
}

impl Secrets {
    /// Sets the secret with this name.
    pub(in crate::cli) fn set(&mut self, name: &str, secret: Option<String>) {
        match name {
            "jwt_secret" => self.jwt = secret,
            "ticket_secret" => self.ticket = secret,
            _ => unreachable!("no secret is called {name}"),
        }
    }
}

impl fmt::Debug for Secrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secrets").finish_non_exhaustive()
    }
}

impl Settings {
    pub(in crate::cli) fn with_secrets(self, secrets: Secrets) -> Self {
        Self { secrets, ..self }
    }

    /// The configuration of the hub. Files that the settings name are read.
    ///
    /// # Errors
    /// If something is wrong with them.
    pub(in crate::cli) fn config(&self) -> anyhow::Result<Config> {
        self.config_and_keys().map(|(config, _)| config)
    }

    /// The configuration of the hub, and the keys of tokens, if they can be read again.
    ///
    /// # Errors
    /// If something is wrong with them.
    pub(super) fn config_and_keys(&self) -> anyhow::Result<(Config, Option<JwtVerifier>)> {
        let mut config = Config {
            shards: self.shards,
            compress_above: self.compress_above.0.map(|bytes| bytes.0),
            ..Config::default()
        };
        config.server.hub.history = self.history();
        config.server.hub.histories = self.histories();
        self.limits.apply(&mut config);
        self.stopping.apply(&mut config)?;
        let keys = self.access.apply(&self.secrets, &mut config)?;
        config.access.open_to_everyone = self.open_to_everyone;
        config.access.proxies = self.entrances.proxies();
        config.event_streams = self.entrances.event_streams();
        self.entrances.check()?;
        Ok((config, keys))
    }

    /// Checks that clients have to authenticate, or may do without, if other machines can reach the server.
    ///
    /// # Errors
    /// If neither is the case.
    pub(in crate::cli) fn check_reach(&self, config: &Config) -> anyhow::Result<()> {
        self.check_exposed(config, self.entrances.exposed())
    }

    fn check_exposed(
        &self,
        config: &Config,
        exposed: Option<&impl fmt::Display>,
    ) -> anyhow::Result<()> {
        let is_open = config.access.authenticate.is_none();
        if let Some(address) = exposed
            && is_open
            && !self.open_to_everyone
        {
            return Err(Misconfigured::because(anyhow!(
                "{address} can be reached by other machines, and clients are not authenticated; listen on 127.0.0.1, require tokens (--jwt-secret-file, --jwks, --oidc-issuer), or pass --open-to-everyone"
            )));
        }
        Ok(())
    }

    /// Chooses a backend that can be reached.
    pub(super) async fn choose_backend(&self, config: &Config) -> anyhow::Result<Choice> {
        self.backend.choose(&config.keep()).await
    }

    /// Listens. Returns the server, and the addresses to print.
    ///
    /// # Errors
    /// If it can't, or if an inherited socket can be reached by others than allowed.
    pub(super) async fn open(&self, config: &Config) -> anyhow::Result<(Server, Vec<String>)> {
        let (server, told) = self.entrances.open().await?;
        let exposed = server.listeners().find(|listener| listener.is_exposed());
        self.check_exposed(config, exposed)?;
        Ok((server, told))
    }

    fn histories(&self) -> HistoryRules {
        let rules = self.history_of.iter().cloned();
        rules.fold(HistoryRules::none(), |rules, (pattern, limits)| {
            rules.with(pattern, limits)
        })
    }

    fn history(&self) -> HistoryLimits {
        HistoryLimits {
            count_max: self.history,
            ..HistoryLimits::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches as _;

    use super::*;

    #[test]
    fn the_defaults_are_those_of_the_library() {
        let command = Settings::augment_args(clap::Command::new("tidegate"));
        let matches = command.get_matches_from(["tidegate"]);
        let settings = Settings::from_arg_matches(&matches).unwrap();
        let (told, known) = (settings.config().unwrap(), Config::default());
        assert_eq!(told.access.limits, known.access.limits);
        assert_eq!(told.shards, known.shards);
        assert_eq!(told.compress_above, known.compress_above);
        assert_eq!(told.frame_bytes_max, known.frame_bytes_max);
        assert_eq!(told.bodies_bytes_max, known.bodies_bytes_max);
        assert_eq!(told.server.session, known.server.session);
        assert_eq!(told.server.outbox_bytes_max, known.server.outbox_bytes_max);
        assert_eq!(
            told.server.waiting_bytes_max,
            known.server.waiting_bytes_max
        );
        assert_eq!(told.server.cursors, known.server.cursors);
        assert_eq!(told.server.floor, known.server.floor);
        let seed = known.server.hub.seed;
        let told = tidegate::core::hub::HubConfig {
            seed,
            ..told.server.hub
        };
        assert_eq!(told, known.server.hub);
    }
}
