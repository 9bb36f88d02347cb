//! A subscription shared by a device and other subscribers: the name it is requested with, and which of them gets what
//! arrives.

use alloc::vec::Vec;

use super::{Rewind, Subscription};
use crate::durable::DurableName;
use crate::protocol::{ClientFrame, Start};
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

impl<P> Subscription<P> {
    /// Makes it durable under this name, for a device with this start. Returns whether the name or the start has
    /// changed, so that an earlier request is outdated.
    pub(in crate::client) fn name(&mut self, start: Start, name: DurableName) -> bool {
        let is_same = self.durable.as_ref() == Some(&name);
        self.is_durable &= is_same;
        self.was_durable &= is_same;
        self.durable = Some(name);
        let before = core::mem::replace(&mut self.cursor_start, start);
        !is_same || before != self.cursor_start
    }

    /// Stops being durable from the next request on. Returns whether to go back at once, because something of what
    /// arrived has yet to be sent to others.
    pub(in crate::client) fn unname(&mut self) -> bool {
        let is_for_others = self.is_for_others();
        self.durable = None;
        if let Some(rewind) = &mut self.rewind {
            rewind.to_cursor &= !is_for_others;
        }
        is_for_others
    }

    pub(in crate::client) const fn has_name(&self) -> bool {
        self.durable.is_some()
    }

    /// The frame that replaces this subscription, which continues until then, by a durable one.
    pub(in crate::client) fn request_cursor(&mut self, pattern: &Pattern) -> ClientFrame<P> {
        self.is_named = true;
        self.frame(pattern, self.cursor_start.clone())
    }

    /// Returns whether publications of topics not seen before are only for newcomers that aren't devices: a device may
    /// have processed them, and is sent the rest afterwards. This is so while a durable subscription is plain for their
    /// sake.
    pub(super) const fn is_for_others(&self) -> bool {
        self.has_name() && self.was_durable && !self.is_durable
    }

    /// Returns whether what follows the cursor is arriving.
    fn is_at_cursor(&self) -> bool {
        let rewind = self.rewind.as_ref();
        self.is_durable && rewind.is_some_and(|rewind| rewind.to_cursor)
    }

    /// Returns whether seen publications are arriving again as requested.
    pub(super) fn is_back(&self) -> bool {
        let rewind = self.rewind.as_ref();
        rewind.is_some_and(|rewind| rewind.is_repeating() || self.is_at_cursor())
    }

    /// Returns whether anything that was seen has not arrived again yet.
    pub(in crate::client) fn awaits_repeats(&self) -> bool {
        self.positions.iter().any(|(_, seen)| seen.is_awaited)
    }

    /// Returns whether a newcomer for which it goes back has seen more of a topic than has arrived.
    pub(in crate::client) fn is_behind_joining(&self) -> bool {
        let is_ahead = |rewind: &Rewind| {
            let mut positions = self.positions.iter();
            positions.any(|(topic, seen)| rewind.is_ahead(topic, seen.position))
        };
        self.rewind.as_ref().is_some_and(is_ahead)
    }

    /// Going back is complete, and everyone is at the same position. That includes the device in topics of which
    /// nothing followed its cursor, and newcomers in topics that they know but of which nothing arrived. Returns the
    /// topics, with their positions, whose last seen publication has not arrived again: it was lost, and the server,
    /// which continues before it, doesn't know that.
    pub(in crate::client) fn end_rewind(&mut self, pattern: &Pattern) -> Vec<(Topic, Position)> {
        if let Some(rewind) = self.rewind.take() {
            for topic in rewind.known() {
                if let Some(position) = rewind.after(pattern, topic, None) {
                    self.positions.touch(topic, || position.into());
                }
            }
        }
        for seen in self.positions.values_mut() {
            seen.is_unseen = false;
        }
        let awaited = self.positions.iter().filter(|(_, seen)| seen.is_awaited);
        let lost: Vec<_> = awaited
            .map(|(topic, seen)| (topic.clone(), seen.position))
            .collect();
        for (topic, _) in &lost {
            self.positions.remove(topic);
        }
        lost
    }

    /// Returns whether the server reports a loss only because it was asked to go back further than what was last seen.
    /// If so, it must be asked to go back less far.
    pub(in crate::client) fn has_gone_too_far(&mut self, topic: &Topic) -> bool {
        let seen = self.seen_of(topic);
        let rewind = self.rewind.as_mut();
        seen.zip(rewind)
            .is_some_and(|(seen, rewind)| rewind.handle_reset(topic, seen))
    }

    /// Returns whether a reset concerns only what a device missed: the others have seen what follows.
    pub(in crate::client) fn is_lost_to_device(&self, topic: &Topic, position: Position) -> bool {
        let seen = self.seen_of(topic);
        let is_seen =
            |seen: Position| seen.epoch == position.epoch && seen.offset >= position.offset;
        self.is_at_cursor() && seen.is_some_and(is_seen)
    }

    /// Returns whether acknowledgements can be sent.
    pub(in crate::client) fn takes_acks(&self) -> bool {
        self.is_live() && self.is_durable
    }
}
