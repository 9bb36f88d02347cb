//! The link of a client to a server: a channel to the task that holds the connection.

use std::sync::Arc;

use tidegate_core::client::{ClosedReason, ConnectionState};
use tidegate_core::flow::Flow;
use tidegate_core::hub::SubscriptionId;
use tidegate_core::protocol::{PublishRequest, SubscribeRequest};
use tidegate_core::topic::Pattern;
use tokio::sync::{mpsc, oneshot, watch};

use super::address::ServerAddress;
use super::answer::Receiving;
use super::driver::Driver;
use super::endpoints::Endpoints;
use super::fault::Fault;
use super::lease::Lease;
use super::options::ClientOptions;
use super::presence_requests::PresenceRequest;
use super::queue::Queue;
use super::request::Request;
use super::{ClientError, Status, thread};
use crate::reduce::Reducing;
use crate::{Event, Json, Publication, Subscribe};

/// The most bytes that wait for a slow reader of a subscription before the oldest publications are shed.
const QUEUE_BYTES_MAX: usize = 1024 * 1024;

pub(super) struct ServerLink {
    requests: mpsc::UnboundedSender<Request>,
    pub(super) status: watch::Receiver<Status>,
    pub(super) endpoints: Endpoints,
}

impl ServerLink {
    pub(super) fn start(url: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let (link, driver) = Self::new(url, options)?;
        thread::runtime()?.spawn(driver.run());
        Ok(link)
    }

    /// Returns a link, and its task, which is not running yet.
    fn new(url: &str, options: ClientOptions) -> Result<(Self, Driver), ClientError> {
        let address: ServerAddress = url.parse()?;
        let (requests, receiver) = mpsc::unbounded_channel();
        let (status_sender, status) = watch::channel(Status {
            state: ConnectionState::Disconnected,
            last_error: None,
            publish_rate: None,
            fault: None,
        });
        let endpoints = Endpoints {
            address: address.clone(),
            options: options.clone(),
        };
        let driver = Driver::new(address, options, receiver, status_sender);
        let link = Self {
            requests,
            status,
            endpoints,
        };
        Ok((link, driver))
    }

    /// Returns once the server has welcomed the client or the first attempt has failed.
    pub(super) async fn connected(&self, url: &str) -> Result<(), ClientError> {
        let mut status = self.status.clone();
        loop {
            {
                let now = status.borrow_and_update();
                match &now.state {
                    ConnectionState::Connected => return Ok(()),
                    ConnectionState::Closed(ClosedReason::Refused(error)) => {
                        return Err(error.clone().into());
                    }
                    _ => {}
                }
                if let Some(fault) = now.fault.clone() {
                    let reason = fault.to_string();
                    match fault {
                        // Another token is tried; without one, the client is closed.
                        _ if fault.is_about_token() => {}
                        Fault::NoToken(_) => return Err(ClientError::NoToken { reason }),
                        Fault::Insecure(error) => return Err(error.into()),
                        Fault::Server(_) | Fault::Link(_) => {
                            return Err(ClientError::Unreachable {
                                url: url.to_owned(),
                                reason,
                            });
                        }
                    }
                }
            }
            status.changed().await.map_err(|_| ClientError::Closed)?;
        }
    }

    pub(super) fn publish(&self, publish: PublishRequest<Json>) -> Result<Receiving, ClientError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Publish { publish, reply })?;
        Ok(Receiving::Server(answer))
    }

    pub(super) async fn subscribe(
        &self,
        pattern: Pattern,
        options: Subscribe,
    ) -> Result<ServerSubscription, ClientError> {
        let bytes_max = options.outbox_bytes_max.unwrap_or(QUEUE_BYTES_MAX);
        let queue = Arc::new(Queue::new(bytes_max, options.slow));
        let reducing = Reducing::new(options.reduce);
        let subscribe = SubscribeRequest {
            pattern,
            flow: reducing.flow(options.flow),
            start: options.start,
            durable: options.durable.clone(),
            slow: options.slow,
        };
        let (reply, answer) = oneshot::channel();
        self.send(Request::Subscribe {
            subscribe,
            queue: Arc::clone(&queue),
            reply,
            requests: self.requests.clone(),
        })?;
        let (id, lease) = answer.await.map_err(|_| ClientError::Closed)??;
        Ok(ServerSubscription {
            id,
            queue,
            reducing,
            unhandled: options.durable.map(|_| Vec::new()),
            lease,
        })
    }

    pub(super) fn presence(&self, request: PresenceRequest) -> Result<(), ClientError> {
        self.send(Request::Presence(request))
    }

    /// The channel to the task.
    pub(super) fn requests(&self) -> mpsc::UnboundedSender<Request> {
        self.requests.clone()
    }

    pub(super) fn close(&self) {
        // If the driver is gone, the connection is closed.
        let _ = self.requests.send(Request::Close);
    }

    fn send(&self, request: Request) -> Result<(), ClientError> {
        self.requests
            .send(request)
            .map_err(|_| match &self.status.borrow().state {
                ConnectionState::Closed(ClosedReason::Refused(error)) => error.clone().into(),
                _ => ClientError::Closed,
            })
    }
}

