//! One subscription of a client: what it has seen, and how it resumes.

mod durable;
mod resume;

use alloc::sync::Arc;

use super::rewind::Rewind;
use crate::durable::DurableName;
use crate::flow::{Flow, Slow};
use crate::limits::CLIENT_TOPICS_MAX;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, Start, SubscribeRequest};
use crate::publication::{Position, Publication};
use crate::recent::Recent;
use crate::topic::{Pattern, Topic};

#[derive(Debug)]
pub(super) struct Subscription<P> {
    flow: Flow,
    start: Start,
    /// The device's name, if the subscription should be durable.
    durable: Option<DurableName>,
    /// Where a device starts for which the server has no cursor.
    cursor_start: Start,
    /// Whether the last request was for a durable subscription.
    is_named: bool,
    /// Whether the server has confirmed it as durable, so that acknowledgements can be sent.
    is_durable: bool,
    /// Whether it ever has. If so, everything before the cursor was seen, and the next connection may start from the
    /// cursor at once.
    was_durable: bool,
    slow: Option<Slow>,
    /// Whether the current connection has confirmed it. Until then, publications belong to an earlier subscription to
    /// the same pattern.
    is_live: bool,
    /// Whether any connection has confirmed it. If so, it resumes instead of starting.
    was_live: bool,
    /// Whether deltas were ever requested.
    has_deltas: bool,
    positions: Recent<Seen<P>>,
    /// Set while it goes back.
    pub(super) rewind: Option<Rewind>,
}

/// The last publication of a topic that was seen.
#[derive(Debug)]
struct Seen<P> {
    position: Position,
    sight: Sight,
    /// Nothing was seen, except what arrived only for newcomers.
    is_unseen: bool,
    /// Whether it was requested again, and neither it nor a later one has arrived since.
    is_awaited: bool,
    /// The last publication that this connection delivered, if deltas may follow. It may be older than what was seen on
    /// another connection.
    base: Option<Arc<Publication<P>>>,
}

/// What was seen at a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The end of the topic: another epoch is expected to follow.
    End,
    /// Any other publication.
    Value,
    /// Nothing yet: the server has only stated the topic's position.
    Told,
    /// Unknown: the subscriber gave this position when it resumed.
    Given,
}

impl Sight {
    fn of<P>(publication: &Publication<P>) -> Self {
        if publication.is_terminal() {
            Self::End
        } else {
            Self::Value
        }
    }
}

impl<P> From<Position> for Seen<P> {
    fn from(position: Position) -> Self {
        Self {
            position,
            sight: Sight::Told,
            is_unseen: false,
            is_awaited: false,
            base: None,
        }
    }
}

/// The last of a topic that was seen, now touched; `position` if nothing was.
fn seen_at<'a, P>(
    positions: &'a mut Recent<Seen<P>>,
    topic: &Topic,
    position: Position,
) -> &'a mut Seen<P> {
    positions.touch(topic, || position.into())
}

/// How a publication relates to what a subscription has seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// It belongs to an earlier subscription, or was seen before.
    Old,
    /// Seen before, and requested again. `is_latest` says whether it is the last that was seen.
    Again { is_latest: bool },
    /// It continues what was seen.
    Next,
    /// It is of another epoch although the topic hadn't ended, or of the same although it had: something in between was
    /// lost.
    Restart,
}

impl<P> Subscription<P> {
    pub(super) fn new(request: SubscribeRequest) -> Self {
        let SubscribeRequest {
            pattern: _,
            flow,
            start,
            durable,
            slow,
        } = request;
        let mut positions = Recent::new(CLIENT_TOPICS_MAX);
        if let Start::Since(since) = &start {
            for known in since {
                seen_at(&mut positions, &known.topic, known.position).sight = Sight::Given;
            }
        }
        Self {
            flow,
            start,
            is_named: durable.is_some(),
            durable,
            cursor_start: Start::Latest,
            is_durable: false,
            was_durable: false,
            slow,
            is_live: false,
            was_live: false,
            has_deltas: flow.delta,
            positions,
            rewind: None,
        }
    }

