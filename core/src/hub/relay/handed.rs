//! Publications that a host has handed on by licence: see `hub/licence.rs`.

use alloc::sync::Arc;

use super::Relay;
use crate::payload::Payload;
use crate::publication::Publication;
use crate::topic::Pattern;

impl<P: Payload> Relay<P> {
    /// Returns whether every subscriber of `pattern` gets each publication at once.
    pub(in crate::hub) fn hands_on_at_once(&self, pattern: &Pattern) -> bool {
        self.routes.get(pattern).is_some_and(|route| {
            let mut ids = route.subscribers.iter();
            route.joining.is_empty() && !ids.any(|(id, _)| self.subscribers.is_gated(id.index()))
        })
    }

    /// The publications up to this one, without a gap, were handed to all subscribers of `pattern`.
    pub(in crate::hub) fn handle_handed(
        &mut self,
        pattern: &Pattern,
        publication: &Arc<Publication<P>>,
    ) {
        if let Some(route) = self.routes.get_mut(pattern) {
            route.keep(publication);
        }
    }
}
