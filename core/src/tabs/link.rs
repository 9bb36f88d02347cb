//! The link from the tab's own hub to the leader; to a tab that is alone, it is like a socket.

use super::Tabs;
use super::message::Body;
use super::output::TabsOutput;
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ServerFrame};
use crate::time::Instant;

/// The link from the tab's own hub to the leader.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    pub(super) number: u32,
    pub(super) phase: Phase,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Waiting for a leader.
    Wanted,
    Joining,
    Open,
}

impl<P: Payload + Clone, const LEADS: bool> Tabs<P, LEADS> {
    /// The tab's hub opens a link.
    pub fn handle_connect(&mut self, now: Instant, link: u32) {
        self.link = Some(Link {
            number: link,
            phase: Phase::Wanted,
        });
        self.join(now);
        self.drain(now);
    }

    /// The tab's hub closes a link.
    pub fn handle_disconnect(&mut self, link: u32) {
        self.link.take_if(|known| known.number == link);
    }

    /// The tab's hub sends a frame over its link.
    pub fn handle_send(&mut self, now: Instant, frame: ClientFrame<P>) {
        let Some(Link {
            number: link,
            phase: Phase::Open,
        }) = self.link
        else {
            return;
        };
        if self.leading.is_some() {
            self.handle_up(now, self.config.tab, link, frame);
            self.drain(now);
        } else {
            self.post(Some(self.top.tab), Body::Up { link, frame });
        }
    }

    /// Asks the leader to connect the tab's hub, if a link is wanted and there is a leader.
    pub(super) fn join(&mut self, now: Instant) {
        let Some(link) = &mut self.link else { return };
        if link.phase != Phase::Wanted || self.leader.is_none() {
            return;
        }
        let number = link.number;
        if let Some(leading) = self.leading.as_mut() {
            link.phase = Phase::Open;
            leading.exchange.handle_open(now, self.config.tab, number);
            self.output.push_back(TabsOutput::Opened { link: number });
            self.drain_exchange();
        } else {
            link.phase = Phase::Joining;
            self.post(Some(self.top.tab), Body::Join { link: number });
        }
    }

    /// The leader is gone: closes the link. One that was never open waits for the next leader.
    pub(super) fn close_link(&mut self) {
        let Some(link) = &mut self.link else { return };
        match link.phase {
            Phase::Wanted => {}
            Phase::Joining => link.phase = Phase::Wanted,
            Phase::Open => {
                let link = link.number;
                self.link = None;
                self.output.push_back(TabsOutput::Closed { link });
            }
        }
    }

    pub(super) fn hand_down(&mut self, frame: ServerFrame<P>) {
        if let Some(Link {
            number: link,
            phase: Phase::Open,
        }) = self.link
        {
            self.output.push_back(TabsOutput::Frame { link, frame });
        }
    }
}
