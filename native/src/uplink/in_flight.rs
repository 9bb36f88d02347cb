//! The calls in flight to a backend.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::topic::Topic;
use tidegate_core::uplink::{CallId, UplinkCall};
use tokio::task::{AbortHandle, JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::json::Json;

/// Calls run concurrently, except openings: one that was given up must not complete after the next has begun.
#[derive(Default)]
pub(super) struct InFlight {
    /// The calls in flight: when each was made, for what, and the task that carries it out.
    calls: BTreeMap<CallId, (Instant, CallLabel, AbortHandle)>,
    tasks: JoinSet<CallId>,
    opening: Option<(Instant, JoinHandle<()>)>,
}

/// What a call requests, and of which topic.
pub(super) type CallLabel = (&'static str, Option<Topic>);

impl InFlight {
    /// Starts a call.
    pub(super) fn start(
        &mut self,
        id: CallId,
        label: CallLabel,
        call: impl Future<Output = ()> + Send + 'static,
    ) {
        self.sweep();
        let task = self.tasks.spawn(async move {
            call.await;
            id
        });
        self.calls.insert(id, (Instant::now(), label, task));
    }

    /// Aborts a call that nobody waits for any more.
    pub(super) fn give_up(&mut self, id: CallId) {
        if let Some((_, _, task)) = self.calls.remove(&id) {
            task.abort();
        }
    }

    /// Opens the link. Must be called only after the previous opening has ended.
    pub(super) fn open(&mut self, call: impl Future<Output = ()> + Send + 'static) {
        self.opening = Some((Instant::now(), tokio::spawn(call)));
    }

    /// Cancels the opening in progress. It has ended when this returns.
    pub(super) async fn end_opening(&mut self) {
        if let Some((_, opening)) = self.opening.take() {
            opening.abort();
            // It was aborted, or had ended.
            let _ = opening.await;
        }
    }

    /// Returns the call that has waited longest for an answer, and how long. Forgets all calls so far.
    pub(super) fn forget(&mut self) -> Option<(CallLabel, Duration)> {
        self.sweep();
        let calls = std::mem::take(&mut self.calls).into_values();
        let calls = calls.map(|(since, label, _)| (since, label));
        let opening = self
            .opening
            .as_ref()
            .filter(|(_, task)| !task.is_finished());
        let opening = opening.map(|(since, _)| (*since, ("open", None)));
        let (since, label) = calls.chain(opening).min_by_key(|(since, _)| *since)?;
        Some((label, since.elapsed()))
    }

    fn sweep(&mut self) {
        while let Some(ended) = self.tasks.try_join_next() {
            if let Ok(id) = ended {
                self.calls.remove(&id);
            }
        }
    }

    /// Waits until all but an opening have ended.
    pub(super) async fn ended(&mut self) {
        while self.tasks.join_next().await.is_some() {}
    }
}

/// What a call requests, in a word, and of which topic.
pub(super) fn label(call: &UplinkCall<Json>) -> CallLabel {
    match call {
        UplinkCall::Open => ("open", None),
        UplinkCall::Follow(_) => ("follow", None),
        UplinkCall::Unfollow(_) => ("unfollow", None),
        UplinkCall::Read { topic, .. } => ("read", Some(topic.clone())),
        UplinkCall::List(_) | UplinkCall::ListPage(_) => ("list", None),
        UplinkCall::Publish(_) => ("publish", None),
        UplinkCall::Renew { topic, .. } => ("renew", Some(topic.clone())),
        UplinkCall::Cursors(_) => ("cursors", None),
        UplinkCall::Probe => ("probe", None),
        UplinkCall::GiveUp => ("nothing", None),
    }
}
