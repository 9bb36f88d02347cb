//! The position of a stream, as the `id:` of its events.
//!
//! A stream of one topic has the id `epoch:offset`. A stream of several topics or of patterns has a position for each topic,
//! `topic=epoch:offset`, separated by spaces, because `Last-Event-ID` is all that a browser sends back. Before it has delivered anything,
//! the id is `-`: without an id to send back, a browser would start anew and miss what was published meanwhile.

use std::io::Write as _;

use tidegate_core::protocol::TopicPosition;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};

/// The most topics whose positions an id contains: those that published last. The others start with their retained history again; clients
/// recognise repetitions by their positions.
const TOPICS_MAX: usize = 32;

/// The id of several topics before anything was delivered. It can't be the name of a topic, because entries with names contain a `=`.
const NOTHING_SEEN: &str = "-";

/// What a stream starts with in topics that its id doesn't contain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beginning {
    /// The latest value, which has yet to be delivered.
    Latest,
    /// What is published from then on.
    New,
    /// What its device has not processed. The server remembers that position, and takes the id that is sent back as processed.
    Device,
}

/// The positions of a stream's topics.
pub(crate) enum PositionId {
    /// The position of the only topic, once it has one.
    One(Topic, Option<Position>),
    /// The positions of several topics. The one that published last is at the end.
    Several(Vec<TopicPosition>),
}

impl PositionId {
    /// The id of a stream that starts.
    pub(crate) fn new(patterns: &[Pattern]) -> Self {
        let single = match patterns {
            [pattern] => pattern.exact(),
            _ => None,
        };
        match single {
            Some(topic) => Self::One(topic, None),
            None => Self::Several(Vec::new()),
        }
    }

    /// Reads an id that a client sends back; `None` if it is not one for this stream.
    pub(crate) fn parse(text: &str, patterns: &[Pattern]) -> Option<Self> {
        let mut id = Self::new(patterns);
        match &mut id {
            Self::One(_, position) => *position = Some(text.parse().ok()?),
            Self::Several(_) if text == NOTHING_SEEN => {}
            Self::Several(positions) => {
                for entry in text.split_ascii_whitespace().take(TOPICS_MAX) {
                    let (topic, position) = entry.rsplit_once('=')?;
                    positions.push(TopicPosition {
                        topic: Topic::new(topic).ok()?,
                        position: position.parse().ok()?,
                    });
                }
            }
        }
        Some(id)
    }

    pub(crate) fn positions(&self) -> Vec<TopicPosition> {
        match self {
            Self::One(topic, position) => {
                let topic = topic.clone();
                let known = position.map(|position| TopicPosition { topic, position });
                known.into_iter().collect()
            }
            Self::Several(positions) => positions.clone(),
        }
    }

    /// Notes that a subscription is confirmed. The topic of an exact one then has a position.
    pub(super) fn begin(
        &mut self,
        pattern: &Pattern,
        position: Option<Position>,
        beginning: Beginning,
    ) {
        let (Some(topic), Some(mut position)) = (pattern.exact(), position) else {
            return;
        };
        if self.knows(&topic) {
            return;
        }
        match beginning {
            // A client that resumes from here has not received the latest value.
            Beginning::Latest => position.offset = position.offset.saturating_sub(1),
            Beginning::Device if position.offset > 0 => return,
            Beginning::New | Beginning::Device => {}
        }
        self.advance(&topic, position);
    }

    fn knows(&self, topic: &Topic) -> bool {
        match self {
            Self::One(_, position) => position.is_some(),
            Self::Several(positions) => positions.iter().any(|known| known.topic == *topic),
        }
    }

    pub(crate) fn advance(&mut self, topic: &Topic, position: Position) {
        match self {
            Self::One(_, known) => *known = Some(position),
            Self::Several(positions) => {
                positions.retain(|known| known.topic != *topic);
                if positions.len() == TOPICS_MAX {
                    positions.remove(0);
                }
                positions.push(TopicPosition {
                    topic: topic.clone(),
                    position,
                });
            }
        }
    }

    pub(super) fn forget(&mut self, topic: &Topic) {
        match self {
            Self::One(_, known) => *known = None,
            Self::Several(positions) => positions.retain(|known| known.topic != *topic),
        }
    }

    /// Appends the `id:` line of an event, if there is anything to resume from.
    pub(super) fn write_line(&self, out: &mut Vec<u8>) {
        if !self.is_empty() {
            out.extend_from_slice(b"id: ");
            self.write(out);
            out.push(b'\n');
        }
    }

    /// Appends a block that is not an event, and from which a reader can resume that has received none.
    pub(super) fn write_beginning(&self, out: &mut Vec<u8>, beginning: Beginning) {
        let may_start_over = matches!(self, Self::Several(_)) && beginning != Beginning::Device;
        if self.is_empty() && may_start_over {
            write!(out, "id: {NOTHING_SEEN}\n\n").expect("a Vec takes every write");
        } else if !self.is_empty() {
            self.write_line(out);
            out.push(b'\n');
        }
    }

    const fn is_empty(&self) -> bool {
        match self {
            Self::One(_, position) => position.is_none(),
            Self::Several(positions) => positions.is_empty(),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::One(_, position) => {
                if let Some(position) = position {
                    write!(out, "{position}").expect("a Vec takes every write");
                }
            }
            Self::Several(positions) => {
                for (index, known) in positions.iter().enumerate() {
                    let separator = if index > 0 { " " } else { "" };
                    write!(out, "{separator}{}={}", known.topic, known.position)
                        .expect("a Vec takes every write");
                }
            }
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
        id.write(&mut chunk);
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

    /// The first block of a stream of these patterns, when `a` is at an offset.
    fn beginning(texts: &[&str], offset: u64, beginning: Beginning) -> String {
        let mut id = PositionId::new(&patterns(texts));
        for pattern in patterns(texts) {
            let stands = pattern.exact().is_some();
            id.begin(&pattern, stands.then(|| position(offset)), beginning);
        }
        let mut block = Vec::new();
        id.write_beginning(&mut block, beginning);
        String::from_utf8(block).expect("text")
    }

    #[test]
    fn who_has_seen_no_event_is_told_where_it_began() {
        use Beginning::{Device, Latest, New};
        for (topics, offset, begins, expected) in [
            (&["a"][..], 0, Latest, "id: 7:0\n\n"),
            (&["a"], 5, Latest, "id: 7:4\n\n"),
            (&["a"], 5, New, "id: 7:5\n\n"),
            (&["a"], 0, Device, "id: 7:0\n\n"),
            (&["a"], 5, Device, ""),
            (&["a", "b:*"], 5, New, "id: a=7:5\n\n"),
            (&["b:*", "c:**"], 5, New, "id: -\n\n"),
            (&["b:*"], 5, Latest, "id: -\n\n"),
            (&["b:*"], 5, Device, ""),
        ] {
            assert_eq!(
                beginning(topics, offset, begins),
                expected,
                "{topics:?} {begins:?}"
            );
        }
    }

    #[test]
    fn a_beginning_changes_nothing_about_what_was_given_back() {
        let asked = patterns(&["a", "b"]);
        let mut id = PositionId::parse("a=7:3", &asked).expect("our own id");
        for pattern in &asked {
            id.begin(pattern, Some(position(9)), Beginning::Latest);
        }
        assert_eq!(text(&id), "a=7:3 b=7:8");
        let seen = PositionId::parse(NOTHING_SEEN, &asked).expect("our own id");
        assert_eq!(seen.positions(), []);
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
