//! Ends the connections of users, on request of this process or of other servers.

use std::sync::Arc;

use tidegate_core::hub::Disconnect;
use tidegate_core::time::Instant;
use tokio::sync::oneshot;

use super::Shard;
use super::command::Command;

/// A request about the connections of users.
pub(crate) enum DisconnectCommand {
    /// Ends them. The answer is how many there were.
    End {
        /// The same for all shards.
        id: u64,
        user: Arc<str>,
        /// Set if this shard is the one that tells other servers. Answered once the message is out, and never if it can't be sent now.
        sent: Option<oneshot::Sender<()>>,
        reply: oneshot::Sender<usize>,
    },
    /// Another server or shard was asked to end them. The message had this number of bytes.
    Received {
        disconnects: Vec<Disconnect>,
        bytes: usize,
    },
    /// A message to other servers did not reach the backend.
    Lost,
}

impl From<DisconnectCommand> for Command {
    fn from(command: DisconnectCommand) -> Self {
        Self::Disconnect(command)
    }
}

impl Shard {
    pub(super) fn handle_disconnect(&mut self, now: Instant, command: DisconnectCommand) {
        match command {
            DisconnectCommand::End {
                id,
                user,
                sent,
                reply,
            } => {
                let tells = sent.is_some();
                let count = self.hub.handle_disconnect(now, id, &user, tells);
                self.broadcast_disconnects(sent);
                // The connections have ended by the time of the answer.
                self.drain();
                // The caller may be gone.
                let _ = reply.send(count);
            }
            DisconnectCommand::Received { disconnects, bytes } => {
                if let Some(upstream) = &self.upstream {
                    upstream.uplink.count_broadcast_taken(bytes);
                }
                self.hub.handle_disconnects_heard(now, disconnects);
            }
            DisconnectCommand::Lost => self.hub.handle_disconnects_lost(now),
        }
    }

    /// Tells other servers whose connections to end. `sent` is answered once the first message is out.
    pub(super) fn broadcast_disconnects(&mut self, mut sent: Option<oneshot::Sender<()>>) {
        let now = self.now();
        let Some(upstream) = &self.upstream else {
            return;
        };
        loop {
            let disconnects = self.hub.poll_disconnects(now);
            if disconnects.is_empty() {
                break;
            }
            upstream
                .uplink
                .broadcast_disconnects(disconnects, sent.take());
        }
    }
}
