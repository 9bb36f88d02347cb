//! Going back: a subscription gets again what it last saw of each topic, or what follows a device's cursor.
//!
//! A subscriber that joins others of the same client starts with the latest values, but they may not be at hand: a
//! server that sums values for the others has never sent them, and if the others resumed and were up to date, they were
//! sent none. So the client subscribes again, from one publication before what was last seen, or from the newcomers'
//! own positions, and distinguishes repeated publications from new ones. If the server no longer keeps what a newcomer
//! missed, that newcomer starts from what was last seen instead, so that the others needn't be told of a loss.
//!
//! A server may not have been sent yet what a client has seen elsewhere, and one that is asked for less than that can't
//! know it. So if something doesn't come again, the client asks from where it was seen: the server then looks for it
//! before it answers. After that, the client goes back once more, and what still doesn't come is lost.
//!
//! What the server holds back for the others must not be lost, as the history may be shorter. So the owner first asks
//! for every publication at once, and the client unsubscribes only when the server has answered a ping sent after that:
//! by then, everything that was held back has arrived. A second ping tells when everything repeated has arrived.
//!
//! A subscription that becomes durable, or that a device joins, goes back to the cursor. The durable subscription
//! replaces the other at the server at the moment it starts, so nothing is missed in between, and there is nothing to
//! wait for. Only a plain subscription can go back behind the cursor, so a durable one that has to do that becomes
//! plain for that time, and then durable again.
//!
//! ```text
//!                 ping answered              confirmed               ping answered
//!   Flattening ────────────────▶ Asked ────────────────▶ Repeating ───────────────▶ over, or to the cursor
//!       │  lost, and confirmed     ▲ ▲  lost, another one joins │
//!       └──────────────────────────┘ └──────────────────────────┘
//!                                    │  confirmed               │ ping answered, but not all came
//!                                    └──────── Checking ◀───────┘
//!
//!                 confirmed                  confirmed               ping answered
//!   Flattening ────────────────▶ Asked ────────────────▶ Repeating ───────────────▶ over
//!       ▲          (the plain one) │  (the durable one)    │ lost
//!       └──────────────────────────┴───────────────────────┘          to the cursor
//! ```

mod check;
mod starts;

use super::{Client, ClientEvent, State, Subscription};
use crate::durable::DurableName;
use crate::joining::matching;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, Start};
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

use starts::Starts;

/// The progress of a subscription that goes back.
#[derive(Debug)]
pub(super) struct Rewind {
    stage: Stage,
    /// Whether it is going back to the cursor now.
    pub(super) to_cursor: bool,
    /// Whether a newcomer has joined meanwhile, for which it has to go back afterwards.
    is_wanted: bool,
    /// The link over which the server last looked for what it had not been sent.
    checked: Option<u32>,
    /// The starts of the newcomers that gave positions.
    starts: Starts,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What the server holds back, or starts with, has to arrive first; it has when this ping is answered. Without a
    /// ping, the subscription has yet to be confirmed.
    Flattening { ping: Option<u32> },
    /// The subscription was requested again, or will be on the next connection.
    Asked,
    /// Seen publications arrive again until this ping is answered. Without a ping, the server has lost its link to the
    /// backend, and has not sent everything, or knows less than a newcomer; the ping is sent once the link is back.
    Repeating { ping: Option<u32> },
    /// Not everything came again. The subscription was requested from what was seen, so that the server looks for it.
    Checking,
}

impl Rewind {
    fn new(to_cursor: bool) -> Self {
        Self {
            stage: Stage::Flattening { ping: None },
            to_cursor,
            is_wanted: false,
            checked: None,
            starts: Starts::default(),
        }
    }

    pub(super) const fn is_repeating(&self) -> bool {
        matches!(self.stage, Stage::Repeating { .. })
    }

    /// The topics that the newcomers know, each once; none while it goes back to the cursor.
    pub(super) fn known(&self) -> impl Iterator<Item = &Topic> {
        let starts = (!self.to_cursor).then_some(&self.starts);
        starts.into_iter().flat_map(Starts::known)
    }

    /// The position after which to request a topic of which `seen` was last seen; `None` for its beginning.
    pub(super) fn after(
        &self,
        pattern: &Pattern,
        topic: &Topic,
        seen: Option<Position>,
    ) -> Option<Position> {
        if self.to_cursor {
            return seen;
        }
        if self.stage == Stage::Checking {
            return seen.map(|seen| self.starts.furthest(topic, seen));
        }
        self.starts.after(pattern, topic, seen)
    }

    /// The server reports a loss in a topic of which `seen` was last seen. Returns whether the loss may concern only a
    /// newcomer; that one then starts from what was last seen.
    pub(super) fn handle_reset(&mut self, topic: &Topic, seen: Position) -> bool {
        !self.to_cursor && self.is_repeating() && self.starts.give_up(topic, seen)
    }

