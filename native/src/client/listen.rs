//! Callbacks for publications.

use std::pin::pin;
use std::sync::Arc;

use futures_util::StreamExt as _;
use tidegate_core::lifecycle::EndReason;
use tokio::sync::watch;

use super::{Client, ClientError, ClientSubscription};
use crate::{Event, Publication};

/// Stops listening. Clones are the same handle.
#[derive(Clone, Debug)]
pub struct Stop {
    is_stopped: Arc<watch::Sender<bool>>,
}

impl Stop {
    /// A handle that has not been used yet.
    pub fn new() -> Self {
        Self {
            is_stopped: Arc::new(watch::Sender::new(false)),
        }
    }

    /// Ends all calls that listen with this handle, now and later. It may be called from any thread, and from the
    /// callback.
    pub fn stop(&self) {
        self.is_stopped.send_replace(true);
    }

    /// Whether [`Stop::stop`] was called.
    pub fn is_stopped(&self) -> bool {
        *self.is_stopped.borrow()
    }

    /// Returns when [`Stop::stop`] has been called.
    pub async fn stopped(&self) {
        let mut is_stopped = self.is_stopped.subscribe();
        // The sender is ours, so it is there.
        let _ = is_stopped.wait_for(|is_stopped| *is_stopped).await;
    }
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// Subscribes to a topic or pattern and calls `callback` for each publication, starting with the latest, until the
    /// topic ends, in which case this returns why, or `stop` is stopped. Lost connections are restored.
    ///
    /// ```no_run
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use tidegate::{Client, Stop};
    ///
    /// let client = Client::from_env()?;
    /// let end = client.listen("job:42", |publication| println!("{}", publication.payload), &Stop::new()).await?;
    /// println!("{end:?}");
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// See [`ClientError`].
    pub async fn listen(
        &self,
        pattern: &str,
        callback: impl FnMut(Publication),
        stop: &Stop,
    ) -> Result<Option<EndReason>, ClientError> {
        let heard = async {
            let events = self.subscribe(pattern).await?;
            run_callback(events, callback, stop).await
        };
        let heard = pin!(heard);
        let stopped = pin!(stop.stopped());
        match futures_util::future::select(stopped, heard).await {
            futures_util::future::Either::Left(_) => Ok(None),
            futures_util::future::Either::Right((result, _)) => result,
        }
    }
}

async fn run_callback(
    mut events: ClientSubscription,
    mut callback: impl FnMut(Publication),
    stop: &Stop,
) -> Result<Option<EndReason>, ClientError> {
    while let Some(event) = events.next().await {
        match event {
            Event::Publication(publication) => callback(publication),
            Event::Batch(publications) => publications.into_iter().for_each(&mut callback),
            Event::End { reason } => return Ok(Some(reason)),
            Event::Refused(error) => return Err(error.into()),
            Event::Reset { topic, .. } => {
                tracing::warn!(%topic, "publications in between are lost");
            }
            Event::Lagged { missed } => {
                tracing::warn!(
                    missed,
                    "the callback is too slow: publications were dropped"
                );
            }
            Event::Stale => tracing::debug!("the backend can't be reached; values may be old"),
            Event::Live => tracing::debug!("the backend is reached again"),
        }
        if stop.is_stopped() {
            return Ok(None);
        }
    }
    Err(ClientError::Closed)
}