/// A subscription over a connection. Dropping it unsubscribes.
pub(super) struct ServerSubscription {
    id: SubscriptionId,
    pub(super) queue: Arc<Queue>,
    pub(super) reducing: Reducing,
    /// For a durable subscription: the publications that its reader has received and not yet confirmed.
    unhandled: Option<Vec<Publication>>,
    lease: Lease,
}

impl ServerSubscription {
    pub(super) fn set_flow(&self, flow: Flow) -> Result<(), ClientError> {
        let flow = self.reducing.flow(flow);
        let request = Request::Flow { id: self.id, flow };
        self.request(request)
    }

    fn request(&self, request: Request) -> Result<(), ClientError> {
        let sent = self.lease.requests().send(request);
        sent.map_err(|_| ClientError::Closed)
    }

    /// Notes that the reader gets this event.
    pub(super) fn hand(&mut self, event: &Event) {
        let Some(unhandled) = &mut self.unhandled else {
            return;
        };
        match event {
            Event::Publication(publication) => unhandled.push(Arc::clone(publication)),
            Event::Batch(publications) => unhandled.extend(publications.iter().cloned()),
            Event::Reset { .. }
            | Event::Lagged { .. }
            | Event::End { .. }
            | Event::Refused(_)
            | Event::Stale
            | Event::Live => {}
        }
    }

    /// Confirms that the reader has processed everything that it got.
    pub(super) fn handle_handled(&mut self) {
        for publication in self.unhandled.iter_mut().flat_map(|them| them.drain(..)) {
            let request = Request::Handled {
                id: self.id,
                topic: publication.topic.clone(),
                position: publication.position,
            };
            // If the driver is gone, this is not confirmed, and the publication is delivered again.
            let _ = self.lease.requests().send(request);
        }
    }

    pub(super) fn forget(&self) -> Result<(), ClientError> {
        self.request(Request::Forget(self.id))
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::Mutex;

    use tokio::net::TcpListener;

    use super::*;
    use crate::Publish;
    use crate::client::Token;

    /// Returns how connecting to `url` fails. The clock is paused, so it advances by itself while everything waits.
    async fn failed(url: &str, options: ClientOptions) -> (ClientError, Status) {
        let (link, driver) = ServerLink::new(url, options).unwrap();
        tokio::spawn(driver.run());
        let error = link.connected(url).await.unwrap_err();
        let status = link.status.borrow().clone();
        (error, status)
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_accepts_and_says_nothing_is_unreachable() {
        let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", silent.local_addr().unwrap());
        let (error, status) = failed(&url, ClientOptions::default()).await;
        let expected = "the server did not answer within 10 s";
        assert!(
            matches!(&error, ClientError::Unreachable { reason, .. } if reason == expected),
            "{error}"
        );
        assert_eq!(status.state, ConnectionState::Disconnected);
        assert_eq!(status.last_error.as_deref(), Some(expected));
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_is_asked_for_a_token_and_says_nothing_is_told() {
        let token = Token::ask(std::future::pending::<Result<String, String>>);
        let (error, status) = failed("http://127.0.0.1:1", ClientOptions::with_token(token)).await;
        assert!(matches!(&error, ClientError::NoToken { .. }), "{error}");
        assert!(error.to_string().contains("within 30 s"), "{error}");
        assert_eq!(status.last_error, Some(error.to_string()));
    }

    /// A log that can be read.
    #[derive(Clone, Default)]
    struct Log(Arc<Mutex<Vec<u8>>>);

    impl Write for Log {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Returns what a client without a server logs when it is dropped after this number of publishes.
    async fn logged(publishes: usize) -> String {
        let log = Log::default();
        let writer = log.clone();
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .finish();
        let _logging = tracing::subscriber::set_default(subscriber);
        let options = ClientOptions::default();
        let (link, driver) = ServerLink::new("http://127.0.0.1:1", options).unwrap();
        for number in 0..publishes {
            let request = Publish::default().request::<ClientError>("a", &number);
            drop(link.publish(request.unwrap()).unwrap());
        }
        drop(link);
        driver.run().await;
        let log = log.0.lock().unwrap().clone();
        String::from_utf8(log).unwrap()
    }

    #[tokio::test]
    async fn publications_that_go_with_their_client_are_told_in_the_log() {
        let log = logged(3).await;
        assert!(log.contains("WARN") && log.contains("count=3"), "{log}");
        assert!(log.contains("close_flushed"), "{log}");
        assert_eq!(logged(0).await, "");
    }
}
