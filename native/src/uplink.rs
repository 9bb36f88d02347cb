//! The way from a shard to its backend: a thread of its own that carries out what the core asks for.
//!
//! There is no rule here. Calls run as tasks of one small runtime, so a backend works whether or not its
//! application has a runtime, and never takes time from one.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use tidegate_core::payload::Payload as _;
use tidegate_core::presence::{PresenceEnvelope, PresenceMessage};
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall, UplinkFailure};
use tokio::sync::{mpsc, watch};

use crate::backend::{Backend, BackendError, Feed, FeedEvent};
use crate::hub::Publication;
use crate::json::Json;
use crate::shard::{Command, CommandSender, PresenceCommand};

/// The most payload bytes that were heard and wait for the shard. What is beyond them is read again.
const HEARD_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The most bytes of broadcasts that were heard and wait for the shard. What is beyond them is lost, as any of them may be.
const BROADCAST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The most broadcasts that wait for the backend.
const BROADCASTS_MAX: usize = 1_024;

/// How long what is still to be broadcast may take when the hub has stopped.
const FAREWELL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a backend may take to say goodbye, what is broadcast before included.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// The way to the thread. It closes its backend and ends when this is dropped.
#[derive(Clone)]
pub(crate) struct Uplink {
    calls: mpsc::UnboundedSender<(CallId, UplinkCall<Json>)>,
    broadcasts: mpsc::Sender<String>,
    heard: Arc<Heard>,
}

/// What was heard and waits for the shard.
#[derive(Default)]
struct Heard {
    bytes: AtomicUsize,
    broadcast_bytes: AtomicUsize,
    has_missed: AtomicBool,
    /// Of the feed that counts; what comes by an earlier one is stale.
    generation: AtomicU64,
}

