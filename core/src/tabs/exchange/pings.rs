//! Pings of members, which ask whether everything has arrived. Only the server can tell, so it is asked. If the
//! connection is lost before it answers, the next connection is asked, once that has confirmed everything that the
//! member follows: a server may have to read the rest from the backend first, and answers pings meanwhile. For a member
//! that is joining, the server is asked only when all members are at the same position.

use super::Exchange;
use super::route::Place;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::tabs::message::TabId;

/// A member's ping, and the link over which it came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinged {
    member: TabId,
    link: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// The member is joining.
    Joins,
    /// The server was asked with this ping.
    Sent(u32),
    /// The connection was lost before the server answered, or before it sent the rest.
    Lost,
}

impl<P: Payload + Clone> Exchange<P> {
    /// Asks the server for a sign of life. Returns the ping's number if there is a connection.
    pub(in crate::tabs) fn handle_ping(&mut self) -> Option<u32> {
        let ping = self.client.handle_ping();
        self.drain();
        ping
    }

    /// A member pings. Without a connection, it is answered here if it follows nothing. If it follows something, the
    /// rest may have been lost with the connection after the server had confirmed it, and arrives once the next
    /// connection has confirmed it.
    pub(super) fn ping(&mut self, member: TabId) {
        let Some(link) = self.link_of(member) else {
            return;
        };
        let stage = if self.joins(member) {
            Some(Stage::Joins)
        } else if self.awaits_rest(member) {
            Some(Stage::Lost)
        } else if let Some(ping) = self.client.handle_ping() {
            Some(Stage::Sent(ping))
        } else {
            (!self.is_confirmed(member)).then_some(Stage::Lost)
        };
        match stage {
            Some(stage) => self.pings.push(Pinged {
                member,
                link,
                stage,
            }),
            None => self.one(member, ServerFrame::Pong),
        }
    }

    /// Takes up a waiting ping whose member has finished joining, or whose connection has been replaced. Returns
    /// whether there was one.
    pub(super) fn release_pings(&mut self) -> bool {
        let is_over = |known: &Pinged| match known.stage {
            Stage::Joins => !self.joins(known.member),
            Stage::Sent(_) => false,
            Stage::Lost => self.client.is_open() && self.is_confirmed(known.member),
        };
        let Some(at) = self.pings.iter().position(is_over) else {
            return false;
        };
        let Pinged { member, link, .. } = self.pings.remove(at);
        if self.link_of(member) == Some(link) {
            self.ping(member);
        }
        true
    }

    /// Returns whether the server has confirmed something that a member follows on an earlier connection, but not on
    /// this one.
    fn awaits_rest(&self, member: TabId) -> bool {
        self.routes.iter().any(|(pattern, route)| {
            let is_followed = route.is_confirmed && route.seats.contains_key(&member);
            is_followed && !self.client.is_live(pattern)
        })
    }

    /// Returns whether the server has confirmed everything that a member follows.
    fn is_confirmed(&self, member: TabId) -> bool {
        let routes = self.routes.iter();
        let mut followed = routes.filter(|(_, route)| route.seats.contains_key(&member));
        followed.all(|(pattern, _)| self.client.is_live(pattern))
    }

    /// Returns whether a member is joining.
    fn joins(&self, member: TabId) -> bool {
        self.routes.values().any(|route| {
            let seat = route.seats.get(&member);
            seat.is_some_and(|seat| matches!(seat.place, Place::Joining(_)))
        })
    }

    /// The server has answered a ping.
    pub(super) fn handle_answered(&mut self, ping: u32) {
        let is_answered = |known: &Pinged| known.stage == Stage::Sent(ping);
        while let Some(at) = self.pings.iter().position(is_answered) {
            let Pinged { member, link, .. } = self.pings.remove(at);
            if self.link_of(member) == Some(link) {
                self.one(member, ServerFrame::Pong);
            }
        }
    }

    /// The connection is lost: whatever is missing arrives over the next one.
    pub(super) fn lose_pings(&mut self) {
        for known in &mut self.pings {
            if let Stage::Sent(_) = known.stage {
                known.stage = Stage::Lost;
            }
        }
    }
}
