//! Opening a stream within the process, which may take time and be given up.

use std::sync::atomic::Ordering;

use tidegate_core::hub::SubscriptionId;
use tidegate_core::topic::Pattern;
use tokio::sync::oneshot;

use super::{Hub, Subscribe};
use crate::error::{Stopped, SubscribeError};
use crate::shard::{Command, CommandSender, ForClient, LocalReader, Opening};

/// A stream's frames, and its subscriptions.
type Stream = (LocalReader, Vec<SubscriptionId>);

impl Hub {
    /// A stream for this process: it lasts as long as the hub.
    pub(crate) async fn open(
        &self,
        patterns: Vec<Pattern>,
        options: Subscribe,
    ) -> Result<Stream, SubscribeError> {
        self.open_as(patterns, options, None).await
    }

    /// A stream on behalf of a client, which is asked to connect elsewhere when the hub drains. With a device, it continues from the
    /// device's cursors, and everything before its start positions counts as processed.
    pub(crate) async fn open_for_client(
        &self,
        patterns: Vec<Pattern>,
        options: Subscribe,
        client: ForClient,
    ) -> Result<Stream, SubscribeError> {
        self.open_as(patterns, options, Some(client)).await
    }

    async fn open_as(
        &self,
        patterns: Vec<Pattern>,
        options: Subscribe,
        client: Option<ForClient>,
    ) -> Result<Stream, SubscribeError> {
        let (reply, answer) = oneshot::channel();
        let token = self.inner.last_opening.fetch_add(1, Ordering::Relaxed);
        let shard = self.inner.shards.least_loaded()?;
        let mut waiting = Waiting {
            shard,
            token,
            is_answered: false,
        };
        shard.send_connection(Command::OpenLocal(Opening {
            patterns,
            flow: options.flow,
            start: options.start,
            outbox_bytes_max: options
                .outbox_bytes_max
                .unwrap_or(self.inner.outbox_bytes_max),
            slow: options.slow,
            client,
            token,
            reply,
        }))?;
        let opened = answer.await;
        waiting.is_answered = true;
        Ok(opened.map_err(|_| Stopped)??)
    }
}

/// Cancels an opening if its caller stops waiting for it.
struct Waiting<'a> {
    shard: &'a CommandSender,
    token: u64,
    is_answered: bool,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            // A hub that has stopped has nothing left to cancel.
            let _ = self.shard.send(Command::CancelOpening(self.token));
        }
    }
}
