//! Drives a tracker: gives it a clock, a connection to other servers, and its topics.

use std::collections::VecDeque;
use std::pin::pin;

use futures_util::StreamExt as _;
use futures_util::future::OptionFuture;
use futures_util::stream::FuturesUnordered;
use serde::Serialize;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::presence::{Key, KeyChange, KeyChangeKind};
use tidegate_core::progress::{Notice, ProgressMessage, ProgressOutput, Snapshot, Tally, Tracker};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;
use tokio::sync::{mpsc, oneshot};

use super::options::Topics;
use crate::hub::{Hub, PresenceChanges};
use crate::json::Json;
use crate::shard::{CommandSender, PeerEvent, ProgressCommand};

/// A command to a tracker.
pub(super) enum Command {
    Done {
        session: Key,
        count: u64,
        reply: oneshot::Sender<()>,
    },
    Queued(u64),
    Target(Option<u64>),
    Start {
        at_ms: u64,
    },
    End {
        at_ms: u64,
        reason: EndReason,
    },
    Stored(Box<Tally>),
    Snapshot(oneshot::Sender<Snapshot>),
    Tally(oneshot::Sender<Tally>),
}

pub(super) struct Driver {
    pub(super) tracker: Tracker,
    pub(super) hub: Hub,
    pub(super) shard: CommandSender,
    pub(super) topics: Topics,
    pub(super) users: PresenceChanges,
    pub(super) events: mpsc::Receiver<PeerEvent>,
    pub(super) asked: mpsc::UnboundedReceiver<Command>,
    /// Whether there may be other servers that have to learn what is counted.
    pub(super) has_others: bool,
}

/// Callers that wait until other servers know what they have counted, by number, in the order in which they came.
#[derive(Default)]
struct Waiting {
    last: u64,
    replies: VecDeque<(u64, oneshot::Sender<()>)>,
}

impl Waiting {
    fn push(&mut self, reply: oneshot::Sender<()>) {
        self.last += 1;
        self.replies.push_back((self.last, reply));
    }

    /// Answers the callers up to a number, because other servers know of everything that those have counted.
    fn answer(&mut self, known: u64) {
        while let Some((number, _)) = self.replies.front()
            && *number <= known
        {
            if let Some((_, reply)) = self.replies.pop_front() {
                // The caller may be gone.
                let _ = reply.send(());
            }
        }
    }
}

impl Driver {
    /// Runs until nobody counts here any more, or the hub stops.
    pub(super) async fn run(mut self) {
        let began = tokio::time::Instant::now();
        let now = || {
            let micros = began.elapsed().as_micros();
            Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
        };
        let mut waiting = Waiting::default();
        let mut out = FuturesUnordered::new();
        loop {
            for (known, said) in self.drain(&mut waiting) {
                out.push(async move { said.await.ok().map(|()| known) });
            }
            let due = self.tracker.poll_timeout();
            let due = due.map(|at| began + std::time::Duration::from_micros(at.as_micros()));
            let timer = OptionFuture::from(due.map(tokio::time::sleep_until));
            let mut timer = pin!(timer);
            tokio::select! {
                command = self.asked.recv() => match command {
                    Some(command) => self.handle(now(), command, &mut waiting),
                    None => break,
                },
                event = self.events.recv() => match event {
                    Some(PeerEvent::Linked) => self.tracker.handle_linked(now()),
                    Some(PeerEvent::Message(message)) => self.tracker.handle_message(now(), *message),
                    None => break,
                },
                changes = self.users.next() => match changes {
                    Some(changes) => self.handle_users(now(), changes),
                    None => break,
                },
                Some(told) = out.next(), if !out.is_empty() => {
                    if let Some(known) = told {
                        waiting.answer(known);
                    }
                }
                Some(()) = &mut timer => self.tracker.handle_timeout(now()),
            }
        }
        self.tracker.handle_shutdown(now());
        let last: Vec<_> = self.drain(&mut waiting);
        for (known, said) in last {
            if said.await.is_ok() {
                waiting.answer(known);
            }
        }
    }

