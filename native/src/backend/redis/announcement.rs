//! Parses what is sent on channels and kept in streams.

use std::sync::Arc;

use redis::Value;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::{POSITION_MAX, Position, Publication as Published};
use tidegate_core::topic::Topic;

use super::error::text;
use crate::hub::Publication;
use crate::json::Json;

/// Reads `P <epoch> <offset> <end or -> <topic>`, a line end, and the payload as it was written.
pub(super) fn publication(message: &[u8]) -> Option<Publication> {
    let message = std::str::from_utf8(message).ok()?;
    let (header, payload) = message.split_once('\n')?;
    let mut words = header.split(' ');
    if words.next()? != "P" {
        return None;
    }
    let position = Position {
        epoch: number(words.next()?)?,
        offset: number(words.next()?)?,
    };
    let end = match words.next()? {
        "-" => None,
        word => Some(word.parse().ok()?),
    };
    let topic = Topic::new(words.next()?).ok()?;
    published(topic, position, payload, end)
}

/// Reads an entry of a topic's stream: `[id, [d, payload, e, end]]`.
pub(super) fn entry(topic: &Topic, epoch: u64, value: &Value) -> Option<Publication> {
    let Value::Array(entry) = value else {
        return None;
    };
    let [id, Value::Array(fields)] = entry.as_slice() else {
        return None;
    };
    let [_, payload, _, end] = fields.as_slice() else {
        return None;
    };
    let offset = number(text(id)?.strip_suffix("-0")?)?;
    let end = match text(end)? {
        "" => None,
        word => Some(word.parse().ok()?),
    };
    let position = Position { epoch, offset };
    published(topic.clone(), position, text(payload)?, end)
}

fn published(
    topic: Topic,
    position: Position,
    payload: &str,
    end: Option<EndReason>,
) -> Option<Publication> {
    Some(Arc::new(Published {
        topic,
        position,
        payload: Json::from_stored(payload).ok()?,
        end,
    }))
}

pub(super) fn number(digits: &str) -> Option<u64> {
    digits.parse().ok().filter(|value| *value <= POSITION_MAX)
}

/// A message on the channel of those that take in raw messages. A token is `<link>-<number>`.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Notice<'a> {
    /// `T <token> <mark> <scope>`: the holder of a lease took in a message, or refused it.
    Taken {
        link: u64,
        mark: u64,
        scope: &'a str,
    },
    /// `L <token> <scope>`: a lease has a new holder.
    Leased {
        link: u64,
        token: u64,
        scope: &'a str,
    },
}

pub(super) fn notice(message: &[u8]) -> Option<Notice<'_>> {
    let message = std::str::from_utf8(message).ok()?;
    let words: Vec<&str> = message.split(' ').collect();
    let hex = |digits: &str| u64::from_str_radix(digits, 16).ok();
    match words.as_slice() {
        ["T", token, mark, scope] => Some(Notice::Taken {
            link: hex(token.split_once('-')?.0)?,
            mark: hex(mark)?,
            scope,
        }),
        ["L", token, scope] => {
            let (link, token) = token.split_once('-')?;
            Some(Notice::Leased {
                link: hex(link)?,
                token: token.parse().ok()?,
                scope,
            })
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_publication_is_read_with_its_payload_as_it_was_written() {
        let read = publication(b"P 9007199254740991 7 failed job:\xc3\xa9\n{\"b\":1.0,\n \"a\":2}")
            .unwrap();
        assert_eq!(read.topic.as_str(), "job:é");
        assert_eq!(read.position.to_string(), "9007199254740991:7");
        assert_eq!(read.payload.as_str(), "{\"b\":1.0, \"a\":2}");
        assert_eq!(read.end, Some(EndReason::Failed));
    }

    #[test]
    fn what_is_no_publication_is_not_read() {
        for message in [
            "",
            "P 1 1 - a",
            "Q 1 1 - a\n1",
            "P 9007199254740992 1 - a\n1",
            "P 1 1 over a\n1",
            "P 1 1 - a:*\n1",
            "P 1 1 - a\n{",
        ] {
            assert!(publication(message.as_bytes()).is_none(), "{message:?}");
        }
    }

    #[test]
    fn notices_are_read() {
        let (link, scope) = (0x1f, "job:1");
        let taken = Notice::Taken {
            link,
            mark: 255,
            scope,
        };
        assert_eq!(notice(b"T 1f-3 ff job:1"), Some(taken));
        let leased = Notice::Leased {
            link,
            token: 3,
            scope,
        };
        assert_eq!(notice(b"L 1f-3 job:1"), Some(leased));
        assert_eq!(notice(b"T 1f-3 ff"), None);
    }
}
