//! Options of a publication, besides its topic and its value.

use serde::Serialize;
use tidegate_core::lifecycle::{EndReason, StatedEnd};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::topic::{Topic, TopicError};

use crate::{Json, JsonError};

/// How to publish.
#[derive(Clone, Debug, Default)]
pub struct Publish {
    /// Whether this is the topic's last publication. Without it, one whose payload says so by the hub's [terminal rule]
    /// is: by default, an object whose `status` is COMPLETE, FAILED or CANCELLED, in any letter case.
    /// [`StatedEnd::None`] is for payloads that only look like that.
    ///
    /// [terminal rule]: tidegate_core::hub::HubConfig::terminal_rule
    pub end: Option<StatedEnd>,
    /// Idempotency key, up to 128 bytes. A topic remembers the keys of its last 128 publications: a publish that
    /// repeats one of them publishes nothing, and returns the position of the first.
    pub id: Option<String>,
    /// Starts the topic anew if it has ended.
    pub restart: bool,
}

impl Publish {
    /// A terminal publication.
    pub fn end(reason: EndReason) -> Self {
        Self {
            end: Some(reason.into()),
            ..Self::default()
        }
    }

    /// A publication that does not end its topic, whatever its payload looks like: for data whose `status` is about
    /// something other than the topic, such as one failed order among others.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use tidegate::{Hub, Publish};
    /// let hub = Hub::new(Default::default())?;
    /// let order = serde_json::json!({"order": 7, "status": "failed"});
    /// hub.publish_with("orders", &order, Publish::no_end()).await?;
    /// hub.publish("orders", &serde_json::json!({"order": 8, "status": "new"})).await?;
    /// # Ok(()) }
    /// ```
    pub fn no_end() -> Self {
        Self {
            end: Some(StatedEnd::None),
            ..Self::default()
        }
    }

    /// The request to publish `value` with these options.
    pub(crate) fn request<E: From<TopicError> + From<JsonError>>(
        self,
        topic: &str,
        value: &impl Serialize,
    ) -> Result<PublishRequest<Json>, E> {
        Ok(PublishRequest {
            topic: Topic::new(topic)?,
            payload: Json::from_value(value)?,
            end: self.end,
            id: self.id,
            restart: self.restart,
        })
    }
}
