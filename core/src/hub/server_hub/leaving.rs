//! Sending clients to other servers when this one shuts down, spread over some time.

use core::time::Duration;

use alloc::vec::Vec;

use super::connection::Local;
use super::{ConnectionId, Downlink, ServerHub, ServerOutput};
use crate::limits::DRAIN_PER_CONNECTION;
use crate::payload::Payload;
use crate::session::CloseReason;
use crate::time::Instant;

impl<P: Payload + Clone> ServerHub<P> {
    /// The server is shutting down: every client is told to leave within a window, which is longer the more clients
    /// there are, and its connection is closed after a grace period. New clients are sent away at once.
    pub fn handle_drain(&mut self, now: Instant) {
        self.is_draining = true;
        self.flush_durables(now);
        let window = self.drain_window();
        let ids: Vec<ConnectionId> = self.ids().collect();
        for id in ids {
            self.with_session(now, id, |session| session.handle_drain(now, window));
            self.send_guest_away(now, id, window);
        }
    }

    /// Marks a local connection as being on behalf of a client that can't be told to leave, such as a browser's event
    /// stream. When the server drains, it is closed at a random time within the window.
    pub fn handle_guest(&mut self, now: Instant, id: ConnectionId) {
        if self.find(id).is_none() {
            return;
        }
        if let Downlink::Local(local) = &mut self.connections[id.index as usize].downlink {
            local.is_guest = true;
        }
        if self.is_draining {
            self.send_guest_away(now, id, Duration::ZERO);
        }
    }

    /// Returns whether there are clients to send away. Subscribers within the process don't count; they last as long as
    /// the hub.
    pub fn has_clients(&self) -> bool {
        let mut connections = self.connections.iter();
        connections.any(|(_, connection)| match &connection.downlink {
            Downlink::Session(_) => true,
            Downlink::Local(local) => local.is_guest,
        })
    }

    fn drain_window(&self) -> Duration {
        let count = u32::try_from(self.connections.len()).unwrap_or(u32::MAX);
        let needed = DRAIN_PER_CONNECTION.saturating_mul(count);
        needed.min(self.config.session.drain_window)
    }

    fn send_guest_away(&mut self, now: Instant, id: ConnectionId, window: Duration) {
        if let Downlink::Local(Local { is_guest: true, .. }) =
            &self.connections[id.index as usize].downlink
        {
            let micros = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
            let wait = Duration::from_micros(self.random.up_to(micros));
            self.timers.arm(id.index, now + wait);
        }
    }

    /// Closes a guest's connection, now that its time within the drain window has come.
    pub(super) fn leave_if_guest(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(id.index as usize);
        if let Some(Downlink::Local(local)) = connection.map(|connection| &mut connection.downlink)
            && local.is_guest
            && !local.is_ending
        {
            local.is_ending = true;
            self.output
                .push_back(ServerOutput::Close(id, CloseReason::Drained));
        }
    }
}
