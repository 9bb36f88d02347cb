//! Going back: what a subscription has seen last of each topic comes once more.
//!
//! Whoever joins others of one client starts with the latest values, and these may not be at hand: a server that adds values up
//! for the others never sent them, and who resumed and was up to date was sent none. So the subscription is made anew, from one
//! publication before what was seen, or from where those who have joined are; what comes again is told apart from what is new.
//! Where the server no longer keeps what one of them misses, that one is content with what was seen last: the others must not be told
//! of a loss for its sake.
//!
//! What the server holds back for the others must not be lost by that: its history may be shorter. So the owner asks for every
//! publication at once first, and the subscription is left when the server has answered a ping that came after: whatever
//! was held back has come by then. A second ping tells when all has come again.
//!
//! ```text
//!                 ping answered              confirmed               ping answered
//!   Flattening ────────────────▶ Asked ────────────────▶ Repeating ───────────────▶ over
//!       │  lost, and confirmed     ▲ ▲  lost, another one joins │
//!       └──────────────────────────┘ └──────────────────────────┘
//! ```

use super::{Client, ClientEvent, State, Subscription};
use crate::joining::matching;
use crate::ordered::OrderedMap;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, Start};
use crate::publication::Position;
use crate::topic::{Pattern, Topic};

use alloc::vec::Vec;

/// How far a subscription has come with going back.
#[derive(Debug)]
pub(super) struct Rewind {
    stage: Stage,
    /// Where those who have joined and know something start.
    starts: Vec<OrderedMap<Topic, Position>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// What the server holds back, or starts with, is to come first: all of it has when this ping is answered. Where there is none, the
    /// subscription is to be confirmed before.
    Flattening { ping: Option<u32> },
    /// It is asked for anew, or will be by the next connection.
    Asked,
    /// What was seen comes again, until this ping is answered.
    Repeating { ping: u32 },
}

impl Rewind {
    const fn new(ping: Option<u32>) -> Self {
        Self {
            stage: Stage::Flattening { ping },
            starts: Vec::new(),
        }
    }

    pub(super) const fn is_repeating(&self) -> bool {
        matches!(self.stage, Stage::Repeating { .. })
    }

    /// The topics that those who have joined know something of, each once.
    pub(super) fn known(&self) -> impl Iterator<Item = &Topic> {
        let starts = self.starts.iter().enumerate();
        starts.flat_map(|(number, known)| {
            let earlier = &self.starts[..number];
            let is_new =
                move |topic: &&Topic| earlier.iter().all(|known| !known.contains_key(topic));
            known.keys().filter(is_new)
        })
    }

    /// After which position a topic is asked for, of which `seen` was seen last; `None`: from its beginning.
    pub(super) fn after(
        &self,
        pattern: &Pattern,
        topic: &Topic,
        seen: Option<Position>,
    ) -> Option<Position> {
        let mut after = seen.map(|seen| Position {
            offset: seen.offset.saturating_sub(1),
            ..seen
        });
        for known in &self.starts {
            let Some(known) = known.get(topic).copied() else {
                if pattern.is_exact() {
                    continue;
                }
                return None;
            };
            let offset = known.offset;
            after = match after {
                Some(after) if known.epoch == after.epoch || offset == 0 => Some(Position {
                    offset: after.offset.min(offset),
                    ..after
                }),
                Some(after) => Some(after),
                None => (offset > 0).then_some(known),
            };
        }
        after
    }

    /// The server says that something of a topic is lost, of which `seen` was seen. Whether that may be for the sake of one who has joined: the
    /// one who is furthest behind is content with what was seen last from here on.
    pub(super) fn handle_reset(&mut self, topic: &Topic, seen: Position) -> bool {
        let behind = |known: &OrderedMap<Topic, Position>| match known.get(topic) {
            Some(known) if known.epoch == seen.epoch || known.offset == 0 => known.offset,
            Some(_) => seen.offset,
            None => 0,
        };
        if !self.is_repeating() {
            return false;
        }
        let starts = self.starts.iter().enumerate();
        let Some((number, _)) = starts.min_by_key(|(_, known)| behind(known)) else {
            return false;
        };
        self.starts.remove(number);
        true
    }

