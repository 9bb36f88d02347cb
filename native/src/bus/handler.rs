//! One handler: its queue, and the task that calls it for one event after the other.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::protocol::WireError;
use tidegate_core::topic::Pattern;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{broadcast, mpsc};
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

use super::{BusConfig, BusEvent};

/// Starts to handle an event.
pub(super) type Callback = Box<dyn Fn(BusEvent) -> JoinHandle<()> + Send + Sync>;

/// What went wrong with a handler, or with a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The type of the event that should have been handled; `None` if it is not a handler's fault.
    pub event: Option<String>,
    /// The room in which the event happened, or the rooms that were refused.
    pub room: Pattern,
    /// What went wrong.
    pub kind: FaultKind,
}

/// The ways in which a handler or a room can fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// It panicked with this message. It is called again for the next event.
    Panicked(String),
    /// It has not returned within this time. An async handler is cancelled, and called again for the next event. A
    /// blocking one is called again once it has returned.
    Hung(Duration),
    /// Too many events wait for it, and this one is lost to it.
    Overflowed,
    /// The server refused the room: no handler is called for its events.
    Refused(WireError),
}

pub(super) struct Handler {
    pub(super) id: u64,
    queue: mpsc::Sender<BusEvent>,
    faults: broadcast::Sender<Fault>,
}

pub(super) fn blocking(handle: impl Fn(BusEvent) + Send + Sync + 'static) -> Callback {
    let handle = Arc::new(handle);
    Box::new(move |event| {
        let handle = handle.clone();
        tokio::task::spawn_blocking(move || handle(event))
    })
}

pub(super) fn awaiting<F>(handle: impl Fn(BusEvent) -> F + Send + Sync + 'static) -> Callback
where
    F: Future<Output = ()> + Send + 'static,
{
    let handle = Arc::new(handle);
    Box::new(move |event| {
        let handle = handle.clone();
        // The call itself may panic, too, before there is a future.
        tokio::spawn(async move { handle(event).await })
    })
}

impl Handler {
    /// Starts a handler, which works until it is dropped and its queue is empty.
    pub(super) fn start(
        id: u64,
        callback: Callback,
        config: &BusConfig,
        faults: broadcast::Sender<Fault>,
    ) -> Self {
        let (queue, waiting) = mpsc::channel(config.queue_max.max(1));
        tokio::spawn(work(callback, waiting, config.hangs_after, faults.clone()));
        Self { id, queue, faults }
    }

    pub(super) fn push(&self, event: BusEvent) {
        // If the queue is closed, the handler has ended, which is not a fault.
        if let Err(TrySendError::Full(event)) = self.queue.try_send(event) {
            report(&self.faults, &event, FaultKind::Overflowed);
        }
    }

    /// Returns whether the runtime that it ran on has shut down.
    pub(super) fn has_ended(&self) -> bool {
        self.queue.is_closed()
    }
}

async fn work(
    callback: Callback,
    mut waiting: mpsc::Receiver<BusEvent>,
    hangs_after: Duration,
    faults: broadcast::Sender<Fault>,
) {
    while let Some(event) = waiting.recv().await {
        let mut call = callback(event.clone());
        let result = match timeout(hangs_after, &mut call).await {
            Ok(result) => result,
            Err(_) => {
                report(&faults, &event, FaultKind::Hung(hangs_after));
                call.abort();
                call.await
            }
        };
        if let Err(error) = result
            && error.is_panic()
        {
            report(&faults, &event, FaultKind::Panicked(words(error)));
        }
    }
}

fn words(error: JoinError) -> String {
    let panic = error.into_panic();
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("not in words").to_owned()
}

fn report(faults: &broadcast::Sender<Fault>, event: &BusEvent, kind: FaultKind) {
    tracing::error!(event = event.event, room = %event.room, fault = ?kind, "a handler of events failed");
    // There may be no receiver.
    let _ = faults.send(Fault {
        event: Some(event.event.clone()),
        room: event.room.clone().into(),
        kind,
    });
}
