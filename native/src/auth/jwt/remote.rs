//! The keys of a URL: a task that fetches them when [`Refresh`] says so, and the tokens that wait for it.

mod address;
mod fetch;
mod source;

use std::convert::Infallible;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use futures_util::future::OptionFuture;
use tidegate_core::time::Instant;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot};

pub(super) use self::address::KeySetUrl;
use self::fetch::FetchError;
pub(super) use self::source::Source;
use super::keys::{Key, parse_set};
use super::refresh::{Fetch, Refresh};
use crate::client::{ClientOptions, Trust};

/// How long a token that names an unknown key waits for the keys that are being fetched. Clients are given up after ten seconds, and should
/// be told the reason before that.
const WAIT_MAX: Duration = Duration::from_secs(5);

/// The keys of a URL.
pub(super) struct Remote {
    shared: Arc<Shared>,
    /// The channel to the task that fetches them, once there is one. The task ends when this is dropped.
    task: Mutex<Option<mpsc::UnboundedSender<FetchRequest>>>,
}

struct Shared {
    source: Source,
    options: ClientOptions,
    known: RwLock<Known>,
}

/// What is known of the keys.
#[derive(Clone, Default)]
struct Known {
    /// Those of the last successful response; empty before that.
    keys: Arc<[Key]>,
    fetched: Option<tokio::time::Instant>,
    /// Why they couldn't be fetched since then.
    trouble: Option<String>,
}

/// The state of the keys of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeySetHealth {
    pub(crate) url: String,
    /// How many there are; none before they were fetched.
    pub(crate) count: usize,
    /// How long ago they were fetched.
    pub(crate) age: Option<Duration>,
    /// Why the last fetch failed, until one succeeds.
    pub(crate) last_error: Option<String>,
}

/// A request to the task.
enum FetchRequest {
    /// Fetch them now: they may have changed.
    Now,
    /// Fetch them for an unknown key. The sender is dropped once there is nothing to wait for any more.
    Unknown(oneshot::Sender<Infallible>),
}

impl Remote {
    /// The keys of `source`, which were not fetched yet.
    pub(super) fn new(source: Source, trust: Trust) -> Self {
        Self {
            shared: Arc::new(Shared {
                source,
                options: ClientOptions {
                    trust,
                    ..ClientOptions::default()
                },
                known: RwLock::default(),
            }),
            task: Mutex::default(),
        }
    }

    /// The keys in use now: none before they are fetched for the first time.
    pub(super) fn keys(&self) -> Arc<[Key]> {
        self.shared.known().keys
    }

    /// Whether the keys are known and current: they were fetched, and the last fetch succeeded.
    pub(super) fn is_sure(&self) -> bool {
        let known = self.shared.known();
        known.fetched.is_some() && known.trouble.is_none()
    }

    /// Has them fetched now. Outside of a runtime, the next request for them does that.
    pub(super) fn fetch_now(&self) {
        self.send(FetchRequest::Now);
    }

    /// Waits until they are fetched for a token that names an unknown key. Doesn't wait if they were just fetched, or if fetching fails.
    pub(super) async fn fetch_for_unknown(&self) {
        let (waiter, done) = oneshot::channel();
        self.send(FetchRequest::Unknown(waiter));
        let _ = tokio::time::timeout(WAIT_MAX, done).await;
    }

    /// Their state. Starts to fetch them if nobody has requested them before.
    pub(super) fn health(&self) -> KeySetHealth {
        let is_idle = {
            let task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
            task.is_none()
        };
        if is_idle {
            self.fetch_now();
        }
        let known = self.shared.known();
        KeySetHealth {
            url: self.shared.source.to_string(),
            count: known.keys.len(),
            age: known.fetched.map(|at| at.elapsed()),
            last_error: known.trouble,
        }
    }

    /// Sends a request to the task. The task is started by the first request, and again if its runtime has ended.
    fn send(&self, request: FetchRequest) {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        let unsent = match &*task {
            Some(sender) => sender.send(request).err().map(|error| error.0),
            None => Some(request),
        };
        let (Some(request), Ok(runtime)) = (unsent, Handle::try_current()) else {
            return;
        };
        let (sender, requests) = mpsc::unbounded_channel();
        if let FetchRequest::Unknown(_) = request {
            // It fetches them first of all.
            let _ = sender.send(request);
        }
        runtime.spawn(Driver::new(Arc::clone(&self.shared), requests).run());
        *task = Some(sender);
    }
}