    /// Returns whether a newcomer has seen more of a topic than `seen`.
    pub(super) fn is_ahead(&self, topic: &Topic, seen: Position) -> bool {
        self.starts.are_ahead(topic, seen)
    }

    /// The subscription is being requested again: from before what was seen or from the cursor, or `as_it_is`, to go
    /// back afterwards.
    pub(super) const fn handle_asked(&mut self, as_it_is: bool) {
        self.stage = if as_it_is {
            Stage::Flattening { ping: None }
        } else {
            Stage::Asked
        };
    }

    fn waits_for(&self, pong: u32) -> bool {
        match self.stage {
            Stage::Flattening { ping } | Stage::Repeating { ping } => ping == Some(pong),
            Stage::Asked | Stage::Checking => false,
        }
    }
}

impl<P: Payload + Clone> Client<P> {
    /// Goes back to before what was last seen of each topic, for a newcomer with this start. The caller must have
    /// requested every publication at once before. Emits [`ClientEvent::Rewinding`], [`ClientEvent::Repeat`] and
    /// [`ClientEvent::Rewound`].
    pub fn handle_rewind(&mut self, pattern: &Pattern, start: &Start) {
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        let is_first = subscription.rewind.is_none();
        let rewind = subscription
            .rewind
            .get_or_insert_with(|| Rewind::new(false));
        if let Start::Since(since) = start {
            rewind.starts.add(matching(pattern, since));
        }
        rewind.is_wanted = rewind.to_cursor;
        let is_flattening = matches!(rewind.stage, Stage::Flattening { .. });
        if is_first {
            self.flatten(pattern);
        } else if !is_flattening && !rewind.to_cursor {
            self.ask_again(pattern);
        }
    }

    /// Makes a subscription durable, and goes back to the cursor with this name, for a device that has joined with this
    /// start. The caller must have requested every publication at once before. Emits the same events as
    /// [`Client::handle_rewind`].
    pub fn handle_durable(&mut self, pattern: &Pattern, start: Start, name: DurableName) {
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        let is_other = subscription.name(start, name);
        let is_first = subscription.rewind.is_none();
        let rewind = subscription.rewind.get_or_insert_with(|| Rewind::new(true));
        let (to_cursor, stage) = (rewind.to_cursor, rewind.stage);
        self.acks.or_insert_with(pattern.clone(), Default::default);
        match stage {
            _ if is_first => self.ask_for_cursor(pattern),
            Stage::Repeating { .. } if to_cursor => self.ask_for_cursor(pattern),
            Stage::Asked if to_cursor && is_other => self.ask_again(pattern),
            Stage::Flattening { .. } | Stage::Asked | Stage::Repeating { .. } | Stage::Checking => {
            }
        }
    }

    /// The last device that a subscription was durable for has left.
    pub fn handle_not_durable(&mut self, pattern: &Pattern) {
        self.send_last_acks(pattern);
        if let Some(subscription) = self.subscriptions.get_mut(pattern)
            && subscription.unname()
        {
            // Without the cursor, topics that only some subscribers have been sent must be sent again for all.
            self.ask_again(pattern);
        }
    }

    pub(super) fn ask_again(&mut self, pattern: &Pattern) {
        if let Some(subscription) = self.subscriptions.get_mut(pattern)
            && let Some(rewind) = &mut subscription.rewind
        {
            rewind.handle_asked(false);
            if self.may_ask() {
                self.resume(pattern);
            }
        }
    }

    /// Goes on to the cursor if the subscription should be durable; otherwise finishes.
    fn ask_for_cursor(&mut self, pattern: &Pattern) {
        let may_ask = self.may_ask();
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        if !subscription.has_name() {
            return self.finish(pattern);
        }
        let asks = may_ask && subscription.is_live();
        let rewind = subscription.rewind.get_or_insert_with(|| Rewind::new(true));
        if !rewind.to_cursor {
            *rewind = Rewind::new(true);
        }
        rewind.stage = if asks {
            Stage::Asked
        } else {
            Stage::Flattening { ping: None }
        };
        if asks {
            let frame = subscription.request_cursor(pattern);
            self.send(frame);
        }
    }

    /// Sends a ping over an open connection, and returns its number. [`ClientEvent::Answered`] with this number says
    /// that everything sent in response to earlier requests has arrived.
    pub fn handle_ping(&mut self) -> Option<u32> {
        self.ping()
    }

    pub(super) fn ping(&mut self) -> Option<u32> {
        if !self.is_open() {
            return None;
        }
        let State::Open(open) = &mut self.state else {
            return None;
        };
        open.pings = open.pings.wrapping_add(1);
        let ping = open.pings;
        self.send(ClientFrame::Ping);
        Some(ping)
    }

