//! Requests a server's state.

use std::time::Duration;

use anyhow::bail;
use axum::http::StatusCode;
use tidegate::client::ClientOptions;

use super::board::ServerStats;
use crate::cli::api::ApiClient;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// A client of a server's `/debug`.
pub(super) struct Look {
    api: ApiClient,
    topics: usize,
}

impl Look {
    /// # Errors
    /// If `server` is not an address, or the token in the environment is not text.
    pub(super) fn new(
        server: &str,
        options: ClientOptions,
        topics: usize,
        command: Option<String>,
    ) -> anyhow::Result<Self> {
        Ok(Self {
            api: ApiClient::new(server, options, command)?,
            topics,
        })
    }

    /// Requests the server's current state.
    ///
    /// # Errors
    /// If it can't be reached, refuses, or is not a Tidegate server.
    pub(super) async fn look(&mut self) -> anyhow::Result<ServerStats> {
        match tokio::time::timeout(PATIENCE, self.request()).await {
            Ok(stats) => stats,
            Err(_) => bail!("no answer within {} s", PATIENCE.as_secs()),
        }
    }

    async fn request(&mut self) -> anyhow::Result<ServerStats> {
        let path = format!("/debug?topics={}", self.topics);
        let (status, body) = self.api.get(&path, BYTES_MAX).await?;
        match status {
            StatusCode::OK => Ok(serde_json::from_slice(&body)?),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => bail!(
                "the server answers this only on its own machine, or with a token that may subscribe to ** (TIDEGATE_TOKEN)"
            ),
            other => bail!("the server answers {other}"),
        }
    }
}
