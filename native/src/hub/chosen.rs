//! Hubs whose backend was chosen: by the environment, or from what can be reached.

use std::io;

use super::{Config, Hub};
use crate::backend::{Choice, Keep, choose};
use crate::error::StartError;

impl Hub {
    /// Starts a hub with the backend that the environment names: see [`choose`]. Takes 3 s at most for each that does
    /// not answer.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = tidegate::Hub::from_env().await?;
    /// let app = axum::Router::new().nest("/live", tidegate::axum::router(hub));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When what is named is no backend or can't be reached, or none can be used.
    pub async fn from_env() -> Result<Self, StartError> {
        let choice = choose(None, |name| std::env::var(name).ok(), &Keep::default()).await?;
        Ok(Self::with_choice(Config::default(), &choice)?)
    }

    /// Starts a hub with the backend that was [chosen](choose). Where that is none, topics live in this process.
    ///
    /// # Errors
    /// When the system gives no thread or no way to wait for sockets.
    pub fn with_choice(config: Config, choice: &Choice) -> io::Result<Self> {
        let reason = Some(choice.why.clone());
        Self::start(&config, choice.backend.clone(), reason)
    }

    /// Why topics live where they do, if that was chosen: see [`Hub::with_choice`].
    pub fn backend_reason(&self) -> Option<&str> {
        self.inner.reason.as_deref()
    }
}
