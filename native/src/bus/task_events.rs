//! What happens to tasks, said to whoever watches the task and to its owner.

use serde::Serialize;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::topic::{TaskRoom, UserRoom, Uuid};

use super::EventBus;
use crate::Publish;
use crate::client::ClientError;

/// A task, and whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Task {
    /// The task's id.
    pub id: Uuid,
    /// Its owner's id.
    pub owner: u64,
}

/// What happens to tasks. Each event goes to the task's room, `task:{uuid}`, and a copy of it to its owner's, `user:{int}`.
///
/// `completed`, `failed` and `cancelled` end the task's room: whoever subscribes to it later is told so at once. The user's
/// room never ends.
///
/// The task's room is told first. Where that worked and the copy to the owner fails, the call fails, and to repeat it tells the room
/// again; one that ends the room is answered `topic_ended` then. Send the owner the copy alone in that case, by
/// [`EventBus::copy_to`] of [`TaskEvents::bus`].
#[derive(Clone)]
pub struct TaskEvents {
    bus: EventBus,
}

impl TaskEvents {
    /// The tasks of a bus.
    pub const fn new(bus: EventBus) -> Self {
        Self { bus }
    }

    /// `task:created`. A task that has ended begins anew.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn created(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let restart = Publish {
            restart: true,
            ..Publish::default()
        };
        self.tell(task, "task:created", data, restart).await
    }

    /// `task:started`.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn started(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        self.tell(task, "task:started", data, Publish::default())
            .await
    }

    /// `task:status`: where the task stands.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn status(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        self.tell(task, "task:status", data, Publish::default())
            .await
    }

    /// `task:completed`, the last event of the task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn completed(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let last = Publish::end(EndReason::Complete);
        self.tell(task, "task:completed", data, last).await
    }

    /// `task:failed`, the last event of the task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn failed(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let last = Publish::end(EndReason::Failed);
        self.tell(task, "task:failed", data, last).await
    }

    /// `task:cancelled`, the last event of the task's room.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn cancelled(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        let last = Publish::end(EndReason::Cancelled);
        self.tell(task, "task:cancelled", data, last).await
    }

    /// `task:deleted`. The room of a task that has ended stays as it is: its owner alone is told.
    ///
    /// # Errors
    /// As for [`Client::publish`](crate::Client::publish).
    pub async fn deleted(&self, task: Task, data: &impl Serialize) -> Result<(), ClientError> {
        match self
            .tell(task, "task:deleted", data, Publish::default())
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

    async fn tell(
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
