//! Hubs with a chosen backend: from the environment, or from what can be reached.

use std::io;

use super::{Config, Hub};
use crate::backend::{Choice, Keep, choose};
use crate::error::StartError;

impl Config {
    /// What a backend has to keep for a hub with this configuration. Pass it to [`choose`], or to the backend that you
    /// create for [`Hub::with_backend`].
    pub fn keep(&self) -> Keep {
        Keep::of(&self.server.hub, self.server.cursors)
    }
}

impl Hub {
    /// Starts a hub with the backend that the environment names: see [`choose`]. This takes up to 3 s for each
    /// candidate that doesn't answer.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = tidegate::Hub::from_env().await?;
    /// let app = axum::Router::new().nest("/live", tidegate::axum::router(hub));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the environment names something that is not a backend or can't be reached, or if no backend can be used.
    pub async fn from_env() -> Result<Self, StartError> {
        Self::from_env_with(Config::default()).await
    }

    /// Like [`Hub::from_env`], with a configuration. The backend keeps what the configuration says.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let mut config = tidegate::Config::default();
    /// config.server.hub.payload_bytes_max = 4 << 20;
    /// let hub = tidegate::Hub::from_env_with(config).await?;
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// As for [`Hub::from_env`].
    pub async fn from_env_with(config: Config) -> Result<Self, StartError> {
        let environment = |name: &str| std::env::var(name).ok();
        let choice = choose(None, environment, &config.keep()).await?;
        Ok(Self::with_choice(config, &choice)?)
    }

    /// Starts a hub with the backend that was [chosen](choose) with what [`Config::keep`] returns. If the choice has no
    /// backend, topics live in this process.
    ///
    /// # Errors
    /// If the system provides no thread, or no way to wait for sockets.
    pub fn with_choice(config: Config, choice: &Choice) -> io::Result<Self> {
        let reason = Some(choice.why.clone());
        Self::start(&config, choice.backend.clone(), reason)
    }

    /// Why this backend was chosen, if it was: see [`Hub::with_choice`].
    pub fn backend_reason(&self) -> Option<&str> {
        self.inner.reason.as_deref()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tidegate_core::history::{HistoryLimits, HistoryRules};
    use tidegate_core::lifecycle::TerminalRule;

    use super::*;

    #[test]
    fn a_backend_keeps_what_its_hub_promises() {
        assert_eq!(Config::default().keep(), Keep::default());
        let mut config = Config::default();
        let limits = HistoryLimits {
            count_max: 7,
            ..HistoryLimits::default()
        };
        let pattern = "user:*".parse().unwrap();
        config.server.hub.history = limits;
        config.server.hub.histories = HistoryRules::none().with(pattern, limits);
        config.server.hub.payload_bytes_max = 8;
        config.server.hub.terminal_rule = Some(TerminalRule::new("state"));
        config.server.hub.retention = Duration::from_secs(7 * 24 * 3600);
        config.server.cursors.total_max = 9;
        let (hub, keep) = (&config.server.hub, config.keep());
        assert_eq!(
            (keep.history, &keep.histories),
            (hub.history, &hub.histories)
        );
        assert_eq!(keep.payload_bytes_max, hub.payload_bytes_max);
        assert_eq!(keep.terminal_rule, hub.terminal_rule);
        assert_eq!(keep.retention, hub.retention);
        assert_eq!(keep.cursors, config.server.cursors);
    }
}
