//! An event, and its form as a payload.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tidegate_core::publication::Position;
use tidegate_core::topic::Topic;

use crate::{Json, JsonError, Publication};

/// An event, as handlers receive it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BusEvent {
    /// Its type.
    pub event: String,
    /// The topic of the room in which it happened.
    pub room: Topic,
    /// Its position among the room's publications.
    pub position: Position,
    /// Its data.
    pub data: Json,
}

/// The payload of an event.
#[derive(Serialize)]
pub(super) struct Envelope<'a, T> {
    pub(super) event: &'a str,
    pub(super) data: &'a T,
    /// The room in which it happened, if this is a copy in another room.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) about: Option<&'a str>,
}

#[derive(Deserialize)]
struct Read {
    event: String,
    #[serde(default)]
    data: Option<Json>,
    #[serde(default)]
    about: Option<String>,
}

impl BusEvent {
    /// Reads an event from a publication; `None` if it is not one, or is a copy of an event from another room.
    pub(super) fn read(publication: &Publication) -> Option<Self> {
        let read: Read = publication.payload.parse().ok()?;
        if read.about.is_some() {
            return None;
        }
        let data = read.data.unwrap_or_else(Json::null);
        Some(Self {
            event: read.event,
            room: publication.topic.clone(),
            position: publication.position,
            data,
        })
    }

    /// Parses the event's data.
    ///
    /// # Errors
    /// If it can't be parsed as `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        self.data.parse()
    }
}