    fn handle(&mut self, now: Instant, command: Command, waiting: &mut Waiting) {
        match command {
            Command::Done {
                session,
                count,
                reply,
            } => {
                self.tracker.handle_done(now, &session, count);
                waiting.push(reply);
            }
            Command::Queued(count) => self.tracker.handle_queued(now, count),
            Command::Target(target) => self.tracker.handle_target(now, target),
            Command::Start { at_ms } => self.tracker.handle_start(now, at_ms),
            Command::End { at_ms, reason } => self.tracker.handle_end(now, at_ms, reason),
            Command::Stored(stored) => self.tracker.handle_stored(now, *stored),
            Command::Snapshot(reply) => {
                let _ = reply.send(self.tracker.snapshot(now));
            }
            Command::Tally(reply) => {
                let _ = reply.send(self.tracker.tally().clone());
            }
        }
    }

    fn handle_users(&mut self, now: Instant, changes: Vec<KeyChange<Json>>) {
        for KeyChange { key, kind, .. } in changes {
            match kind {
                KeyChangeKind::Joined => self.tracker.handle_joined(now, key),
                KeyChangeKind::Left => self.tracker.handle_left(now, &key),
                KeyChangeKind::Updated => {}
            }
        }
    }

    /// Carries out what the tracker asks for. Returns, for each message on its way to others, up to which caller it
    /// answers.
    fn drain(&mut self, waiting: &mut Waiting) -> Vec<(u64, oneshot::Receiver<()>)> {
        let mut said = Vec::new();
        while let Some(output) = self.tracker.poll_output() {
            match output {
                ProgressOutput::Send(message) => said.extend(self.broadcast(&message)),
                ProgressOutput::Publish(notice) => self.publish(notice),
            }
        }
        if !self.has_others {
            waiting.answer(waiting.last);
        }
        // Of several messages, only the last completes what others have to know.
        let knows_all = self.tracker.is_told();
        let last = said.len().saturating_sub(1);
        let numbered = said.into_iter().enumerate();
        numbered
            .map(|(index, said)| {
                let is_last = index == last && knows_all;
                (if is_last { waiting.last } else { 0 }, said)
            })
            .collect()
    }

    fn broadcast(&self, message: &ProgressMessage) -> Option<oneshot::Receiver<()>> {
        let text = serde_json::to_string(message).expect("messages have a JSON form");
        let (reply, answer) = oneshot::channel();
        let command = ProgressCommand::Broadcast { text, reply };
        self.shard.send(command.into()).ok().map(|()| answer)
    }

    fn publish(&self, notice: Notice) {
        #[derive(Serialize)]
        struct Users {
            active: u64,
        }
        #[derive(Serialize)]
        struct Queue {
            queued: u64,
            #[serde(skip_serializing_if = "Option::is_none")]
            remaining: Option<u64>,
        }
        let topics = &self.topics;
        match notice {
            Notice::Done(done) => self.publish_to(&topics.events, &done, None),
            Notice::Progress(snapshot) => self.publish_to(&topics.progress, &snapshot, None),
            Notice::Users { active } => self.publish_to(&topics.users, &Users { active }, None),
            Notice::Queue { queued, remaining } => {
                self.publish_to(&topics.queue, &Queue { queued, remaining }, None);
            }
            Notice::Ended(snapshot, reason) => {
                self.publish_to(&topics.progress, &snapshot, Some(reason));
            }
        }
    }

    /// Publishes without waiting: a topic that refuses has ended, and a stopped hub is noticed elsewhere.
    fn publish_to(&self, topic: &Topic, value: &impl Serialize, end: Option<EndReason>) {
        let payload = Json::from_value(value).expect("what is told has a JSON form");
        let request = PublishRequest {
            end: end.map(Into::into),
            ..PublishRequest::new(topic.clone(), payload)
        };
        if self.hub.begin_request(request).is_err() {
            tracing::debug!(%topic, "the hub has stopped; progress is told no more");
        }
    }
}
