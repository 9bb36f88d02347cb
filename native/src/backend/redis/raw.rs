//! Raw messages, as they arrive: which of them count, so that each is taken once, and what they contain.

use std::fmt;

use tidegate_core::topic::{Topic, TopicError};

use super::announcement::{Notice, notice};
use super::layout::{Channel, mark};
use super::link::{Link, lock};
use super::node::NodeName;
use super::taking::Raw;
use crate::json::{Json, JsonError};

/// Why a raw message is not taken in.
#[derive(Debug)]
pub(super) enum Refusal {
    Topic(TopicError),
    TooLarge { bytes: usize, bytes_max: usize },
    NoText,
    NoJson(JsonError),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Topic(error) => write!(f, "the channel names no topic: {error}"),
            Self::TooLarge { bytes, bytes_max } => {
                write!(f, "it has {bytes} bytes; at most {bytes_max} are allowed")
            }
            Self::NoText => write!(f, "it is not UTF-8; publish JSON"),
            Self::NoJson(error) => write!(f, "{error}; publish JSON, texts in quotes"),
        }
    }
}

impl Link {
    /// Handles a raw message on a channel.
    pub(super) fn handle_raw(
        &self,
        name: &NodeName,
        glob: Option<&str>,
        channel: &str,
        message: &[u8],
    ) {
        let Some(taking) = &self.taking else {
            return;
        };
        let (layout, prefix) = (&self.shared.layout, &self.shared.address.prefix);
        let Some(text) = channel.strip_prefix(prefix.as_str()) else {
            return;
        };
        let partition = layout.partition(text);
        // Every server of a Cluster delivers it. Only the delivery by the topic's owner counts, which determines the order.
        if layout.is_sharded() && !self.owns(name, partition) {
            return;
        }
        if prefix.is_empty() && glob.is_some_and(|glob| !self.comes_first(name, glob, channel)) {
            return;
        }
        match self.read_raw(text, message) {
            Ok(raw) => taking.raw(partition, mark(text, message), message.len(), raw),
            Err(refusal) => taking.refused_when_heard(partition, channel, &refusal),
        }
    }

    fn read_raw(&self, topic: &str, message: &[u8]) -> Result<Raw, Refusal> {
        let topic = Topic::new(topic).map_err(Refusal::Topic)?;
        let (bytes, bytes_max) = (message.len(), self.shared.keep.get().payload_bytes_max);
        if bytes > bytes_max {
            return Err(Refusal::TooLarge { bytes, bytes_max });
        }
        let text = std::str::from_utf8(message).map_err(|_| Refusal::NoText)?;
        let payload = Json::from_text(text).map_err(Refusal::NoJson)?;
        Ok(Raw { topic, payload })
    }

    /// If several subscriptions deliver a message on a channel, returns whether this glob's delivery is the one that counts.
    fn comes_first(&self, name: &NodeName, glob: &str, channel: &str) -> bool {
        let subscribed = lock(&self.raw);
        let is_exact = subscribed.contains(&(NodeName::clone(name), channel.to_owned()));
        let mut earlier = subscribed
            .range((NodeName::clone(name), String::new())..)
            .take_while(|(node, other)| node == name && other.as_str() < glob);
        !is_exact && !earlier.any(|(_, other)| selects(other, channel))
    }

    /// Notes a confirmation by a server, which comes in order with its other pushes.
    pub(super) fn raw_subscribed(&self, name: &NodeName, channel: &str, joined: bool) {
        if self.shared.layout.kind(channel) != Channel::Raw {
            return;
        }
        let entry = (NodeName::clone(name), channel.to_owned());
        if joined {
            lock(&self.raw).insert(entry);
        } else {
            lock(&self.raw).remove(&entry);
        }
    }

    /// Handles a notice for those that take in raw messages.
    pub(super) fn handle_notice(&self, message: &[u8]) {
        let Some(taking) = &self.taking else {
            return;
        };
        match notice(message) {
            Some(Notice::Taken { link, mark, scope }) if link != self.id => {
                taking.taken(scope, mark);
            }
            Some(Notice::Leased { link, token, scope }) if link == self.id => {
                taking.leased(scope, token);
            }
            Some(Notice::Taken { .. } | Notice::Leased { .. }) | None => {}
        }
    }
}

/// Whether one of our globs, which consist of escaped letters and `*`, selects a channel.
fn selects(glob: &str, channel: &str) -> bool {
    let mut letters = glob.chars();
    match letters.next() {
        None => channel.is_empty(),
        Some('*') => {
            let rest = letters.as_str();
            let mut tails = channel.char_indices().map(|(at, _)| &channel[at..]);
            rest.is_empty() || tails.any(|tail| selects(rest, tail)) || selects(rest, "")
        }
        Some('\\') => {
            let literal = letters.next();
            let tail = literal.and_then(|literal| channel.strip_prefix(literal));
            tail.is_some_and(|tail| selects(letters.as_str(), tail))
        }
        Some(literal) => channel
            .strip_prefix(literal)
            .is_some_and(|tail| selects(letters.as_str(), tail)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_select_as_the_server_does() {
        for (glob, channel, expected) in [
            ("a:*", "a:b:c", true),
            ("a:*", "a:", true),
            ("a:*:c", "a:b:b:c", true),
            ("a:*:c", "a:c", false),
            (r"a\*:*", "a*:1", true),
            (r"a\*:*", "ab:1", false),
            ("é", "é", true),
            ("a", "ab", false),
        ] {
            assert_eq!(selects(glob, channel), expected, "{glob} {channel}");
        }
    }
}
