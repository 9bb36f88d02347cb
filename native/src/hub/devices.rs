//! The devices of users: the durable subscriptions that are remembered for them.

use std::sync::Arc;

use tidegate_core::durable::{CursorAnswer, CursorCall, CursorKey, DurableName, Remembered};

use super::Hub;
use crate::error::DeviceError;
use crate::shard::Stopped;

impl Hub {
    /// The durable subscriptions that are remembered for a user, by device and pattern. Await this within a tokio runtime:
    /// the backend is asked there.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = tidegate::Hub::new(Default::default())?;
    /// assert!(hub.devices("ada").await?.is_empty());
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// If the hub has stopped, or its backend doesn't answer.
    pub async fn devices(&self, user: &str) -> Result<Vec<Remembered>, DeviceError> {
        let user = user.into();
        let answers = self.ask_cursors(vec![CursorCall::List { user }]).await?;
        let listed = answers.into_iter().filter_map(|answer| match answer {
            CursorAnswer::Listed(listed) => Some(listed),
            CursorAnswer::Claimed { .. }
            | CursorAnswer::Done
            | CursorAnswer::Full
            | CursorAnswer::Unsupported => None,
        });
        Ok(listed.flatten().collect())
    }

    /// Forgets a user's device: its durable subscriptions start anew. Returns how many there were. A connection that
    /// has one keeps it, but what it acknowledges from now on is not remembered. Await this within a tokio runtime, as
    /// [`Hub::devices`].
    ///
    /// # Errors
    /// If the hub has stopped, or its backend doesn't answer.
    pub async fn forget_device(
        &self,
        user: &str,
        device: &DurableName,
    ) -> Result<usize, DeviceError> {
        let owner: Arc<str> = user.into();
        let all = self.devices(user).await?.into_iter();
        let calls: Vec<CursorCall> = all
            .filter(|known| known.name == *device)
            .map(|known| CursorCall::Remove {
                key: CursorKey {
                    user: Some(Arc::clone(&owner)),
                    name: known.name,
                    pattern: known.pattern,
                },
            })
            .collect();
        let count = calls.len();
        if count > 0 {
            self.ask_cursors(calls).await?;
        }
        Ok(count)
    }

    async fn ask_cursors(&self, calls: Vec<CursorCall>) -> Result<Vec<CursorAnswer>, DeviceError> {
        match &self.inner.backend {
            Some(backend) => {
                let backend = backend.upgrade().ok_or(Stopped)?;
                Ok(backend.cursors(&calls).await?)
            }
            None => Ok(self.inner.shards.cursors(calls).await?),
        }
    }
}
