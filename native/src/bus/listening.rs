//! Follows what is published in the rooms of a bus.

use std::sync::{Arc, Weak};

use futures_util::StreamExt as _;
use tidegate_core::protocol::{ErrorCode, Start, WireError};
use tidegate_core::topic::Pattern;
use tokio::task::JoinHandle;

use super::handler::{Fault, FaultKind};
use super::{ClientError, ClientSubscription, Inner};
use crate::{Event, Subscribe};

/// The rooms that are listened to. It ends when this is dropped.
#[derive(Default)]
pub(super) struct Listening {
    rooms: Vec<(Pattern, Hearing)>,
}

/// The task that dispatches what is published in a room. It returns the error if the server refuses the room.
struct Hearing(JoinHandle<Option<WireError>>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listening {
    /// Subscribes to the rooms that no task follows: there was none yet, its runtime has shut down, or the server has refused the room. A
    /// refusal is reported first, and the next call requests the room again.
    ///
    /// # Errors
    /// A room can't be subscribed to, or was refused.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub(super) async fn renew(&mut self, inner: &Arc<Inner>) -> Result<(), ClientError> {
        let mut refused = None;
        while let Some(at) = self.rooms.iter().position(|(_, it)| it.0.is_finished()) {
            let (_, mut ended) = self.rooms.swap_remove(at);
            // A task that was aborted with its runtime has no result.
            refused = (&mut ended.0).await.ok().flatten().or(refused);
        }
        if let Some(refused) = refused {
            return Err(refused.into());
        }
        for room in &inner.config.rooms {
            if self.rooms.iter().any(|(known, _)| known == room) {
                continue;
            }
            let from_now_on = Subscribe {
                start: Start::New,
                ..Subscribe::default()
            };
            let client = &inner.client;
            let events = client.subscribe_with(room.as_str(), from_now_on).await?;
            let dispatching = dispatch_all(Arc::downgrade(inner), room.clone(), events);
            let hearing = Hearing(tokio::spawn(dispatching));
            self.rooms.push((room.clone(), hearing));
        }
        Ok(())
    }
}

/// Dispatches what is published in a room for as long as the bus exists. Returns the error if the server refuses the room.
async fn dispatch_all(
    inner: Weak<Inner>,
    room: Pattern,
    mut events: ClientSubscription,
) -> Option<WireError> {
    while let Some(event) = events.next().await {
        let inner = inner.upgrade()?;
        match event {
            Event::Publication(publication) => inner.dispatch(&publication),
            Event::Batch(publications) => publications
                .iter()
                .for_each(|publication| inner.dispatch(publication)),
            Event::Lagged { missed } => {
                tracing::warn!(%room, missed, "events came faster than they were read, and some are lost");
            }
            Event::Reset { topic, .. } => {
                tracing::warn!(%topic, "events may be lost: what happened meanwhile is not kept any more");
            }
            // The client was closed.
            Event::Refused(error) if error.code == ErrorCode::ConnectionLost => return None,
            Event::Refused(error) => {
                tracing::error!(%room, %error, "the events of a room may not be subscribed to");
                // There may be no receiver.
                let _ = inner.faults.send(Fault {
                    event: None,
                    room,
                    kind: FaultKind::Refused(error.clone()),
                });
                return Some(error);
            }
            Event::End { .. } | Event::Stale | Event::Live => {}
        }
    }
    None
}