    /// The frame that subscribes, or resumes after what was seen; or from before what was last seen, if it goes back.
    /// While it goes back, and before it is at the cursor, it is not durable, so that what lies before the cursor is
    /// sent, too.
    pub(super) fn request(&mut self, pattern: &Pattern) -> ClientFrame<P> {
        self.is_live = false;
        let may_claim = self.was_durable && self.has_name();
        let mut to_cursor = false;
        if let Some(rewind) = &mut self.rewind {
            to_cursor = rewind.to_cursor && may_claim;
            rewind.handle_asked(!self.was_live || rewind.to_cursor != to_cursor);
        }
        if self.was_live {
            self.is_named = to_cursor || (self.rewind.is_none() && self.has_name());
        }
        // What a slow connection conflates may arrive later than the answer that tells that everything was repeated.
        let keeps_all = self.slow != Some(Slow::Conflate);
        let goes_back = self.was_live && self.rewind.is_some() && !to_cursor && keeps_all;
        for seen in self.positions.values_mut() {
            seen.is_awaited = goes_back && seen.position.offset > 0 && !seen.is_unseen;
        }
        let start = match &self.start {
            _ if to_cursor => Start::Latest,
            _ if self.was_live => Start::Since(self.seen(pattern, self.rewind.as_ref())),
            Start::Since(_) => Start::Since(self.seen(pattern, None)),
            start @ (Start::Latest | Start::New) => start.clone(),
        };
        self.frame(pattern, start)
    }

    /// The frame that requests what follows all that it or a newcomer has seen, before it goes back again.
    pub(super) fn request_as_seen(&mut self, pattern: &Pattern) -> ClientFrame<P> {
        self.is_live = false;
        let seen = self.seen(pattern, self.rewind.as_ref());
        self.frame(pattern, Start::Since(seen))
    }

    fn frame(&self, pattern: &Pattern, start: Start) -> ClientFrame<P> {
        ClientFrame::Subscribe(SubscribeRequest {
            pattern: pattern.clone(),
            flow: self.flow,
            start,
            durable: self.durable.clone().filter(|_| self.is_named),
            slow: self.slow,
        })
    }

    pub(super) const fn set_flow(&mut self, flow: Flow) {
        // Deltas may still be in flight when they are no longer wanted.
        self.has_deltas |= flow.delta;
        self.flow = flow;
    }

    pub(super) const fn set_slow(&mut self, slow: Option<Slow>) {
        self.slow = slow;
    }

    /// Applies a delta to its base; `None` if the base is not known.
    pub(super) fn restore(&self, delta: &Publication<P>, base: u64) -> Option<Publication<P>>
    where
        P: Payload,
    {
        let known = self.positions.get(&delta.topic)?.base.as_ref()?;
        let expected = Position {
            offset: base,
            ..delta.position
        };
        if known.position != expected {
            return None;
        }
        Some(Publication {
            topic: delta.topic.clone(),
            position: delta.position,
            payload: known.payload.patched(&delta.payload)?,
            end: delta.end,
        })
    }

    /// The server has confirmed the subscription, and stated its topic's position.
    pub(super) fn handle_subscribed(
        &mut self,
        pattern: &Pattern,
        position: Option<Position>,
        recovered: bool,
    ) {
        self.is_live = true;
        self.is_durable = self.is_named;
        self.was_durable |= self.is_named;
        let is_first = !core::mem::replace(&mut self.was_live, true);
        if let (Some(topic), Some(position)) = (pattern.exact(), position) {
            // If the retained latest value follows, it has not been seen yet. If a cursor was resumed, what was missed
            // follows.
            let is_new = self.start == Start::New && !recovered;
            let nothing_follows = position.offset == 0 || (is_first && is_new);
            if nothing_follows && self.seen_of(&topic).is_none() {
                *seen_at(&mut self.positions, &topic, position) = position.into();
            }
        }
    }

