//! Connections that are sent deltas instead of complete values.

use alloc::boxed::Box;

use super::{Connection, ConnectionId, Downlink, ServerHub};
use crate::delta::{Bases, Deltas};
use crate::payload::Payload;
use crate::protocol::ServerFrame;
use crate::topic::Pattern;

impl<P: Payload + Clone> Connection<P> {
    /// Turns a frame into what is sent: a delta, if the subscription asked for them. Local connections always get
    /// complete values.
    pub(super) fn send(&mut self, deltas: &mut Deltas<P>, frame: ServerFrame<P>) -> ServerFrame<P> {
        let begins = matches!(&frame, ServerFrame::Subscribed { flow, .. } if flow.delta);
        if begins && matches!(self.downlink, Downlink::Session(_)) {
            self.bases.get_or_insert_with(|| Box::new(Bases::new()));
        }
        match &mut self.bases {
            Some(bases) => bases.send(deltas, frame),
            None => frame,
        }
    }
}

impl<P: Payload + Clone> ServerHub<P> {
    /// Starts or stops deltas for a session's subscription.
    pub(super) fn set_delta(&mut self, id: ConnectionId, pattern: &Pattern, is_delta: bool) {
        let bases = &mut self.connections[id.index as usize].bases;
        if is_delta {
            bases.get_or_insert_with(|| Box::new(Bases::new()));
        }
        if let Some(known) = bases {
            known.set(pattern, is_delta);
            if known.is_empty() {
                *bases = None;
            }
        }
    }
}
