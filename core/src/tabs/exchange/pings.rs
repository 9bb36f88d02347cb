//! Members who ask for a sign that everything has come. Only the server can tell, so it is asked.

use super::Exchange;
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::tabs::message::TabId;

/// Who has sent a ping, and over which of its links, and which of this connection's asks for it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pinged {
    member: TabId,
    link: u32,
    ping: u32,
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
        match (self.client.handle_ping(), self.link_of(member)) {
            (Some(ping), Some(link)) => self.pings.push(Pinged { member, link, ping }),
            (None, _) | (_, None) => self.one(member, ServerFrame::Pong),
        }
    }

    /// The server has answered a ping.
    pub(super) fn handle_answered(&mut self, ping: u32) {
        self.answer(|known| known.ping == ping);
    }

    /// The connection is lost, and nothing more comes of what was asked.
    pub(super) fn answer_pings(&mut self) {
        self.answer(|_| true);
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
