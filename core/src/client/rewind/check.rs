//! What does not come again: a server that has lost its link to the backend is waited for, and any other is made to look
//! for it.

use super::{Client, Stage, State, Subscription};
use crate::payload::Payload;
use crate::topic::Pattern;

impl<P: Payload + Clone> Client<P> {
    /// Asks from what was seen, so that a server that knows less looks for the rest before it answers.
    pub(super) fn ask_as_seen(&mut self, pattern: &Pattern) {
        if let Some(subscription) = self.subscriptions.get_mut(pattern)
            && let Some(rewind) = &mut subscription.rewind
        {
            rewind.stage = Stage::Checking;
            let request = subscription.request_as_seen(pattern);
            self.replace(pattern, request);
        }
    }

    /// The server has looked for what did not come again, so it comes now, or never. What the server says about it here
    /// doesn't matter: it says so again.
    pub(super) fn handle_checked(&mut self, pattern: &Pattern) {
        let link = self.link();
        if let Some(subscription) = self.subscriptions.get_mut(pattern)
            && let Some(rewind) = &mut subscription.rewind
        {
            rewind.checked = link;
        }
        self.ask_again(pattern);
    }

    const fn link(&self) -> Option<u32> {
        match self.state {
            State::Open(open) => Some(open.link),
            State::Idle { .. }
            | State::Waiting { .. }
            | State::Asking { .. }
            | State::Opening { .. }
            | State::Closed => None,
        }
    }

    /// The server has its link back, and has sent what it had missed: whatever has not been repeated by now never will
    /// be.
    pub(in crate::client) fn repeat_overdue(&mut self) {
        let is_overdue = |(_, subscription): &(&Pattern, &Subscription<P>)| {
            let stage = subscription.rewind.as_ref().map(|rewind| rewind.stage);
            stage == Some(Stage::Repeating { ping: None })
        };
        loop {
            let overdue = self.subscriptions.iter().find(is_overdue);
            let Some(pattern) = overdue.map(|(pattern, _)| pattern.clone()) else {
                return;
            };
            let Some(ping) = self.ping() else {
                return;
            };
            let link = self.link();
            if let Some(subscription) = self.subscriptions.get_mut(&pattern)
                && let Some(rewind) = &mut subscription.rewind
            {
                rewind.stage = Stage::Repeating { ping: Some(ping) };
                rewind.checked = link;
            }
        }
    }
}