impl Shared {
    fn known(&self) -> Known {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        known.clone()
    }

    /// Fetches them and puts them into use. Returns how long they are fresh, if the response says so.
    async fn fetch(&self) -> Result<Option<Duration>, ()> {
        let fetched = async {
            let (url, fetched) = self.source.fetch(&self.options).await?;
            let keys = parse_set(&url.to_string(), &fetched.body)?;
            Ok((keys, fetched.age))
        };
        match fetched.await {
            Ok((keys, age)) => {
                self.note_keys(keys);
                Ok(age)
            }
            Err(error) => {
                self.note_trouble(&error);
                Err(())
            }
        }
    }

    fn note_keys(&self, keys: Arc<[Key]>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let (url, count) = (&self.source, keys.len());
        if known.fetched.is_none() || known.trouble.is_some() {
            tracing::info!(%url, count, "the keys of tokens were fetched");
        } else if !is_same(&known.keys, &keys) {
            tracing::info!(%url, count, "the keys of tokens have changed");
        } else {
            tracing::debug!(%url, count, "the keys of tokens were fetched");
        }
        *known = Known {
            keys,
            fetched: Some(tokio::time::Instant::now()),
            trouble: None,
        };
    }

    fn note_trouble(&self, error: &FetchError) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let url = &self.source;
        if known.trouble.is_some() {
            tracing::debug!(%url, %error, "the keys of tokens still cannot be fetched");
        } else if known.fetched.is_some() {
            tracing::warn!(%url, %error, "the keys of tokens cannot be fetched again; the previous ones stay in use, and the server keeps trying");
        } else {
            tracing::warn!(%url, %error, "the keys of tokens cannot be fetched; no token is accepted until they are, and the server keeps trying");
        }
        known.trouble = Some(error.to_string());
    }
}

/// Whether two sets have the same keys by name, in any order.
fn is_same(one: &[Key], other: &[Key]) -> bool {
    let has = |key: &Key| other.iter().any(|other| other.id == key.id);
    one.len() == other.len() && one.iter().all(has)
}

/// Fetches the keys when they are needed, until all handles are dropped.
struct Driver {
    shared: Arc<Shared>,
    requests: mpsc::UnboundedReceiver<FetchRequest>,
    refresh: Refresh,
    /// Dropped when the fetch in progress ends.
    waiting: Vec<oneshot::Sender<Infallible>>,
}

impl Driver {
    fn new(shared: Arc<Shared>, requests: mpsc::UnboundedReceiver<FetchRequest>) -> Self {
        Self {
            shared,
            requests,
            refresh: Refresh::new(crate::random_seed()),
            waiting: Vec::new(),
        }
    }

    async fn run(mut self) {
        let began = tokio::time::Instant::now();
        let now = || {
            let micros = began.elapsed().as_micros();
            Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
        };
        let mut fetching: OptionFuture<Pin<Box<_>>> = None.into();
        loop {
            if let Some(Fetch) = self.refresh.poll_output() {
                let shared = Arc::clone(&self.shared);
                fetching = Some(Box::pin(async move { shared.fetch().await })).into();
            }
            let due = self.refresh.poll_timeout();
            let due = due.map(|at| began + Duration::from_micros(at.as_micros()));
            let timer = OptionFuture::from(due.map(tokio::time::sleep_until));
            let mut timer = pin!(timer);
            tokio::select! {
                request = self.requests.recv() => match request {
                    Some(FetchRequest::Now) => self.refresh.handle_request(),
                    Some(FetchRequest::Unknown(waiter)) => {
                        if self.refresh.handle_unknown_key(now()) {
                            self.waiting.push(waiter);
                        }
                    }
                    None => return,
                },
                Some(fetched) = &mut fetching => {
                    fetching = None.into();
                    match fetched {
                        Ok(age) => self.refresh.handle_fetched(now(), age),
                        Err(()) => self.refresh.handle_failed(now()),
                    }
                    self.waiting.clear();
                }
                Some(()) = &mut timer => self.refresh.handle_timeout(now()),
            }
        }
    }
}

#[cfg(test)]
mod tests;
