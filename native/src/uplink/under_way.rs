//! The calls that a backend has yet to answer.

use std::collections::BTreeMap;
use std::time::Duration;

use tidegate_core::topic::Topic;
use tidegate_core::uplink::{CallId, UplinkCall};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;

use crate::json::Json;

/// They run side by side, but for openings: one that was given up must not come to its end after the next has begun.
#[derive(Default)]
pub(super) struct UnderWay {
    /// With when they were asked, and for what.
    calls: BTreeMap<CallId, (Instant, Asked)>,
    tasks: JoinSet<CallId>,
    opening: Option<(Instant, JoinHandle<()>)>,
}

/// What was asked for, of which topic.
pub(super) type Asked = (&'static str, Option<Topic>);

impl UnderWay {
    /// Carries a call out.
    pub(super) fn start(
        &mut self,
        id: CallId,
        asked: Asked,
        call: impl Future<Output = ()> + Send + 'static,
    ) {
        self.sweep();
        self.calls.insert(id, (Instant::now(), asked));
        self.tasks.spawn(async move {
            call.await;
            id
        });
    }

    /// Opens the link. To be called once nothing is left of the opening before.
    pub(super) fn open(&mut self, call: impl Future<Output = ()> + Send + 'static) {
        self.opening = Some((Instant::now(), tokio::spawn(call)));
    }

    /// Calls the opening off that is under way. Nothing is left of it once this has ended.
    pub(super) async fn end_opening(&mut self) {
        if let Some((_, opening)) = self.opening.take() {
            opening.abort();
            // It was called off, or had ended.
            let _ = opening.await;
        }
    }

    /// What has waited longest for an answer, and how long. What was asked so far no longer counts.
    pub(super) fn forget(&mut self) -> Option<(Asked, Duration)> {
        self.sweep();
        let calls = std::mem::take(&mut self.calls).into_values();
        let opening = self
            .opening
            .as_ref()
            .filter(|(_, task)| !task.is_finished());
        let opening = opening.map(|(since, _)| (*since, ("open", None)));
        let (since, asked) = calls.chain(opening).min_by_key(|(since, _)| *since)?;
        Some((asked, since.elapsed()))
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

/// What a call asks for, in a word, and of which topic.
pub(super) fn asked(call: &UplinkCall<Json>) -> Asked {
    match call {
        UplinkCall::Open => ("open", None),
        UplinkCall::Follow(_) => ("follow", None),
        UplinkCall::Unfollow(_) => ("unfollow", None),
        UplinkCall::Read { topic, .. } => ("read", Some(topic.clone())),
        UplinkCall::List(_) => ("list", None),
        UplinkCall::Publish(_) => ("publish", None),
        UplinkCall::Renew { topic, .. } => ("renew", Some(topic.clone())),
        UplinkCall::Cursors(_) => ("cursors", None),
        UplinkCall::Probe => ("probe", None),
    }
}