    pub(super) fn handle_pong(&mut self) {
        let State::Open(open) = &mut self.state else {
            return;
        };
        open.pongs = open.pongs.wrapping_add(1);
        let pong = open.pongs;
        let is_waiting = |(_, subscription): &(&Pattern, &Subscription<P>)| {
            let rewind = subscription.rewind.as_ref();
            rewind.is_some_and(|rewind| rewind.waits_for(pong))
        };
        let waiting = self.subscriptions.iter().find(is_waiting);
        if let Some(pattern) = waiting.map(|(pattern, _)| pattern.clone()) {
            self.handle_answered(&pattern);
        }
        self.output.push_back(ClientEvent::Answered { ping: pong });
    }

    /// The ping that a subscription waits for was answered.
    fn handle_answered(&mut self, pattern: &Pattern) {
        let State::Open(open) = self.state else {
            return;
        };
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        let is_live = subscription.is_live();
        let is_behind = subscription.awaits_repeats() || subscription.is_behind_joining();
        let Some(rewind) = &mut subscription.rewind else {
            return;
        };
        match rewind.stage {
            Stage::Repeating { .. } if is_behind && !rewind.to_cursor && open.is_stale => {
                rewind.stage = Stage::Repeating { ping: None };
            }
            Stage::Repeating { .. }
                if is_behind && !rewind.to_cursor && rewind.checked != Some(open.link) =>
            {
                self.ask_as_seen(pattern);
            }
            Stage::Flattening { .. } if is_live => self.ask_again(pattern),
            // Its first confirmation has yet to arrive.
            Stage::Flattening { .. } => rewind.stage = Stage::Flattening { ping: None },
            Stage::Repeating { .. } if rewind.to_cursor => self.finish(pattern),
            Stage::Repeating { .. } => self.ask_for_cursor(pattern),
            Stage::Asked | Stage::Checking => {}
        }
    }

    /// Going back is complete, unless a newcomer has joined meanwhile.
    fn finish(&mut self, pattern: &Pattern) {
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        if let Some(rewind) = &mut subscription.rewind
            && rewind.is_wanted
        {
            rewind.to_cursor = false;
            rewind.is_wanted = false;
            return self.ask_again(pattern);
        }
        let lost = subscription.end_rewind(pattern);
        let is_any_lost = !lost.is_empty();
        for (topic, seen) in lost {
            self.tell_of_loss(pattern, topic, seen);
        }
        self.output.push_back(ClientEvent::Rewound {
            pattern: pattern.clone(),
        });
        if is_any_lost {
            self.resume(pattern);
        }
    }

    /// The server has confirmed a subscription.
    pub(super) fn handle_confirmed(&mut self, pattern: &Pattern) {
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        let has_name = subscription.has_name();
        let Some(rewind) = &mut subscription.rewind else {
            return;
        };
        match rewind.stage {
            Stage::Flattening { ping: None } if rewind.to_cursor && has_name => {
                self.ask_for_cursor(pattern);
            }
            Stage::Flattening { ping: None } => {
                // If no device is left, it goes back as for any newcomer: the owner may request that before it is told
                // that this is over.
                rewind.to_cursor = false;
                self.flatten(pattern);
            }
            Stage::Asked => self.repeat(pattern),
            Stage::Checking => self.handle_checked(pattern),
            Stage::Flattening { ping: Some(_) } | Stage::Repeating { .. } => {}
        }
    }

    /// The topic of a subscription has ended. Returns whether a device has yet to be sent what follows its cursor.
    pub(super) fn goes_on_to_cursor(&mut self, pattern: &Pattern) -> bool {
        let Some(subscription) = self.subscriptions.get(pattern) else {
            return false;
        };
        let Some(rewind) = subscription.rewind.as_ref() else {
            return false;
        };
        let is_there = rewind.to_cursor && matches!(rewind.stage, Stage::Repeating { .. });
        if is_there || !subscription.has_name() {
            return false;
        }
        if !rewind.to_cursor {
            self.ask_for_cursor(pattern);
        }
        true
    }

    /// Waits until everything that the subscription starts with, or that is held back, has arrived.
    fn flatten(&mut self, pattern: &Pattern) {
        let ping = self.ping();
        if let Some(subscription) = self.subscriptions.get_mut(pattern)
            && let Some(rewind) = &mut subscription.rewind
        {
            rewind.stage = Stage::Flattening { ping };
        }
    }

    fn repeat(&mut self, pattern: &Pattern) {
        if let Some(ping) = self.ping()
            && let Some(subscription) = self.subscriptions.get_mut(pattern)
            && let Some(rewind) = &mut subscription.rewind
        {
            rewind.stage = Stage::Repeating { ping: Some(ping) };
            let (pattern, to_cursor) = (pattern.clone(), rewind.to_cursor);
            self.output
                .push_back(ClientEvent::Rewinding { pattern, to_cursor });
        }
    }
}
