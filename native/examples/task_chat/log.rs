//! What was said in the rooms of tasks. A real chat keeps it in a database.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::http::StatusCode;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::core::topic::{Room as _, TaskRoom, Uuid};
use tidegate::{Event, Hub, Json, Publication, SubscribeError, Subscription};

use super::{Failure, TaskCard};

/// All publications of all rooms, by topic.
#[derive(Clone, Default)]
pub(super) struct Log {
    rooms: Arc<Mutex<BTreeMap<String, Vec<Publication>>>>,
}

impl Log {
    /// Keeps what is published from now on.
    pub(super) async fn of(hub: &Hub) -> Result<Self, SubscribeError> {
        let log = Self::default();
        let events = hub.subscribe(TaskRoom::all().as_str()).await?;
        tokio::spawn(log.clone().keep(events));
        Ok(log)
    }

    async fn keep(self, mut events: Subscription) {
        while let Some(event) = events.next().await {
            if let Event::Publication(publication) = event {
                let topic = publication.topic.to_string();
                let mut rooms = self.rooms.lock().expect("nobody panics with it");
                rooms.entry(topic).or_default().push(publication);
            }
        }
    }

    /// What was said, and up to which position. Whoever subscribes from there misses nothing and gets nothing twice.
    pub(super) fn rooms(&self) -> Vec<Value> {
        let rooms = self.rooms.lock().expect("nobody panics with it");
        let told = rooms.iter().filter_map(|(topic, said)| {
            let last = said.last()?.position;
            let events: Vec<&Json> = said.iter().map(|said| &said.payload).collect();
            Some(json!({"topic": topic, "epoch": last.epoch, "offset": last.offset, "events": events}))
        });
        told.collect()
    }

    /// The task with an id, if there is one.
    pub(super) fn task(&self, id: &str) -> Result<(Uuid, TaskCard), Failure> {
        let unknown = || (StatusCode::NOT_FOUND, format!("there is no task {id}"));
        let id: Uuid = id.parse().map_err(|_| unknown())?;
        let rooms = self.rooms.lock().expect("nobody panics with it");
        let said = rooms.get(TaskRoom(id).topic().as_str());
        let first = said.and_then(|said| said.first()).ok_or_else(unknown)?;
        let mut created: Value = first.payload.parse().map_err(|_| unknown())?;
        let card = serde_json::from_value(created["data"].take()).map_err(|_| unknown())?;
        Ok((id, card))
    }
}