impl Uplink {
    /// Starts the thread. `alive` goes with it. Presences are shared where the backend can broadcast.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(
        backend: Arc<dyn Backend>,
        shares_presence: bool,
        commands: CommandSender,
        alive: watch::Sender<()>,
    ) -> io::Result<Self> {
        let (calls, receiver) = mpsc::unbounded_channel();
        let (broadcasts, said) = mpsc::channel(BROADCASTS_MAX);
        let heard = Arc::new(Heard::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let driver = Arc::new(Driver {
            shares_presence: shares_presence && backend.broadcast_bytes_max().is_some(),
            backend,
            commands,
            heard: Arc::clone(&heard),
            is_reachable: AtomicBool::new(true),
            _alive: alive,
        });
        std::thread::Builder::new()
            .name("tidegate-uplink".into())
            .spawn(move || runtime.block_on(driver.run(receiver, said)))?;
        Ok(Self {
            calls,
            broadcasts,
            heard,
        })
    }

    pub(crate) fn call(&self, id: CallId, call: UplinkCall<Json>) {
        // Once the thread has ended, nobody waits for an answer any more.
        let _ = self.calls.send((id, call));
    }

    /// Tells other servers about presences. Where too much waits already, it is lost.
    pub(crate) fn broadcast(&self, message: &PresenceMessage<Json>) {
        let text = serde_json::to_string(&PresenceEnvelope::from(message));
        let _ = self
            .broadcasts
            .try_send(text.expect("messages have a JSON form"));
    }

    /// The shard has taken over a broadcast of so many bytes.
    pub(crate) fn count_broadcast_taken(&self, bytes: usize) {
        self.heard
            .broadcast_bytes
            .fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The shard has taken over a publication that was heard.
    pub(crate) fn count_taken(&self, publication: &Publication) {
        self.heard
            .bytes
            .fetch_sub(cost(publication), Ordering::Relaxed);
    }

    /// The shard is about to read again what was missed.
    pub(crate) fn acknowledge_missed(&self) {
        self.heard.has_missed.store(false, Ordering::SeqCst);
    }
}

/// What a publication costs while it waits.
fn cost(publication: &Publication) -> usize {
    publication.payload.size() + 256
}

struct Driver {
    backend: Arc<dyn Backend>,
    shares_presence: bool,
    commands: CommandSender,
    heard: Arc<Heard>,
    /// For the log, which tells of changes only.
    is_reachable: AtomicBool,
    _alive: watch::Sender<()>,
}

impl Driver {
    async fn run(
        self: Arc<Self>,
        mut calls: mpsc::UnboundedReceiver<(CallId, UplinkCall<Json>)>,
        broadcasts: mpsc::Receiver<String>,
    ) {
        let broadcasting = tokio::spawn(Arc::clone(&self).broadcast_all(broadcasts));
        while let Some((id, call)) = calls.recv().await {
            let driver = Arc::clone(&self);
            tokio::spawn(async move { driver.answer(id, call).await });
        }
        let closing = async {
            // The last of it tells that this server goes away. Where that takes too long, its silence will tell.
            let _ = tokio::time::timeout(FAREWELL_TIMEOUT, broadcasting).await;
            self.backend.close().await
        };
        let closed = tokio::time::timeout(CLOSE_TIMEOUT, closing).await;
        if !matches!(closed, Ok(Ok(()))) {
            tracing::debug!(backend = %self.backend.describe(), "the backend was closed without its answer");
        }
    }

    /// One after the other, in their order.
    async fn broadcast_all(self: Arc<Self>, mut broadcasts: mpsc::Receiver<String>) {
        while let Some(message) = broadcasts.recv().await {
            if let Err(error) = self.backend.broadcast(&message).await {
                tracing::debug!(%error, "a broadcast is lost");
            }
        }
    }

    async fn answer(&self, id: CallId, call: UplinkCall<Json>) {
        let answer = match self.carry_out(call).await {
            Ok(answer) => answer,
            Err(error) => UplinkAnswer::Failed(self.failure(&error)),
        };
        // The shard may have stopped.
        let _ = self.commands.send(Command::Answered(id, answer));
    }

    async fn carry_out(&self, call: UplinkCall<Json>) -> Result<UplinkAnswer<Json>, BackendError> {
        let backend = &self.backend;
        Ok(match call {
            UplinkCall::Open => {
                backend.open(self.feed()).await?;
                self.log_reachable();
                if self.shares_presence {
                    // The shard may have stopped.
                    let _ = self.commands.send(PresenceCommand::Linked.into());
                }
                UplinkAnswer::Done
            }
            UplinkCall::Follow(patterns) => {
                backend.follow(&patterns).await?;
                UplinkAnswer::Done
            }
            UplinkCall::Unfollow(patterns) => {
                backend.unfollow(&patterns).await?;
                UplinkAnswer::Done
            }
            UplinkCall::Read { topic, since } => {
                UplinkAnswer::Excerpt(backend.read(&topic, since).await?)
            }
            UplinkCall::List(pattern) => UplinkAnswer::Excerpts(backend.list(&pattern).await?),
            UplinkCall::Publish(batch) => UplinkAnswer::Published(backend.publish(&batch).await?),
            UplinkCall::Renew { topic, epoch } => {
                tracing::warn!(
                    %topic, epoch, backend = %backend.describe(),
                    "the backend has lost publications that were seen; the topic begins a new epoch"
                );
                backend.renew(&topic, epoch).await?;
                UplinkAnswer::Done
            }
            UplinkCall::Probe => {
                backend.probe().await?;
                UplinkAnswer::Done
            }
        })
    }

    fn failure(&self, error: &BackendError) -> UplinkFailure {
        if matches!(error, BackendError::Full { .. }) {
            tracing::warn!(%error, "publications are refused");
            return UplinkFailure::Full;
        }
        self.log_lost(error);
        UplinkFailure::Lost
    }

    fn log_lost(&self, error: &BackendError) {
        if self.is_reachable.swap(false, Ordering::Relaxed) {
            tracing::warn!(%error, "subscribers are stale and publications wait until the backend is back");
        } else {
            tracing::debug!(%error, "the backend is still away");
        }
    }

    fn log_reachable(&self) {
        if !self.is_reachable.swap(true, Ordering::Relaxed) {
            tracing::info!(backend = %self.backend.describe(), "the backend is back");
        }
    }

    /// A feed that counts until the next one is made.
    fn feed(&self) -> Feed {
        let generation = 1 + self.heard.generation.fetch_add(1, Ordering::SeqCst);
        let (heard, shares_presence) = (Arc::clone(&self.heard), self.shares_presence);
        let commands = self.commands.clone();
        Feed::new(move |event| {
            if heard.generation.load(Ordering::SeqCst) != generation {
                return;
            }
            let command = match event {
                FeedEvent::Publication(publication) => match heard.admit(&publication) {
                    Admitted::Yes => Command::Heard(publication),
                    Admitted::NoMore => Command::Missed,
                    Admitted::No => return,
                },
                FeedEvent::Missed => Command::Missed,
                FeedEvent::Broadcast(_) if !shares_presence => return,
                FeedEvent::Broadcast(text) => match heard.admit_broadcast(&text) {
                    Some(command) => command.into(),
                    None => return,
                },
                FeedEvent::Lost(error) => {
                    tracing::debug!(%error, "the link to the backend is lost");
                    Command::Lost
                }
            };
            // The shard may have stopped.
            let _ = commands.send(command);
        })
    }
}

enum Admitted {
    Yes,
    /// The first that there was no room for.
    NoMore,
    No,
}

impl Heard {
    /// What others said about presences. Anything else, of a later version perhaps, is passed over.
    fn admit_broadcast(&self, text: &str) -> Option<PresenceCommand> {
        let bytes = text.len();
        if self.broadcast_bytes.load(Ordering::Relaxed) + bytes > BROADCAST_BYTES_MAX {
            return None;
        }
        let message: PresenceEnvelope<Json> = match serde_json::from_str(text) {
            Ok(message) => message,
            Err(error) => {
                tracing::debug!(%error, "a broadcast can't be read");
                return None;
            }
        };
        self.broadcast_bytes.fetch_add(bytes, Ordering::Relaxed);
        Some(PresenceCommand::Heard {
            message: message.into(),
            bytes,
        })
    }

    fn admit(&self, publication: &Publication) -> Admitted {
        let bytes = cost(publication);
        let is_full = self.bytes.load(Ordering::Relaxed) + bytes > HEARD_BYTES_MAX;
        if is_full || self.has_missed.load(Ordering::SeqCst) {
            if self.has_missed.swap(true, Ordering::SeqCst) {
                return Admitted::No;
            }
            return Admitted::NoMore;
        }
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        Admitted::Yes
    }
}
