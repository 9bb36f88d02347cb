//! Members who ask for a sign that everything has come. Only the server can tell, so it is asked; where the connection is lost before it answers, by the
//! next one, over which the rest comes; once that has confirmed what the member follows, because a server may have to read first what it then
//! sends, and answers pings meanwhile. To one who joins all has come once everybody is at the same position: until then it is not asked.

use super::Exchange;
use super::route::Place;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::tabs::message::TabId;

/// Who has sent a ping, and over which of its links.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinged {
    member: TabId,
    link: u32,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// It joins.
    Joins,
    /// The server is asked by this ping.
    Asked(u32),
    /// The connection was lost before the server has answered, or before it has sent the rest.
    Lost,
}

impl<P: Payload + Clone> Exchange<P> {
    /// Asks the server for a sign of life. Its number, where there is a connection.
    pub(in crate::tabs) fn handle_ping(&mut self) -> Option<u32> {
        let ping = self.client.handle_ping();
        self.drain();
        ping
    }

    /// A member asks. Without a connection the answer is here where it follows nothing: of what it follows, the rest may have been
    /// lost with the connection after the server had confirmed it, and comes once the next one has.
    pub(super) fn ping(&mut self, member: TabId) {
        let Some(link) = self.link_of(member) else {
            return;
        };
        let stage = if self.joins(member) {
            Some(Stage::Joins)
        } else if self.awaits_rest(member) {
            Some(Stage::Lost)
        } else if let Some(ping) = self.client.handle_ping() {
            Some(Stage::Asked(ping))
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

    /// Asks for those who have joined since they have asked, or whose connection was lost, once there is another. Whether there is any.
    pub(super) fn release_pings(&mut self) -> bool {
        let is_over = |known: &Pinged| match known.stage {
            Stage::Joins => !self.joins(known.member),
            Stage::Asked(_) => false,
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

    /// Whether the server has confirmed something that a member follows by an earlier connection, and not by this one.
    fn awaits_rest(&self, member: TabId) -> bool {
        self.routes.iter().any(|(pattern, route)| {
            let is_followed = route.is_confirmed && route.seats.contains_key(&member);
            is_followed && !self.client.is_live(pattern)
        })
    }

    /// Whether the server has confirmed all that a member follows.
    fn is_confirmed(&self, member: TabId) -> bool {
        let routes = self.routes.iter();
        let mut followed = routes.filter(|(_, route)| route.seats.contains_key(&member));
        followed.all(|(pattern, _)| self.client.is_live(pattern))
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
        let is_answered = |known: &Pinged| known.stage == Stage::Asked(ping);
        while let Some(at) = self.pings.iter().position(is_answered) {
            let Pinged { member, link, .. } = self.pings.remove(at);
            if self.link_of(member) == Some(link) {
                self.one(member, ServerFrame::Pong);
            }
        }
    }

    /// The connection is lost: what was asked for before comes by the next one.
    pub(super) fn lose_pings(&mut self) {
        for known in &mut self.pings {
            if let Stage::Asked(_) = known.stage {
                known.stage = Stage::Lost;
            }
        }
    }
}
