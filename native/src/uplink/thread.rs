//! The uplink to a backend: a thread that carries out what shards ask for.
//!
//! Calls run as tasks of one small runtime, so a backend works whether or not its application has a runtime, and never
//! takes time from one.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tidegate_core::topic::Topic;
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall, UplinkFailure};
use tokio::sync::{mpsc, oneshot, watch};

use super::calls::carry_out;
use super::in_flight::{CallLabel, InFlight, label};
use super::inbox::Inbox;
use super::reach::{Reach, Siblings};
use super::{Uplink, Way};
use crate::backend::{Backend, BackendError, RefusedLog};
use crate::hub::BackendHealth;
use crate::json::Json;
use crate::shard::{Command, CommandSender, DisconnectCommand, PresenceCommand};

/// The most broadcasts that wait for the backend.
const BROADCASTS_MAX: usize = 1_024;

/// How long the last stores, and the last broadcasts, may take once the hub has stopped.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long closing a backend may take, including the last broadcasts.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// A shard, and the backend that it is linked to.
pub(crate) struct Link {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) commands: CommandSender,
    /// Whether presences are shared, if the backend can broadcast.
    pub(crate) shares_presence: bool,
}

/// A message to be broadcast, and the channel to confirm it.
pub(super) struct Broadcast {
    text: String,
    reply: Option<oneshot::Sender<()>>,
    /// Whether the shard has to know if it is lost, so that it sends it again.
    must_arrive: bool,
}

/// A shard's connection to the thread. The backend is closed for this shard when it is dropped, and the thread ends with the last one.
pub(super) struct Sender {
    calls: mpsc::UnboundedSender<(CallId, UplinkCall<Json>)>,
    broadcasts: mpsc::Sender<Broadcast>,
    commands: CommandSender,
}

impl Sender {
    pub(super) fn call(&self, id: CallId, call: UplinkCall<Json>) {
        // Once the thread has ended, nobody waits for an answer.
        let _ = self.calls.send((id, call));
    }

    pub(super) fn broadcast(&self, text: String, reply: Option<oneshot::Sender<()>>) {
        let _ = self.broadcasts.try_send(Broadcast {
            text,
            reply,
            must_arrive: false,
        });
    }

    /// Sends a broadcast whose loss must not go unnoticed.
    pub(super) fn broadcast_surely(&self, text: String, reply: Option<oneshot::Sender<()>>) {
        let sent = self.broadcasts.try_send(Broadcast {
            text,
            reply,
            must_arrive: true,
        });
        if sent.is_err() {
            report_lost(&self.commands);
        }
    }
}

impl Uplink {
    /// Starts a thread for all `links`, which lead to the same backend. Returns the shards' uplinks in their order, and the health of the
    /// backend. `alive` is dropped with the thread.
    ///
    /// # Errors
    /// If the system provides no thread.
    pub(crate) fn start(
        links: Vec<Link>,
        alive: watch::Sender<()>,
    ) -> io::Result<(Vec<Self>, watch::Receiver<BackendHealth>)> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let name = links
            .first()
            .map_or_else(String::new, |link| link.backend.describe());
        let siblings = Arc::new(Siblings::new(name, links.len()));
        let health = siblings.health();
        let linked = links
            .into_iter()
            .map(|link| linked(link, Reach::of(&siblings)));
        let (uplinks, drivers): (Vec<Self>, Vec<_>) = linked.unzip();
        std::thread::Builder::new()
            .name("tidegate-uplink".into())
            .spawn(move || {
                runtime.block_on(join_all(drivers));
                drop(alive);
            })?;
        Ok((uplinks, health))
    }
}

/// Tells a shard that a message was lost that must not be.
fn report_lost(commands: &CommandSender) {
    // The shard may have stopped.
    let _ = commands.send(DisconnectCommand::Lost.into());
}

/// The two ends of a link.
fn linked(link: Link, reach: Reach) -> (Uplink, impl Future<Output = ()>) {
    let (calls, receiver) = mpsc::unbounded_channel();
    let (broadcasts, queued) = mpsc::channel(BROADCASTS_MAX);
    let inbox = Arc::new(Inbox::new(reach));
    let commands = link.commands.clone();
    let driver = Arc::new(Driver {
        shares_presence: link.shares_presence && link.backend.broadcast_bytes_max().is_some(),
        backend: link.backend,
        commands: link.commands,
        inbox: Arc::clone(&inbox),
        refused: RefusedLog::default(),
        full: RefusedLog::default(),
        unanswered: RefusedLog::default(),
        refusal: Mutex::default(),
    });
    let way = Way::Thread(Sender {
        calls,
        broadcasts,
        commands,
    });
    (Uplink { way, inbox }, driver.run(receiver, queued))
}

/// What a call was to do, as far as its errors mean something else for it.
enum Purpose {
    /// To tell what is kept.
    Question,
    StoreCursors,
    StoreOne(Topic),
    StoreSeveral,
    Other,
}

impl Purpose {
    fn of(call: &UplinkCall<Json>) -> Self {
        match call {
            UplinkCall::Read { .. } | UplinkCall::List(_) | UplinkCall::ListPage(_) => {
                Self::Question
            }
            UplinkCall::Publish(batch) => match batch.as_slice() {
                [request] => Self::StoreOne(request.topic.clone()),
                _ => Self::StoreSeveral,
            },
            UplinkCall::Cursors(_) => Self::StoreCursors,
            _ => Self::Other,
        }
    }
}

