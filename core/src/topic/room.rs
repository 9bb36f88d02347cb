//! Typed rooms: topics that belong to one thing of a kind, so that a task's id can't be used as a user's.

use core::fmt::{Display, Write};

use alloc::string::String;

use super::{Name, ONE, Pattern, RoomId, SEPARATOR, Topic, Uuid};
use crate::limits::TOPIC_BYTES_MAX;

/// A kind of thing each of which has a topic, `kind:id`.
///
/// Defining another kind takes a few lines:
///
/// ```
/// use tidegate_core::topic::{Room, UserRoom};
///
/// #[derive(Debug, PartialEq)]
/// struct OrderRoom(u64);
///
/// impl Room for OrderRoom {
///     const KIND: &'static str = "order";
///     type Id = u64;
///
///     fn from_id(id: u64) -> Self {
///         Self(id)
///     }
///
///     fn id(&self) -> &u64 {
///         &self.0
///     }
/// }
///
/// let topic = OrderRoom(7).topic();
/// assert_eq!(topic.as_str(), "order:7");
/// assert_eq!(OrderRoom::from_topic(&topic), Ok(OrderRoom(7)));
/// assert!(UserRoom::from_topic(&topic).is_err());
/// ```
pub trait Room: Sized {
    /// The segments before the id, usually one. Checked at compile time: at most [`KIND_BYTES_MAX`] bytes of ASCII
    /// letters, digits, `-`, `_`, `.`, and `:` between segments.
    const KIND: &'static str;

    /// What identifies a room of this kind.
    type Id: RoomId;

    /// The room of `id`.
    fn from_id(id: Self::Id) -> Self;

    /// The id of the thing it belongs to.
    fn id(&self) -> &Self::Id;

    /// The topic of this room.
    fn topic(&self) -> Topic {
        let text = kind_and::<Self>(self.id());
        Topic::new(&text).expect("a checked kind and an id make a topic")
    }

    /// The pattern that matches all rooms of this kind.
    fn all() -> Pattern {
        let text = kind_and::<Self>(&ONE);
        Pattern::new(&text).expect("a checked kind and a wildcard make a pattern")
    }

    /// The room whose topic is `topic`.
    ///
    /// # Errors
    /// If `topic` is of another kind, or has an id of another form. An unusual spelling of an id (`user:007`, a UUID in
    /// capitals) is refused as well, because it is a different topic, to which nobody publishes.
    fn from_topic(topic: &Topic) -> Result<Self, RoomError> {
        let kind = Self::KIND;
        let id = topic
            .as_str()
            .strip_prefix(kind)
            .and_then(|rest| rest.strip_prefix(SEPARATOR))
            .ok_or(RoomError::OtherKind { kind })?;
        let id = Self::Id::parse(id).ok_or(RoomError::Id {
            kind,
            form: Self::Id::FORM,
        })?;
        let room = Self::from_id(id);
        let usual = room.topic();
        if usual == *topic {
            Ok(room)
        } else {
            Err(RoomError::Spelling { usual })
        }
    }
}

/// The longest [`Room::KIND`], in bytes.
pub const KIND_BYTES_MAX: usize = TOPIC_BYTES_MAX - 1 - Name::BYTES_MAX;

fn kind_and<R: Room>(id: &impl Display) -> String {
    const { assert!(is_kind(R::KIND), "a room's KIND must be plain segments") };
    let mut text = String::with_capacity(TOPIC_BYTES_MAX);
    write!(text, "{}{}{id}", R::KIND, SEPARATOR).expect("writing to a string succeeds");
    text
}

const fn is_kind(kind: &str) -> bool {
    let bytes = kind.as_bytes();
    let mut in_segment = false;
    let mut at = 0;
    while at < bytes.len() {
        match bytes[at] {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' => in_segment = true,
            b':' if in_segment => in_segment = false,
            _ => return false,
        }
        at += 1;
    }
    in_segment && bytes.len() <= KIND_BYTES_MAX
}

/// A topic that isn't a room of the expected kind.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RoomError {
    /// It doesn't start with the kind.
    #[error("not a {kind} room: its topic starts with '{kind}:'")]
    OtherKind {
        /// The expected kind.
        kind: &'static str,
    },
    /// What follows the kind is not a valid id.
    #[error("not a {kind} room: what follows '{kind}:' must be {form}")]
    Id {
        /// The expected kind.
        kind: &'static str,
        /// The form of its ids.
        form: &'static str,
    },
    /// The id is spelled differently than in the room's topic.
    #[error("an unusual spelling of {usual}: publish and subscribe there")]
    Spelling {
        /// The room's topic.
        usual: Topic,
    },
}

/// The room of a task: `task:{uuid}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TaskRoom(pub Uuid);

impl Room for TaskRoom {
    const KIND: &'static str = "task";
    type Id = Uuid;

    fn from_id(id: Uuid) -> Self {
        Self(id)
    }

    fn id(&self) -> &Uuid {
        &self.0
    }
}

/// The room of a user: `user:{int}`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserRoom(pub u64);

impl Room for UserRoom {
    const KIND: &'static str = "user";
    type Id = u64;

    fn from_id(id: u64) -> Self {
        Self(id)
    }

    fn id(&self) -> &u64 {
        &self.0
    }
}

/// The room of a job: `job:{id}`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobRoom(pub Name);

impl Room for JobRoom {
    const KIND: &'static str = "job";
    type Id = Name;

    fn from_id(id: Name) -> Self {
        Self(id)
    }

    fn id(&self) -> &Name {
        &self.0
    }
}
