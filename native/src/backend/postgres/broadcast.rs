//! Broadcasts to all that have the backend open: as notifications, which reach those that listen at that moment.
//!
//! Behind a pooler that doesn't keep `LISTEN`, nobody does.

use tokio_postgres::types::Type;
use tokio_postgres::{Client, Notification};

use super::link::Link;
use crate::backend::BackendError;

/// The largest message: a notification has less than 8,000 bytes.
pub(super) const BYTES_MAX: usize = 7_900;

/// The prefix of the channel's name. The table's oid follows, so that tables of the same name in several schemas don't get each other's
/// broadcasts.
const CHANNEL_PREFIX: &str = "tidegate_broadcast_";

impl Link {
    /// Sends a broadcast.
    pub(super) async fn broadcast(&self, message: &str) -> Result<(), BackendError> {
        if message.len() > BYTES_MAX {
            let bytes = message.len();
            return Err(self.refused(&format!(
                "a broadcast of {bytes} bytes; at most {BYTES_MAX} are taken"
            )));
        }
        let statement = &self.statements().broadcast;
        self.query(statement, &[(&message, Type::TEXT)]).await?;
        Ok(())
    }

    /// Starts listening to the broadcasts of others, on a connection that keeps its `LISTEN`.
    pub(super) async fn follow_broadcasts(&self, client: &Client) -> Result<(), BackendError> {
        let statement = &self.statements().broadcast_channel;
        let rows = self.query_on(client, statement, &[]).await?;
        if let Some(row) = rows.first() {
            let channel: &str = row.get(0);
            self.query_on(client, &format!("LISTEN {channel}"), &[])
                .await?;
        }
        Ok(())
    }

    /// Handles a notification: a broadcast, or the news that something was published.
    pub(super) fn notified(&self, notification: &Notification) {
        if notification.channel().starts_with(CHANNEL_PREFIX) {
            self.deliver_broadcast(notification.payload());
        } else {
            self.news.notify_one();
        }
    }
}
