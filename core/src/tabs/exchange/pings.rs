//! Members who ask for a sign that everything has come. Only the server can tell, so it is asked. To one who joins all has come once everybody is at the
//! same position, perhaps by another connection: until then it is not asked.

use super::Exchange;
use super::route::Place;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::tabs::message::TabId;

/// Who has sent a ping, and over which of its links, and which of this connection's asks for it; `None`, where it joins.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinged {
    member: TabId,
    link: u32,
    ping: Option<u32>,
}

impl<P: Payload + Clone> Exchange<P> {
    /// Asks the server for a sign of life. Its number, where there is a connection.
    pub(in crate::tabs) fn handle_ping(&mut self) -> Option<u32> {
        let ping = self.client.handle_ping();
        self.drain();
        ping
    }

    /// A member asks. What the server has not been asked for can't come, so without a connection the answer is here.
    pub(super) fn ping(&mut self, member: TabId) {
        let Some(link) = self.link_of(member) else {
            return;
        };
        let joins = self.joins(member);
        let ping = if joins {
            None
        } else {
            self.client.handle_ping()
        };
        if joins || ping.is_some() {
            self.pings.push(Pinged { member, link, ping });
        } else {
            self.one(member, ServerFrame::Pong);
        }
    }

    /// Asks for those who have joined since they have asked. Whether there is any.
    pub(super) fn release_pings(&mut self) -> bool {
        let is_over = |known: &Pinged| known.ping.is_none() && !self.joins(known.member);
        let Some(at) = self.pings.iter().position(is_over) else {
            return false;
        };
        let Pinged { member, link, .. } = self.pings.remove(at);
        if self.link_of(member) == Some(link) {
            self.ping(member);
        }
        true
    }

    /// Whether a member is given what comes again.
    fn joins(&self, member: TabId) -> bool {
        self.routes.values().any(|route| {
            let seat = route.seats.get(&member);
            seat.is_some_and(|seat| matches!(seat.place, Place::Joining(_)))
        })
    }

    /// The server has answered a ping.
    pub(super) fn handle_answered(&mut self, ping: u32) {
        self.answer(|known| known.ping == Some(ping));
    }

    /// The connection is lost, and nothing more comes of what was asked.
    pub(super) fn answer_pings(&mut self) {
        self.answer(|known| known.ping.is_some());
    }

    fn answer(&mut self, is_answered: impl Fn(&Pinged) -> bool) {
        let pings = core::mem::take(&mut self.pings);
        for known in pings {
            if !is_answered(&known) {
                self.pings.push(known);
            } else if self.link_of(known.member) == Some(known.link) {
                self.one(known.member, ServerFrame::Pong);
            }
        }
    }
}
