//! What a new subscription starts with: latest values, or what was missed since a position.

use alloc::vec::Vec;

use super::{Hub, SubscriptionId};
use crate::history::Recovery;
use crate::limits::RECOVERED_MAX;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::publication::{Position, first_epoch_of};
use crate::time::Instant;
use crate::topic::Pattern;

/// What a subscriber gets instead of what can't be recovered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OnLoss {
    /// The latest value.
    Latest,
    /// Everything that is still kept.
    Kept,
}

impl<P: Payload> Hub<P> {
    pub(super) fn start_with_latest(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        pattern: &Pattern,
        exact: Option<u32>,
        wants_latest: bool,
    ) {
        match exact {
            // A subscriber that arrives after the end gets the terminal publication, whatever it requested: nothing
            // else will follow.
            Some(topic) if wants_latest || self.topics.get(topic).history.end().is_some() => {
                self.deliver_latest(now, id, topic);
                self.end_if_over(id, topic);
            }
            None if wants_latest => {
                for topic in self.topics.matching(pattern) {
                    self.deliver_latest(now, id, topic);
                }
            }
            Some(_) | None => {}
        }
    }

    fn deliver_latest(&mut self, now: Instant, id: SubscriptionId, topic: u32) {
        let state = self.topics.get(topic);
        if let Some(latest) = state.history.latest() {
            self.subscribers.deliver(now, id.index(), latest);
        }
    }

    fn end_if_over(&mut self, id: SubscriptionId, topic: u32) {
        if let Some(reason) = self.topics.get(topic).history.end() {
            self.end_subscription(id, reason);
        }
    }

    pub(super) fn recover_exact(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        topic: u32,
        since: &[TopicPosition],
        on_loss: OnLoss,
    ) -> bool {
        let state = self.topics.get(topic);
        let known = since.iter().find(|known| known.topic == state.topic);
        let since = match known {
            Some(known) => Some(known.position),
            None if on_loss == OnLoss::Kept => Some(beginning(state.history.position(), on_loss)),
            None => None,
        };
        let mut room = usize::MAX;
        let recovered = match since {
            Some(since) => self.recover_topic(now, id, topic, (since, on_loss), &mut room),
            None => {
                self.deliver_latest(now, id, topic);
                false
            }
        };
        self.end_if_over(id, topic);
        recovered
    }

    /// Recovers every matching topic: the known ones since their position, others from their beginning.
    pub(super) fn recover_pattern(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        pattern: &Pattern,
        since: &[TopicPosition],
        on_loss: OnLoss,
    ) -> bool {
        let mut known = OrderedMap::new();
        for TopicPosition { topic, position } in since {
            known.insert(topic, *position);
        }
        let mut recovered = true;
        let mut room = RECOVERED_MAX;
        for topic in self.topics.matching(pattern) {
            let state = self.topics.get(topic);
            let beginning = beginning(state.history.position(), on_loss);
            let position = known.remove(&state.topic).unwrap_or(beginning);
            recovered &= self.recover_topic(now, id, topic, (position, on_loss), &mut room);
        }
        for (topic, _) in known.iter().filter(|(topic, _)| pattern.matches(topic)) {
            // The topic is no longer remembered, so there is no latest value, and no position to continue from.
            self.subscribers
                .reset(now, id.index(), topic, Position::default());
            recovered = false;
        }
        recovered
    }

    fn recover_topic(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        topic: u32,
        (since, on_loss): (Position, OnLoss),
        room: &mut usize,
    ) -> bool {
        let limits = self.config.history_of(&self.topics.get(topic).topic);
        self.topics.trim(now, topic, &limits);
        let recovery = self.recovery(topic, since);
        let state = self.topics.get(topic);
        let recovery = match recovery {
            Recovery::Whole(missed) if missed.len() > *room => {
                Recovery::Lost(missed.last().cloned())
            }
            recovery @ (Recovery::Whole(_) | Recovery::Lost(_)) => recovery,
        };
        match recovery {
            Recovery::Whole(missed) => {
                *room -= missed.len();
                self.recovered += missed.len() as u64;
                for publication in &missed {
                    self.subscribers.deliver(now, id.index(), publication);
                }
                true
            }
            Recovery::Lost(_) if on_loss == OnLoss::Kept => {
                let kept: Vec<_> = state.history.kept().cloned().collect();
                let first = kept.len() - kept.len().min((*room).max(1));
                let kept = &kept[first..];
                *room = room.saturating_sub(kept.len());
                let top = state.history.position();
                let position = Position {
                    offset: top.offset - kept.len() as u64,
                    ..top
                };
                self.subscribers
                    .reset(now, id.index(), &state.topic, position);
                for publication in kept {
                    self.subscribers.deliver(now, id.index(), publication);
                }
                false
            }
            Recovery::Lost(latest) => {
                self.subscribers
                    .reset(now, id.index(), &state.topic, state.history.position());
                if let Some(latest) = latest {
                    self.subscribers.deliver(now, id.index(), &latest);
                }
                false
            }
        }
    }
}

/// The position from which a subscriber starts a topic for which it gave no position. One that is to get everything
/// kept starts in the first epoch: it has never seen the topic, so if the topic has restarted, it has missed the
/// earlier epochs.
const fn beginning(Position { epoch, .. }: Position, on_loss: OnLoss) -> Position {
    let epoch = match on_loss {
        OnLoss::Kept => first_epoch_of(epoch),
        OnLoss::Latest => epoch,
    };
    Position { epoch, offset: 0 }
}
