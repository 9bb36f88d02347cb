//! Topics that are out of sync: publications of them are held until what the copies lack has been read.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Mirror, Progress};
use crate::history::Excerpt;
use crate::hub::Hub;
use crate::hub::replica::CopyState;
use crate::payload::Payload;
use crate::protocol::TopicPosition;
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};
use crate::uplink::{CallId, PendingCall, UplinkCall};

#[derive(Debug)]
pub(super) struct CatchUp<P> {
    /// Where the read begins; `None` reads only the latest publication.
    since: Option<Position>,
    /// The position after which a subscriber wants the history.
    wanted: Option<Position>,
    stage: Stage,
    /// Publications that arrived since the read was requested, in order of arrival.
    held: Vec<Arc<Publication<P>>>,
    /// A publication arrived that could not be held, so the topic has to be read again.
    is_overfull: bool,
    /// A new epoch was requested because the original lacked what the copy has. If it still does, the copy is replaced.
    was_renewed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// In sync itself, but held until all followed patterns that match the topic are in sync, too.
    Held,
    /// The read is queued, or in flight as this call.
    Reading(Option<CallId>),
    /// A new epoch has been requested.
    Renewing,
}

impl<P: Payload + Clone, T> Mirror<P, T> {
    /// Handles a publication from the push channel: routes it if it continues the copy, otherwise holds it and reads
    /// the topic.
    pub(super) fn route_or_hold(
        &mut self,
        now: Instant,
        hub: &mut Hub<P>,
        publication: Arc<Publication<P>>,
    ) {
        let topic = publication.topic.clone();
        if let Some(catch_up) = self.catch_ups.get_mut(&topic) {
            return catch_up.hold(publication, self.config.held_max);
        }
        if !self.is_covered(&topic) {
            return;
        }
        if !self.is_live(&topic) {
            let mut catch_up = CatchUp::new();
            catch_up.hold(publication, self.config.held_max);
            self.catch_ups.insert(topic, catch_up);
            return;
        }
        let known = hub.position(&topic);
        if known.is_some_and(|known| {
            known.epoch == publication.position.epoch && known.offset >= publication.position.offset
        }) {
            return;
        }
        let is_next = hub.continues(&publication);
        if is_next || (known.is_none() && hub.is_full()) {
            return hub.handle_continuation(now, &publication);
        }
        self.catch_up(hub, &topic);
        if let Some(catch_up) = self.catch_ups.get_mut(&topic) {
            catch_up.hold(publication, self.config.held_max);
        }
    }

    /// Reads what a topic lacks.
    pub(super) fn catch_up(&mut self, hub: &Hub<P>, topic: &Topic) {
        self.catch_up_since(hub, topic, None);
    }

    /// Reads what a topic lacks, and its history from `since` on.
    pub(super) fn catch_up_since(&mut self, hub: &Hub<P>, topic: &Topic, since: Option<Position>) {
        let known = self.since_of(hub, topic);
        let catch_up = self.catch_ups.entry(topic.clone());
        let catch_up = catch_up.or_insert_with(CatchUp::new);
        catch_up.wanted = earlier(catch_up.wanted, since);
        catch_up.since = earlier(known, catch_up.wanted);
        if catch_up.stage == Stage::Renewing {
            // The topic is read once it has its new epoch.
            return;
        }
        // A read in flight may have been taken before what this one is for.
        catch_up.stage = Stage::Reading(None);
        self.to_read.push_back(topic.clone());
    }

    /// Whether a topic is being read.
    pub(super) fn is_reading(&self, topic: &Topic) -> bool {
        let catch_up = self.catch_ups.get(topic);
        catch_up.is_some_and(|catch_up| catch_up.stage != Stage::Held)
    }

    /// The position from which a topic has to be read: one before the last known publication, so that this one can be
    /// compared; from the beginning of the next epoch if the topic has ended.
    fn since_of(&self, hub: &Hub<P>, topic: &Topic) -> Option<Position> {
        if hub.is_over(topic) {
            return Some(Position::default());
        }
        match hub.position(topic) {
            Some(position) => Some(one_before(position)),
            None => self.is_known(topic).then(Position::default),
        }
    }

    /// Reads the history that a resuming subscriber wants, unless the copies have it.
    pub(super) fn read_since(
        &mut self,
        hub: &Hub<P>,
        pattern: &Pattern,
        positions: &[TopicPosition],
    ) {
        let known: BTreeMap<&Topic, Position> = positions
            .iter()
            .map(|known| (&known.topic, known.position))
            .collect();
        let mut topics = hub.topics_of(pattern);
        // There may be no copy yet of a topic that is being read for another subscriber, and that read may begin too
        // late for this one.
        let read = self.catch_ups.keys();
        topics.extend(read.filter(|topic| pattern.matches(topic)).cloned());
        for topic in topics {
            let since = known.get(&topic).copied();
            if pattern.is_exact() && since.is_none() {
                continue;
            }
            let since = since.unwrap_or_default();
            if !hub.covers(&topic, since) {
                self.catch_up_since(hub, &topic, Some(since));
            }
        }
    }

    /// Returns whether a topic that the pattern matches is out of sync.
    pub(super) fn is_catching_up(&self, pattern: &Pattern) -> bool {
        match pattern.exact() {
            Some(topic) => self.catch_ups.contains_key(&topic),
            None => self.catch_ups.keys().any(|topic| pattern.matches(topic)),
        }
    }

    /// Returns whether a topic that the pattern matches is being read for the first time. A subscription to the pattern
    /// that started now would miss it.
    pub(super) fn is_discovering(&self, hub: &Hub<P>, pattern: &Pattern) -> bool {
        let is_unknown = |topic: &Topic, catch_up: &CatchUp<P>| {
            catch_up.since != Some(Position::default())
                && pattern.matches(topic)
                && hub.position(topic).is_none()
        };
        let mut catch_ups = self.catch_ups.iter();
        !pattern.is_exact() && catch_ups.any(|(topic, catch_up)| is_unknown(topic, catch_up))
    }

