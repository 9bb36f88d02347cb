//! Where a stream stands, as the `id:` of its events.
//!
//! A stream of one topic has `epoch:offset`. One of several topics or of patterns has a position for each topic,
//! `topic=epoch:offset`, separated by spaces, because `Last-Event-ID` is all that a browser gives back.

use std::io::Write as _;

use tidegate_core::protocol::TopicPosition;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};

/// The most topics whose positions an id holds: those that published last. The others start with their
/// retained history again, which their positions tell apart.
const TOPICS_MAX: usize = 32;

/// The positions of a stream's topics, those that published last at the end.
pub(super) struct PositionId {
    single: Option<Topic>,
    positions: Vec<TopicPosition>,
}

impl PositionId {
    /// The id of a stream that starts.
    pub(super) fn new(patterns: &[Pattern]) -> Self {
        let single = match patterns {
            [pattern] => pattern.exact(),
            _ => None,
        };
        Self {
            single,
            positions: Vec::new(),
        }
    }

    /// Reads an id that a client gives back; `None` where it is not one of this stream's.
    pub(super) fn parse(text: &str, patterns: &[Pattern]) -> Option<Self> {
        let mut id = Self::new(patterns);
        match &id.single {
            Some(topic) => {
                let position = text.parse().ok()?;
                let topic = topic.clone();
                id.positions.push(TopicPosition { topic, position });
            }
            None => {
                for entry in text.split_ascii_whitespace().take(TOPICS_MAX) {
                    let (topic, position) = entry.rsplit_once('=')?;
                    id.positions.push(TopicPosition {
                        topic: Topic::new(topic).ok()?,
                        position: position.parse().ok()?,
                    });
                }
            }
        }
        Some(id)
    }

    pub(super) fn positions(&self) -> Vec<TopicPosition> {
        self.positions.clone()
    }

    /// A subscription stands; an exact one's topic has a position already.
    pub(super) fn begin(&mut self, pattern: &Pattern, position: Option<Position>) {
        if let (Some(topic), Some(position)) = (pattern.exact(), position)
            && position.offset == 0
        {
            self.advance(&topic, position);
        }
    }

    pub(super) fn advance(&mut self, topic: &Topic, position: Position) {
        self.forget(topic);
        if self.positions.len() == TOPICS_MAX {
            self.positions.remove(0);
        }
        self.positions.push(TopicPosition {
            topic: topic.clone(),
            position,
        });
    }

    pub(super) fn forget(&mut self, topic: &Topic) {
        self.positions.retain(|known| known.topic != *topic);
    }

    /// Appends one event. An event without an id would keep the last one, so each has its own.
    pub(super) fn write(&self, chunk: &mut Vec<u8>, event: Option<&str>, data: &[u8]) {
        if let Some(event) = event {
            chunk.extend_from_slice(b"event: ");
            chunk.extend_from_slice(event.as_bytes());
            chunk.push(b'\n');
        }
        if !self.positions.is_empty() {
            chunk.extend_from_slice(b"id: ");
            self.write_id(chunk);
            chunk.push(b'\n');
        }
        chunk.extend_from_slice(b"data: ");
        chunk.extend_from_slice(data);
        chunk.extend_from_slice(b"\n\n");
    }

    fn write_id(&self, chunk: &mut Vec<u8>) {
        for (index, known) in self.positions.iter().enumerate() {
            if index > 0 {
                chunk.push(b' ');
            }
            let written = match self.single {
                Some(_) => write!(chunk, "{}", known.position),
                None => write!(chunk, "{}={}", known.topic, known.position),
            };
            written.expect("a Vec takes every write");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(texts: &[&str]) -> Vec<Pattern> {
        texts
            .iter()
            .map(|text| Pattern::new(text).expect("valid"))
            .collect()
    }

    fn text(id: &PositionId) -> String {
        let mut chunk = Vec::new();
        id.write_id(&mut chunk);
        String::from_utf8(chunk).expect("text")
    }

    fn position(offset: u64) -> Position {
        Position { epoch: 7, offset }
    }

    #[test]
    fn one_topic_has_a_bare_position_and_several_are_named() {
        let topic = |name: &str| Topic::new(name).expect("valid");
        let mut single = PositionId::new(&patterns(&["a"]));
        single.advance(&topic("a"), position(3));
        assert_eq!(text(&single), "7:3");

        let several = patterns(&["a=b", "é:*"]);
        let mut id = PositionId::new(&several);
        id.advance(&topic("a=b"), position(1));
        id.advance(&topic("é:1"), position(2));
        id.advance(&topic("a=b"), position(4));
        assert_eq!(text(&id), "é:1=7:2 a=b=7:4");
        let read = PositionId::parse(&text(&id), &several).expect("our own id");
        assert_eq!(read.positions(), id.positions());
    }

    #[test]
    fn an_id_stays_short_and_keeps_those_that_published_last() {
        let mut id = PositionId::new(&patterns(&["**"]));
        for number in 0..1000 {
            id.advance(
                &Topic::new(&format!("t:{number}")).expect("valid"),
                position(number),
            );
        }
        assert_eq!(id.positions().len(), TOPICS_MAX);
        assert!(text(&id).ends_with("t:999=7:999"));
    }

    #[test]
    fn what_is_no_id_of_the_stream_is_ignored() {
        for (id, topics) in [
            ("x", &["a"][..]),
            ("a=7:1", &["a"]),
            ("7:1", &["a", "b"]),
            ("a b=7:1", &["**"]),
        ] {
            assert!(PositionId::parse(id, &patterns(topics)).is_none(), "{id:?}");
        }
    }
}
