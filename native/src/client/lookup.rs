//! Reading latest values and histories once, without a subscription.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidegate_core::protocol::{ErrorCode, ServerEnvelope, ServerFrame, WireError};
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink;

use super::{Client, ClientError, Link, thread};
use crate::backend::percent_encoded;
use crate::{Json, LookupError, Publication, TopicHistory};

impl Client {
    /// The retained latest publication of a topic, read from the backend: it includes whatever was published before this
    /// call. No subscription is made. [`Client::latest_matching`] reads those of a pattern.
    ///
    /// A client of a server makes a request over HTTP (`GET /latest`) on a separate connection, whether or not it is
    /// connected. A backend that can't be reached is waited for, for up to 10 s.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = tidegate::Client::from_hub(tidegate::Hub::new(Default::default())?)?;
    /// client.publish("job:42", &0.5).await?;
    /// let job = client.latest("job:42").await?;
    /// assert_eq!(job.map(|job| job.payload.to_string()).as_deref(), Some("0.5"));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// [`ClientError::Unreachable`] if the server does not answer within 30 s; [`ClientError::Refused`] with what it says otherwise, such as
    /// [`ErrorCode::Unavailable`] if its backend is away, and [`ErrorCode::Forbidden`] if this client may not subscribe to the topic.
    pub async fn latest(&self, topic: &str) -> Result<Option<Publication>, ClientError> {
        let found = match &self.link {
            Link::Hub(link) => return link.latest(topic).await,
            Link::Server(_) => self.latest_of(Topic::new(topic)?.into()).await?,
        };
        Ok(found.into_iter().next())
    }

    /// The retained latest publication of every topic that a pattern matches, ordered by topic. Otherwise like [`Client::latest`].
    ///
    /// A server returns up to 1,000 of them at a time; all are fetched.
    ///
    /// # Errors
    /// As for [`Client::latest`].
    pub async fn latest_matching(&self, pattern: &str) -> Result<Vec<Publication>, ClientError> {
        match &self.link {
            Link::Hub(link) => link.latest_matching(pattern).await,
            Link::Server(_) => self.latest_of(Pattern::new(pattern)?).await,
        }
    }

    /// The publications of a topic after `since`, as far as its history keeps them; without `since`, all that it keeps.
    /// Otherwise like [`Client::latest`].
    ///
    /// # Errors
    /// As for [`Client::latest`].
    pub async fn history(
        &self,
        topic: &str,
        since: Option<Position>,
    ) -> Result<TopicHistory, ClientError> {
        match &self.link {
            Link::Hub(link) => link.history(topic, since).await,
            Link::Server(_) => self.history_of(&Topic::new(topic)?, since).await,
        }
    }

    async fn latest_of(&self, pattern: Pattern) -> Result<Vec<Publication>, ClientError> {
        let pattern = percent_encoded(pattern.as_str());
        let mut found: BTreeMap<Topic, Publication> = BTreeMap::new();
        loop {
            let last = found.last_key_value();
            let after =
                last.map(|(topic, _)| format!("&after={}", percent_encoded(topic.as_str())));
            let path = format!("/latest?topic={pattern}{}", after.unwrap_or_default());
            let part: Latest = self.get_json(path).await?;
            let publications = self.publications(part.publications)?;
            let count_before = found.len();
            found.extend(publications.into_iter().map(|it| (it.topic.clone(), it)));
            // A part without new topics would be requested forever.
            if !part.more || found.len() == count_before {
                return Ok(found.into_values().collect());
            }
        }
    }

    async fn history_of(
        &self,
        topic: &Topic,
        since: Option<Position>,
    ) -> Result<TopicHistory, ClientError> {
        let topic = percent_encoded(topic.as_str());
        let mut whole: Option<TopicHistory> = None;
        loop {
            let from = whole.as_ref().map(|known| known.position).or(since);
            let from = from
                .map(|since| format!("&since={since}"))
                .unwrap_or_default();
            let part: History = self
                .get_json(format!("/history?topic={topic}{from}"))
                .await?;
            let publications = self.publications(part.publications)?;
            let is_last = !part.more || publications.is_empty();
            let mut next = TopicHistory {
                position: Position {
                    epoch: part.epoch,
                    offset: part.offset,
                },
                recovered: part.recovered,
                publications,
            };
            match whole.take() {
                Some(known) if next.recovered => {
                    next.recovered = known.recovered;
                    next.publications.splice(..0, known.publications);
                }
                // The topic has been restarted meanwhile, or has dropped the next publications: this part is all that it keeps.
                Some(_) | None => {}
            }
            if is_last {
                return Ok(next);
            }
            whole = Some(next);
        }
    }

    /// Requests `GET path` from the server.
    async fn get_json<T: DeserializeOwned>(&self, path: String) -> Result<T, ClientError> {
        let Link::Server(link) = &self.link else {
            unreachable!("only servers are asked over HTTP");
        };
        if self.is_closed() {
            return Err(ClientError::Closed);
        }
        let endpoints = link.endpoints.clone();
        // The connection needs the clients' runtime: the caller may have none, or another one.
        let asking = thread::runtime()?.spawn(async move { endpoints.get(&path).await });
        let body = asking.await.map_err(|_| ClientError::Closed)??;
        serde_json::from_slice(&body).map_err(|error| self.unexpected(&error))
    }

    fn publications(
        &self,
        envelopes: Vec<ServerEnvelope<Json>>,
    ) -> Result<Vec<Publication>, ClientError> {
        let publication = |envelope: ServerEnvelope<Json>| match envelope.try_into() {
            Ok(ServerFrame::Publication { publication, .. }) => Ok(publication),
            Ok(_) => Err(self.unexpected(&"it is no publication")),
            Err(error) => Err(self.unexpected(&error)),
        };
        envelopes.into_iter().map(publication).collect()
    }

    fn unexpected(&self, error: &dyn std::fmt::Display) -> ClientError {
        ClientError::Unreachable {
            url: self.place().to_owned(),
            reason: format!("it answers something that is not understood ({error})"),
        }
    }
}

#[derive(Deserialize)]
struct Latest {
    more: bool,
    publications: Vec<ServerEnvelope<Json>>,
}

#[derive(Deserialize)]
struct History {
    epoch: u64,
    offset: u64,
    recovered: bool,
    more: bool,
    publications: Vec<ServerEnvelope<Json>>,
}

impl From<LookupError> for ClientError {
    fn from(error: LookupError) -> Self {
        let message = error.to_string();
        match error {
            LookupError::Pattern(error) => error.into(),
            LookupError::Failed(uplink::LookupError::Unavailable) => {
                WireError::new(ErrorCode::Unavailable, message).into()
            }
            LookupError::Failed(uplink::LookupError::Refused) => {
                WireError::new(ErrorCode::Refused, message).into()
            }
            LookupError::Stopped(_) => Self::Closed,
        }
    }
}
