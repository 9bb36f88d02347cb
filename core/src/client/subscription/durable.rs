//! A subscription that a device shares with others who are none: by which name it is asked for, and what is whose of what comes.

use alloc::vec::Vec;

use super::{Rewind, Subscription};
use crate::durable::DurableName;
use crate::protocol::{ClientFrame, Start};
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

impl<P> Subscription<P> {
    /// It is to be durable by this name, for a device that starts so. Whether it was to be by another one, or to start elsewhere: what was asked
    /// for then is not what this one wants.
    pub(in crate::client) fn name(&mut self, start: Start, name: DurableName) -> bool {
        let is_same = self.durable.as_ref() == Some(&name);
        self.is_durable &= is_same;
        self.was_durable &= is_same;
        self.durable = Some(name);
        let before = core::mem::replace(&mut self.cursor_start, start);
        !is_same || before != self.cursor_start
    }

    /// It is to be durable no more, from the next time on that it is asked for. Whether it is to go back at once for that, as some of what came is
    /// still to come for others.
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

    /// The frame by which a durable subscription takes the place of this one, which goes on until then.
    pub(in crate::client) fn request_cursor(&mut self, pattern: &Pattern) -> ClientFrame<P> {
        self.is_named = true;
        self.frame(pattern, self.cursor_start.clone())
    }

    /// Whether what comes of a topic, of which nothing was seen, is only for those who have joined and are no devices: a device may have dealt with it,
    /// and is given after this what it has not. Until it is confirmed by its name again, a durable subscription is plain for their sake.
    pub(super) const fn is_for_others(&self) -> bool {
        self.has_name() && self.was_durable && !self.is_durable
    }

    /// Whether what lies after the cursor comes.
    fn is_at_cursor(&self) -> bool {
        let rewind = self.rewind.as_ref();
        self.is_durable && rewind.is_some_and(|rewind| rewind.to_cursor)
    }

    /// Whether what was seen comes again because it was asked for.
    pub(super) fn is_back(&self) -> bool {
        let rewind = self.rewind.as_ref();
        rewind.is_some_and(|rewind| rewind.is_repeating() || self.is_at_cursor())
    }

    /// Whether something that was seen has not come again.
    pub(in crate::client) fn awaits_repeats(&self) -> bool {
        self.positions.iter().any(|(_, seen)| seen.is_awaited)
    }

    /// Whether somebody for whom it goes back has seen more of a topic than has come.
    pub(in crate::client) fn is_behind_joining(&self) -> bool {
        let is_ahead = |rewind: &Rewind| {
            let mut positions = self.positions.iter();
            positions.any(|(topic, seen)| rewind.is_ahead(topic, seen.position))
        };
        self.rewind.as_ref().is_some_and(is_ahead)
    }

    /// It has gone back, and whoever has joined is where all are: so is the device with a topic of which nothing lay after its cursor. Of
    /// what those who have joined know and nothing came of, nothing follows where they are. Returns the topics, and where they stood, of which what was
    /// seen last has not come again: that is lost, without the server that goes on before it knowing of it.
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

    /// Whether a reset of a topic is said because it was asked to go back further than to what was seen last of it: then it is to be asked to
    /// go back by less.
    pub(in crate::client) fn has_gone_too_far(&mut self, topic: &Topic) -> bool {
        let seen = self.seen_of(topic);
        let rewind = self.rewind.as_mut();
        seen.zip(rewind)
            .is_some_and(|(seen, rewind)| rewind.handle_reset(topic, seen))
    }

    /// Whether a reset of a topic is said of what only a device misses: others have seen what follows.
    pub(in crate::client) fn is_lost_to_device(&self, topic: &Topic, position: Position) -> bool {
        let seen = self.seen_of(topic);
        let is_seen =
            |seen: Position| seen.epoch == position.epoch && seen.offset >= position.offset;
        self.is_at_cursor() && seen.is_some_and(is_seen)
    }

    /// Whether the server can be told of what was dealt with.
    pub(in crate::client) fn takes_acks(&self) -> bool {
        self.is_live() && self.is_durable
    }
}
