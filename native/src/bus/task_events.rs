//! Events of tasks, for everyone who watches the task and for its owner.

use serde::Serialize;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::topic::{TaskRoom, UserRoom, Uuid};

use super::EventBus;
use crate::Publish;
use crate::client::ClientError;

/// A task and its owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// The task's id.
    pub id: Uuid,
    /// Its owner's id.
    pub owner: u64,
}

/// Publishes events of tasks. Each event goes to the task's room, `task:{uuid}`, and a copy of it to its owner's room,
/// `user:{int}`.
///
/// `completed`, `failed` and `cancelled` end the task's room: subscribers learn of it, late ones too. The user's room
/// never ends.
///
/// The task's room comes first. If that succeeds and the copy for the owner fails, the call fails. Repeating the call
/// publishes to the task's room again, which is answered with `topic_ended` if the event has ended it. In that case,
/// send only the copy to the owner, with [`EventBus::copy_to`] of [`TaskEvents::bus`].
#[derive(Clone)]
pub struct TaskEvents {
    bus: EventBus,
}

impl TaskEvents {
    /// Events of tasks, over a bus.
    pub const fn new(bus: EventBus) -> Self {
        Self { bus }
    }

    /// Publishes `task:created`. A task that has ended starts anew.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn created(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let restart = Publish {
            restart: true,
            ..Publish::default()
        };
        self.publish(task, "task:created", data, restart).await
    }

    /// Publishes `task:started`.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn started(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        self.publish(task, "task:started", data, Publish::default())
            .await
    }

    /// Publishes `task:status`: the state of the task.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn status(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        self.publish(task, "task:status", data, Publish::default())
            .await
    }

    /// Publishes `task:completed`, the last event of the task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn completed(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let last = Publish::end(EndReason::Complete);
        self.publish(task, "task:completed", data, last).await
    }

    /// Publishes `task:failed`, the last event of the task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn failed(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let last = Publish::end(EndReason::Failed);
        self.publish(task, "task:failed", data, last).await
    }

    /// Publishes `task:cancelled`, the last event of the task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn cancelled(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let last = Publish::end(EndReason::Cancelled);
        self.publish(task, "task:cancelled", data, last).await
    }

    /// Publishes `task:deleted`. If the task's room has ended, it stays as it is, and only the owner is notified.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn deleted(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        match self
            .publish(task, "task:deleted", data, Publish::default())
            .await
        {
            Err(ClientError::Refused(error)) if error.code == ErrorCode::TopicEnded => {
                let owner = UserRoom(task.owner);
                self.bus.publish("task:deleted", data, &owner).await?;
                Ok(())
            }
            told => told,
        }
    }

    async fn publish(
        &self,
        task: Task,
        event: &str,
        data: &impl Serialize,
        publish: Publish,
    ) -> Result<(), ClientError> {
        let room = TaskRoom(task.id);
        self.bus.publish_with(event, data, &room, publish).await?;
        self.bus
            .copy_to(event, data, &room, &UserRoom(task.owner))
            .await?;
        Ok(())
    }

    /// The bus that carries the events.
    pub const fn bus(&self) -> &EventBus {
        &self.bus
    }
}