    /// Requests as many reads as may be in flight at once.
    pub(super) fn read_next(&mut self, now: Instant) {
        while self.reading < self.config.reads_max {
            let Some(topic) = self.to_read.pop_front() else {
                return;
            };
            let catch_up = self.catch_ups.get_mut(&topic);
            let Some(catch_up) = catch_up.filter(|known| known.stage == Stage::Reading(None))
            else {
                continue;
            };
            // What arrived before this read will be part of it, or was lost.
            catch_up.held.clear();
            catch_up.is_overfull = false;
            let since = catch_up.since;
            self.reading += 1;
            let pending = PendingCall::Read(topic.clone());
            let read = UplinkCall::Read {
                topic: topic.clone(),
                since,
            };
            let call = self.call(now, pending, read);
            if let Some(catch_up) = self.catch_ups.get_mut(&topic) {
                catch_up.stage = Stage::Reading(Some(call));
            }
        }
    }

    pub(super) fn read_again(&mut self, topic: &Topic) {
        if let Some(catch_up) = self.catch_ups.get_mut(topic)
            && catch_up.stage == Stage::Renewing
        {
            catch_up.stage = Stage::Reading(None);
            self.to_read.push_back(topic.clone());
        }
    }

    /// The history that a topic lacked has been read.
    pub(super) fn handle_read(
        &mut self,
        now: Instant,
        hub: &mut Hub<P>,
        call: CallId,
        topic: &Topic,
        excerpt: &Excerpt<P>,
    ) {
        let catch_up = self.catch_ups.get_mut(topic);
        let Some(catch_up) = catch_up.filter(|known| known.stage == Stage::Reading(Some(call)))
        else {
            return;
        };
        let was_unknown = hub.position(topic).is_none();
        if was_unknown && excerpt.position.offset > 0 && catch_up.since == Some(excerpt.position) {
            // Nothing was published since that position, but there is no copy of the latest publication itself.
            catch_up.since = Some(one_before(excerpt.position));
            catch_up.stage = Stage::Reading(None);
            self.to_read.push_back(topic.clone());
            return;
        }
        if was_unknown {
            // There was no copy of the topic, so subscribers to its pattern have seen nothing of it.
            hub.remember_unbegun(now, topic);
        }
        match hub.handle_excerpt(now, excerpt) {
            CopyState::Settled => catch_up.wanted = None,
            CopyState::TailLost { .. } if catch_up.was_renewed => hub.replace(now, excerpt),
            CopyState::TailLost { epoch } => {
                catch_up.was_renewed = true;
                catch_up.stage = Stage::Renewing;
                let topic = topic.clone();
                let pending = PendingCall::Renew(topic.clone());
                self.call(now, pending, UplinkCall::Renew { topic, epoch });
                return;
            }
        }
        if hub.position(topic).is_none() && !excerpt.publications.is_empty() {
            // There is no room to remember the subscribers' positions.
            hub.replace(now, excerpt);
        }
        if hub.position(topic) == Some(Position::default()) && !self.is_followed(topic) {
            hub.forget(topic);
        }
        self.become_live(now, hub, &Pattern::from(topic.clone()));
        self.finish(now, hub, topic);
    }

    /// Applies the held publications, unless another followed pattern that matches the topic is not in sync yet.
    fn finish(&mut self, now: Instant, hub: &mut Hub<P>, topic: &Topic) {
        if !self.is_live(topic) {
            if let Some(catch_up) = self.catch_ups.get_mut(topic) {
                catch_up.stage = Stage::Held;
                catch_up.was_renewed = false;
            }
            return;
        }
        let Some(catch_up) = self.catch_ups.remove(topic) else {
            return;
        };
        for publication in catch_up.held {
            self.route_or_hold(now, hub, publication);
        }
        if catch_up.is_overfull {
            self.catch_up(hub, topic);
        }
        self.progress.push_back(Progress::Topic(topic.clone()));
    }

    /// A pattern is in sync: applies the publications that were held because of it.
    pub(super) fn settle_held(&mut self, now: Instant, hub: &mut Hub<P>, pattern: &Pattern) {
        let held: Vec<Topic> = self
            .catch_ups
            .iter()
            .filter(|(topic, catch_up)| catch_up.stage == Stage::Held && pattern.matches(topic))
            .map(|(topic, _)| topic.clone())
            .collect();
        for topic in held {
            self.finish(now, hub, &topic);
        }
    }
}

impl<P> CatchUp<P> {
    const fn new() -> Self {
        Self {
            since: None,
            wanted: None,
            stage: Stage::Held,
            held: Vec::new(),
            is_overfull: false,
            was_renewed: false,
        }
    }

    fn hold(&mut self, publication: Arc<Publication<P>>, held_max: usize) {
        if self.held.len() < held_max {
            self.held.push(publication);
        } else {
            self.is_overfull = true;
        }
    }
}

fn one_before(position: Position) -> Position {
    Position {
        offset: position.offset.saturating_sub(1),
        ..position
    }
}

/// The earlier of two positions if they can be compared; otherwise the known one.
fn earlier(known: Option<Position>, wanted: Option<Position>) -> Option<Position> {
    match (known, wanted) {
        (Some(_), Some(wanted)) if wanted == Position::default() => Some(wanted),
        (Some(known), Some(wanted)) if wanted.epoch == known.epoch => Some(Position {
            offset: known.offset.min(wanted.offset),
            ..known
        }),
        (Some(known), _) => Some(known),
        (None, wanted) => wanted,
    }
}
