//! A client's durable subscriptions: what was processed is acknowledged to the server, several publications at a time.

use alloc::vec::Vec;

use super::{Client, Subscription};
use crate::payload::Payload;
use crate::protocol::ClientFrame;
use crate::publication::Position;
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

impl<P: Payload + Clone> Client<P> {
    /// Everything of a topic up to this position that a durable subscription delivered has been processed. The server
    /// remembers this for later connections and clients.
    pub fn handle_handled(
        &mut self,
        now: Instant,
        pattern: &Pattern,
        topic: &Topic,
        position: Position,
    ) {
        if let Some(acks) = self.acks.get_mut(pattern) {
            acks.handle(now, topic, position);
            self.send_acks(now);
        }
    }

    /// The program may not go on, such as a page that is left or frozen: what has been processed is acknowledged now.
    pub fn handle_pause(&mut self, now: Instant) {
        for (_, acks) in self.acks.iter_mut() {
            acks.hurry(now);
        }
        self.send_acks(now);
    }

    /// Ends a durable subscription and deletes the server's cursor. Without a connection, the server is not told.
    pub fn handle_forget(&mut self, pattern: &Pattern) {
        if self.acks.remove(pattern).is_some()
            && self.subscriptions.remove(pattern).is_some()
            && self.is_open()
        {
            self.leave(pattern);
            let pattern = pattern.clone();
            self.send(ClientFrame::Forget { pattern });
        }
    }

    /// Sends acknowledgements that are due. Those of a subscription that the server has not confirmed wait until it
    /// has.
    pub(super) fn send_acks(&mut self, now: Instant) {
        if !self.is_open() {
            return;
        }
        let Self {
            acks,
            subscriptions,
            output,
            ..
        } = self;
        for (pattern, acks) in acks.iter_mut() {
            let subscription = subscriptions.get(pattern);
            // One that has ended with its topic can still be acknowledged.
            if subscription.is_none_or(Subscription::takes_acks)
                && let Some(positions) = acks.take_due(now)
            {
                let pattern = pattern.clone();
                let frame = ClientFrame::Ack { pattern, positions };
                output.push_back(super::ClientEvent::Send(frame));
            }
        }
        acks.retain(|_, acks| !acks.is_over());
    }

    /// A subscription has ended with its topic, whose last publication may not have been processed yet.
    pub(super) fn end_acks(&mut self, now: Instant, pattern: &Pattern, last: Option<Position>) {
        if let (Some(acks), Some(last)) = (self.acks.get_mut(pattern), last) {
            acks.end(now, last);
            self.send_acks(now);
        }
    }

    /// Sends the outstanding acknowledgements of a subscription that ends.
    pub(super) fn send_last_acks(&mut self, pattern: &Pattern) {
        let Some(mut acks) = self.acks.remove(pattern) else {
            return;
        };
        let subscription = self.subscriptions.get(pattern);
        if self.is_open()
            && subscription.is_none_or(Subscription::takes_acks)
            && let Some(positions) = acks.take()
        {
            let pattern = pattern.clone();
            self.send(ClientFrame::Ack { pattern, positions });
        }
    }

    /// Sends all outstanding acknowledgements before the connection is closed.
    pub(super) fn send_all_last_acks(&mut self) {
        let patterns: Vec<Pattern> = self.acks.keys().cloned().collect();
        for pattern in patterns {
            self.send_last_acks(&pattern);
        }
    }

    /// When the next acknowledgement has to be sent over the current connection.
    pub(super) fn acks_due_at(&self) -> Option<Instant> {
        let acks = self.acks.iter().filter(|(pattern, _)| {
            let subscription = self.subscriptions.get(pattern);
            subscription.is_none_or(Subscription::takes_acks)
        });
        acks.filter_map(|(_, acks)| acks.due_at()).min()
    }
}
