//! What was said in the rooms of tasks. A real chat keeps it in a database.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::core::topic::{Room as _, TaskRoom, Uuid};
use tidegate::{Event, Hub, Json, Publication, SubscribeError, Subscription};
use tokio::sync::watch;

use super::{Failure, TaskCard};

/// All publications of all rooms, by topic.
type Rooms = BTreeMap<String, Vec<Publication>>;

#[derive(Clone)]
pub(super) struct Log {
    rooms: watch::Receiver<Rooms>,
}

impl Log {
    /// Keeps what is published from now on.
    pub(super) async fn of(hub: &Hub) -> Result<Self, SubscribeError> {
        let events = hub.subscribe(TaskRoom::all().as_str()).await?;
        let (kept, rooms) = watch::channel(Rooms::new());
        tokio::spawn(keep(events, kept));
        Ok(Self { rooms })
    }

    /// Waits until the log has an event of a task that was published. Who is answered only then can go on at once.
    pub(super) async fn heard(&self, task: Uuid, name: &str) -> Result<(), Failure> {
        let topic = TaskRoom(task).topic();
        let is_it = |said: &Publication| {
            let event = said.payload.parse::<Value>();
            event.is_ok_and(|event| event["event"] == name)
        };
        let heard = |rooms: &Rooms| {
            let said = rooms.get(topic.as_str());
            said.is_some_and(|said| said.iter().rev().any(is_it))
        };
        match self.rooms.clone().wait_for(heard).await {
            Ok(_) => Ok(()),
            Err(_) => Err((
                StatusCode::SERVICE_UNAVAILABLE,
                "the server is going away".into(),
            )),
        }
    }

    /// What was said, and up to which position. Whoever subscribes from there misses nothing and gets nothing twice.
    pub(super) fn rooms(&self) -> Vec<Value> {
        let rooms = self.rooms.borrow();
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
        let rooms = self.rooms.borrow();
        let said = rooms.get(TaskRoom(id).topic().as_str());
        let first = said.and_then(|said| said.first()).ok_or_else(unknown)?;
        let mut created: Value = first.payload.parse().map_err(|_| unknown())?;
        let card = serde_json::from_value(created["data"].take()).map_err(|_| unknown())?;
        Ok((id, card))
    }
}

async fn keep(mut events: Subscription, rooms: watch::Sender<Rooms>) {
    while let Some(event) = events.next().await {
        if let Event::Publication(said) = event {
            rooms.send_modify(|rooms| {
                let room = rooms.entry(said.topic.to_string()).or_default();
                room.push(said);
            });
        }
    }
}
