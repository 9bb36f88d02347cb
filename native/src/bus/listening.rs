//! Hearing what is published in the rooms of a bus.

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

/// The task that dispatches what is published in a room, and gives why that was refused, if so.
struct Hearing(JoinHandle<Option<WireError>>);

impl Drop for Hearing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Listening {
    /// Subscribes to the rooms that aren't listened to: none was yet, the runtime in which one was has gone, or the server has
    /// refused it. In that case it is told first, and the room is asked for again at the next call.
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
            // One that was aborted with its runtime has nothing to say.
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

/// Dispatches what is published in a room for as long as the bus is there. Gives why nothing more comes, where the server refuses it.
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
                // Nobody has to listen.
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
