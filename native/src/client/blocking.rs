//! A client for code that waits by blocking its thread.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

use serde::Serialize;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::Position;

use super::{Client, ClientError, Stop};
use crate::{Publication, Publish, TopicHistory};

/// A client for code that waits by blocking its thread. It needs no async runtime, but may also be used within one,
/// because it does its work on other threads. Clones are handles to the same client, and any thread may use them.
///
/// ```no_run
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = tidegate::Client::from_env()?.blocking();
/// client.publish("job:42", &serde_json::json!({"progress": 0.5}))?;
/// client.close()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BlockingClient {
    client: Client,
}

impl Client {
    /// This client, for code that waits by blocking its thread.
    pub fn blocking(&self) -> BlockingClient {
        BlockingClient {
            client: self.clone(),
        }
    }
}

impl BlockingClient {
    /// See [`Client::publish`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn publish(&self, topic: &str, value: &impl Serialize) -> Result<Position, ClientError> {
        block_on(self.client.publish(topic, value))
    }

    /// See [`Client::publish_with`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn publish_with(
        &self,
        topic: &str,
        value: &impl Serialize,
        publish: Publish,
    ) -> Result<Position, ClientError> {
        block_on(self.client.publish_with(topic, value, publish))
    }

    /// See [`Client::latest`].
    ///
    /// # Errors
    /// See [`Client::latest`].
    pub fn latest(&self, topic: &str) -> Result<Option<Publication>, ClientError> {
        block_on(self.client.latest(topic))
    }

    /// See [`Client::latest_matching`].
    ///
    /// # Errors
    /// See [`Client::latest`].
    pub fn latest_matching(&self, pattern: &str) -> Result<Vec<Publication>, ClientError> {
        block_on(self.client.latest_matching(pattern))
    }

    /// See [`Client::history`].
    ///
    /// # Errors
    /// See [`Client::latest`].
    pub fn history(
        &self,
        topic: &str,
        since: Option<Position>,
    ) -> Result<TopicHistory, ClientError> {
        block_on(self.client.history(topic, since))
    }

    /// Calls `callback` on this thread for each publication, until the topic ends, in which case this returns why, or
    /// `stop` is stopped. See [`Client::listen`].
    ///
    /// # Errors
    /// See [`ClientError`].
    pub fn listen(
        &self,
        pattern: &str,
        callback: impl FnMut(Publication),
        stop: &Stop,
    ) -> Result<Option<EndReason>, ClientError> {
        block_on(self.client.listen(pattern, callback, stop))
    }

    /// Waits until everything queued has been answered, for 10 s at most, and closes the client. See
    /// [`Client::close_flushed`].
    ///
    /// # Errors
    /// [`ClientError::Unanswered`] if something was not answered. The client is closed in this case, too.
    pub fn close(&self) -> Result<(), ClientError> {
        block_on(self.client.close_flushed())
    }

    /// The client, for async code.
    pub const fn client(&self) -> &Client {
        &self.client
    }
}

/// Waits for `future` on any thread, also on one of an async runtime.
fn block_on<F: Future>(future: F) -> F::Output {
    // If the thread is running a tokio task, parts of the future would report pending to make that task yield, which it
    // can't while it blocks here.
    let mut future = pin!(tokio::task::coop::unconstrained(future));
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        is_woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            return output;
        }
        while !unpark.is_woken.swap(false, Ordering::SeqCst) {
            thread::park();
        }
    }
}

struct Unpark {
    thread: Thread,
    /// The park token alone is not enough: a callback may block in turn, and take it.
    is_woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.is_woken.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}