    /// The last position of a topic that was seen.
    fn seen_of(&self, topic: &Topic) -> Option<Position> {
        let seen = self.positions.get(topic).filter(|seen| !seen.is_unseen);
        seen.map(|seen| seen.position)
    }

    /// The topic of an exact pattern has ended. If something else than its end was seen or stated there, forgets and
    /// returns that, so that the end is sent when it is requested again. Not for a device, to which what it has
    /// processed is not sent again.
    pub(super) fn forget_other_end(&mut self, topic: &Topic) -> Option<(Position, Sight)> {
        let seen = self.positions.get(topic).filter(|seen| !seen.is_unseen)?;
        let known = (seen.position, seen.sight);
        let is_other = matches!(seen.sight, Sight::Value | Sight::Told) && !self.has_name();
        if is_other {
            self.positions.remove(topic);
        }
        is_other.then_some(known)
    }

    /// Everything between what was seen of a topic and this position is lost. Returns whether that is any loss: a
    /// shared connection also reports losses that only concern others.
    pub(super) fn handle_reset(&mut self, topic: &Topic, position: Position) -> bool {
        let seen = self.seen_of(topic);
        let is_known = position.epoch != 0 && seen == Some(position);
        if is_known || (seen.is_none() && self.is_for_others()) {
            return false;
        }
        if position.epoch == 0 {
            self.positions.remove(topic);
        } else {
            // The latest value is still to come: whoever resumes before it has is given that, or told that it is gone, too.
            let offset = position.offset.saturating_sub(1);
            *seen_at(&mut self.positions, topic, position) = Position { offset, ..position }.into();
        }
        true
    }

    /// The connection was too slow and dropped publications: those that are awaited again may be among them.
    pub(super) fn handle_lagged(&mut self) {
        for seen in self.positions.values_mut() {
            seen.is_awaited = false;
        }
    }

    /// How a publication relates to what was seen. If it is new, it counts as seen from here on.
    pub(super) fn accept(&mut self, publication: &Arc<Publication<P>>) -> News {
        if !self.is_live {
            return News::Old;
        }
        let position = publication.position;
        let mut news = News::Next;
        // The first publication of a topic has no predecessor to compare with.
        let before = Position {
            offset: 0,
            ..position
        };
        let mut is_first = false;
        let is_for_others = self.is_for_others();
        let is_back = self.is_back();
        let last = self.positions.touch(&publication.topic, || {
            is_first = true;
            before.into()
        });
        is_first |= last.is_unseen;
        // The server uses it as the base of deltas, whether it is new here or not.
        last.base = self.has_deltas.then(|| Arc::clone(publication));
        last.is_unseen = is_first && is_for_others;
        if last.is_unseen {
            last.position = position;
            last.sight = Sight::of(publication);
            return News::Again { is_latest: true };
        }
        if is_first {
            *last = Seen {
                base: last.base.take(),
                ..before.into()
            };
        }
        let is_same_epoch = last.position.epoch == position.epoch;
        last.is_awaited &= is_same_epoch && last.position.offset > position.offset;
        if !is_same_epoch {
            // In a backend, a topic without publications is at epoch 0.
            if last.sight != Sight::End && last.position != Position::default() {
                news = News::Restart;
            }
        } else if last.position.offset >= position.offset {
            // A subscriber that wants only new publications is told the topic's position. If the terminal publication
            // is there, it has not been seen yet.
            let is_told_only = last.sight == Sight::Told;
            if !(is_told_only && publication.is_terminal() && last.position == position) {
                let is_latest = last.position == position;
                return if is_back {
                    News::Again { is_latest }
                } else {
                    News::Old
                };
            }
        } else if last.sight == Sight::End {
            // The backend has lost the end that was stored there, and has something else now.
            news = News::Restart;
        }
        last.position = position;
        last.sight = Sight::of(publication);
        news
    }

    /// The last position that was seen of an exact pattern's topic.
    pub(super) fn last(&self, pattern: &Pattern) -> Option<Position> {
        self.seen_of(&pattern.exact()?)
    }

    pub(super) fn is_live(&self) -> bool {
        self.is_live
    }
}
