//! Handles what the servers push. Nothing here blocks.

use redis::{PushInfo, PushKind, Value};

use super::announcement;
use super::error::text;
use super::layout::Channel;
use super::link::{Link, lock};
use super::node::NodeName;
use crate::backend::BackendError;

/// On the command connection, nothing is expected but its end.
pub(super) fn on_command_connection(link: &Link, name: &NodeName, info: PushInfo) {
    if info.kind == PushKind::Disconnection {
        lost(link, name);
    }
}

/// Everything else arrives on the other connection.
pub(super) fn on_push_connection(link: &Link, name: &NodeName, info: PushInfo) {
    match (&info.kind, info.data.as_slice()) {
        (PushKind::Disconnection, _) => lost(link, name),
        (PushKind::Message | PushKind::SMessage, [channel, Value::BulkString(message)]) => {
            if let Some(channel) = text(channel) {
                link.handle_message(name, None, channel, message);
            }
        }
        (PushKind::PMessage, [glob, channel, Value::BulkString(message)]) => {
            if let (Some(glob), Some(channel)) = (text(glob), text(channel)) {
                link.handle_message(name, Some(glob), channel, message);
            }
        }
        (PushKind::Subscribe | PushKind::PSubscribe, [channel, ..]) => {
            link.raw_subscribed(name, text(channel).unwrap_or_default(), true);
        }
        (PushKind::Unsubscribe | PushKind::PUnsubscribe, [channel, ..]) => {
            link.raw_subscribed(name, text(channel).unwrap_or_default(), false);
        }
        (PushKind::SUnsubscribe, [channel, ..]) => {
            let channel = text(channel).unwrap_or_default();
            // We did not ask for it: the channel's slot has moved, and its messages with it.
            if !link.has_left(channel) {
                link.lose(BackendError::Unreachable {
                    backend: link.name().to_owned(),
                    reason: "slots have moved to another server".to_owned(),
                });
            }
        }
        _ => {}
    }
}

fn lost(link: &Link, name: &NodeName) {
    let place = if name.is_empty() { "the server" } else { name };
    link.lose(BackendError::Unreachable {
        backend: link.name().to_owned(),
        reason: format!("the connection to {place} was lost"),
    });
}

impl Link {
    /// Handles a message on a channel. `glob` is the subscription that it came by, if that was a glob.
    fn handle_message(&self, name: &NodeName, glob: Option<&str>, channel: &str, message: &[u8]) {
        // A glob for raw channels without a prefix may select our own channels, too, whose messages also arrive by
        // their own subscriptions.
        let is_own = glob.is_none_or(|glob| self.shared.layout.kind(glob) == Channel::Feed);
        match self.shared.layout.kind(channel) {
            Channel::Raw => self.handle_raw(name, glob, channel, message),
            Channel::Feed if is_own => self.handle_publication(channel, message),
            Channel::Probe if is_own => self.probes.handle_return(name, message),
            Channel::Taken if is_own => self.handle_notice(message),
            Channel::Broadcast if is_own => self.handle_broadcast(message),
            Channel::Feed | Channel::Probe | Channel::Taken | Channel::Broadcast => {}
        }
    }

    fn handle_publication(&self, channel: &str, message: &[u8]) {
        match announcement::publication(message) {
            Some(publication) => {
                if lock(&self.interest).wants(&publication.topic) {
                    self.announce(publication);
                }
            }
            None => {
                if self.first_unreadable() {
                    tracing::warn!(
                        backend = self.name(),
                        channel,
                        "a message can't be read; another program publishes on this namespace's channels, or another version of this one",
                    );
                }
                self.missed();
            }
        }
    }
}