    /// The subscription is asked for anew, from before what was seen.
    pub(super) const fn handle_asked(&mut self) {
        self.stage = Stage::Asked;
    }

    /// The connection is lost, and with it what the server held back.
    pub(super) const fn handle_lost(&mut self) {
        self.stage = match self.stage {
            Stage::Flattening { .. } => Stage::Flattening { ping: None },
            Stage::Asked | Stage::Repeating { .. } => Stage::Asked,
        };
    }

    fn waits_for(&self, pong: u32) -> bool {
        match self.stage {
            Stage::Flattening { ping } => ping == Some(pong),
            Stage::Repeating { ping } => ping == pong,
            Stage::Asked => false,
        }
    }
}

impl<P: Payload + Clone> Client<P> {
    /// Goes back to before what was seen last of each topic of a subscription, for somebody who has joined and starts so. Every
    /// publication at once was asked for before. What comes of it is told by [`ClientEvent::Rewinding`], [`ClientEvent::Repeat`] and
    /// [`ClientEvent::Rewound`].
    pub fn handle_rewind(&mut self, pattern: &Pattern, start: &Start) {
        let is_under_way = match self.subscriptions.get(pattern) {
            Some(subscription) => subscription.rewind.is_some(),
            None => return,
        };
        let ping = if is_under_way { None } else { self.ping() };
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        let rewind = subscription.rewind.get_or_insert_with(|| Rewind::new(ping));
        if let Start::Since(since) = start {
            rewind.starts.push(matching(pattern, since));
        }
        if !matches!(rewind.stage, Stage::Flattening { .. }) {
            self.ask_again(pattern);
        }
    }

    pub(super) fn ask_again(&mut self, pattern: &Pattern) {
        if let Some(subscription) = self.subscriptions.get_mut(pattern)
            && let Some(rewind) = &mut subscription.rewind
        {
            rewind.handle_asked();
            if self.may_ask() {
                self.resume(pattern);
            }
        }
    }

    /// Sends a ping over an open connection. Returns its number, by which [`ClientEvent::Answered`] tells that everything has come that was sent
    /// because of what was asked before.
    pub fn handle_ping(&mut self) -> Option<u32> {
        self.ping()
    }

    pub(super) fn ping(&mut self) -> Option<u32> {
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
        let Some(subscription) = self.subscriptions.get_mut(pattern) else {
            return;
        };
        let is_live = subscription.is_live();
        let Some(rewind) = &mut subscription.rewind else {
            return;
        };
        match rewind.stage {
            Stage::Flattening { .. } if is_live => self.ask_again(pattern),
            // Its first confirmation is still to come.
            Stage::Flattening { .. } => rewind.stage = Stage::Flattening { ping: None },
            Stage::Repeating { .. } => {
                subscription.rewind = None;
                let pattern = pattern.clone();
                self.output.push_back(ClientEvent::Rewound { pattern });
            }
            Stage::Asked => {}
        }
    }

    /// The server has confirmed a subscription.
    pub(super) fn handle_confirmed(&mut self, pattern: &Pattern) {
        let subscription = self.subscriptions.get(pattern);
        let rewind = subscription.and_then(|subscription| subscription.rewind.as_ref());
        match rewind.map(|rewind| rewind.stage) {
            Some(Stage::Flattening { ping: None }) => self.flatten(pattern),
            Some(Stage::Asked) => self.repeat(pattern),
            Some(Stage::Flattening { ping: Some(_) } | Stage::Repeating { .. }) | None => {}
        }
    }

    /// What the subscription starts with is to come first.
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
            rewind.stage = Stage::Repeating { ping };
            let pattern = pattern.clone();
            self.output.push_back(ClientEvent::Rewinding { pattern });
        }
    }
}