struct Driver {
    backend: Arc<dyn Backend>,
    shares_presence: bool,
    commands: CommandSender,
    inbox: Arc<Inbox>,
    refused: RefusedLog,
    full: RefusedLog,
    unanswered: RefusedLog,
    /// Why a question was refused, until the next call: if that opens the link, the shard could not do without the answer.
    refusal: Mutex<Option<BackendError>>,
}

impl Driver {
    async fn run(
        self: Arc<Self>,
        mut calls: mpsc::UnboundedReceiver<(CallId, UplinkCall<Json>)>,
        broadcasts: mpsc::Receiver<Broadcast>,
    ) {
        let broadcasting = tokio::spawn(Arc::clone(&self).broadcast_all(broadcasts));
        let mut in_flight = InFlight::default();
        while let Some((id, call)) = calls.recv().await {
            let driver = Arc::clone(&self);
            let refusal = self.refusal().take();
            if matches!(call, UplinkCall::GiveUp) {
                in_flight.give_up(id);
            } else if matches!(call, UplinkCall::Open) {
                let oldest = in_flight.forget();
                in_flight.end_opening().await;
                let why = || refusal.unwrap_or_else(|| self.given_up(oldest));
                let link = self.inbox.reach.opening(why);
                in_flight.open(async move { driver.answer(id, link, call).await });
            } else {
                let link = self.inbox.reach.last();
                let label = label(&call);
                in_flight.start(
                    id,
                    label,
                    async move { driver.answer(id, link, call).await },
                );
            }
        }
        let closing = async {
            in_flight.end_opening().await;
            // The calls that store the last changes have just been made.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, in_flight.ended()).await;
            // The last broadcast announces that this server goes away. If that takes too long, the others notice its silence.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, broadcasting).await;
            self.backend.close().await
        };
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::debug!(backend = %self.backend.describe(), "the backend was closed without its answer");
        }
    }

    /// Sends broadcasts one after the other, in order.
    async fn broadcast_all(self: Arc<Self>, mut broadcasts: mpsc::Receiver<Broadcast>) {
        while let Some(broadcast) = broadcasts.recv().await {
            match self.backend.broadcast(&broadcast.text).await {
                // The caller may be gone.
                Ok(()) => drop(broadcast.reply.map(|reply| reply.send(()))),
                Err(error) => {
                    tracing::debug!(%error, "a broadcast is lost");
                    if broadcast.must_arrive {
                        report_lost(&self.commands);
                    }
                }
            }
        }
    }

    async fn answer(&self, id: CallId, link: u64, call: UplinkCall<Json>) {
        let is_opening = matches!(call, UplinkCall::Open);
        let feed = || {
            let commands = self.commands.clone();
            self.inbox.feed(link, commands, self.shares_presence)
        };
        let purpose = Purpose::of(&call);
        let answer = match carry_out(&*self.backend, call, feed).await {
            Ok(answer) => {
                if is_opening {
                    self.note_opened(link);
                }
                answer
            }
            Err(error) => UplinkAnswer::Failed(self.failure(link, error, &purpose)),
        };
        // The shard may have stopped.
        let _ = self.commands.send(Command::Answered(id, answer));
    }

    fn note_opened(&self, link: u64) {
        self.inbox.reach.found(link, || self.backend.describe());
        if self.shares_presence {
            // The shard may have stopped.
            let _ = self.commands.send(PresenceCommand::Linked.into());
        }
    }

    /// Why a shard gives up a link that was not reported lost: it no longer waits for an answer.
    fn given_up(&self, oldest: Option<(CallLabel, Duration)>) -> BackendError {
        let reason = match oldest {
            Some(((call, topic), waited)) => format!(
                "no answer to {call}{} for {:.1} s",
                topic.map(|topic| format!(" {topic}")).unwrap_or_default(),
                waited.as_secs_f64()
            ),
            None => "an answer was none to what was label".to_owned(),
        };
        BackendError::Unreachable {
            backend: self.backend.describe(),
            reason,
        }
    }

    fn refusal(&self) -> MutexGuard<'_, Option<BackendError>> {
        // No code that holds the lock can panic in the middle of a change.
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What an error means to the core, which opens a lost link again.
    fn failure(&self, link: u64, error: BackendError, purpose: &Purpose) -> UplinkFailure {
        match (&error, purpose) {
            (
                BackendError::Full { .. },
                Purpose::StoreCursors | Purpose::StoreOne(_) | Purpose::StoreSeveral,
            ) => {
                self.full.log_full(&error);
                UplinkFailure::Full
            }
            (BackendError::Content { .. }, Purpose::StoreOne(topic)) => {
                self.refused.log_refused(topic, &error);
                UplinkFailure::Refused
            }
            (BackendError::Content { .. }, Purpose::StoreSeveral) => UplinkFailure::Refused,
            // If the link is broken, a probe will find out.
            (
                BackendError::Refused { .. }
                | BackendError::Unexpected { .. }
                | BackendError::Content { .. }
                | BackendError::Full { .. },
                Purpose::Question,
            ) => {
                self.unanswered.log_unanswered(&error);
                *self.refusal() = Some(error);
                UplinkFailure::Refused
            }
            _ => {
                self.inbox.reach.lost(link, &error);
                UplinkFailure::Lost
            }
        }
    }
}
