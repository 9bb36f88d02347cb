//! The task of a client: it carries frames between the core's client hub and a WebSocket, and drives the hub's clock.

use std::collections::HashMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tidegate_core::client::{ClientConfig, ConnectionState};
use tidegate_core::hub::{ClientHub, ClientOutput, SubscriptionId};
use tidegate_core::protocol::{ErrorCode, ServerFrame, WireError};
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant as HostInstant;
use tokio_tungstenite::tungstenite::error::CapacityError;
use tokio_tungstenite::tungstenite::{Error as SocketError, Message};

use super::Status;
use super::address::ServerAddress;
use super::fault::Fault;
use super::lease::Lease;
use super::line::Line;
use super::options::{ClientOptions, TokenFuture};
use super::presence_requests::Presences;
use super::queue::Queue;
use super::request::Request;
use super::socket::{Connecting, Socket, connect, encode};
use crate::decode;
use crate::json::Json;

/// The transport of the current link.
enum Transport {
    None,
    Connecting { link: u32, future: Connecting },
    Open { link: u32, line: Box<Line> },
}

/// What woke the task.
enum Wakeup {
    Request(Option<Request>),
    Opened(u32, Result<Socket, Fault>),
    Received(u32, Option<Result<Message, SocketError>>),
    Answered(u32, Result<String, String>),
    Deadline,
}

struct Timeouts {
    connect: Duration,
    token: Duration,
}

pub(super) struct Driver {
    address: ServerAddress,
    options: ClientOptions,
    hub: ClientHub<Json>,
    requests: mpsc::UnboundedReceiver<Request>,
    status: watch::Sender<Status>,
    transport: Transport,
    /// How long to wait for a server, and for a token.
    timeouts: Timeouts,
    /// Why the connection ends, if that is known before it does.
    ending: Option<Fault>,
    /// The pending request for a token, and its number.
    asking: Option<(u32, TokenFuture)>,
    pub(super) queues: HashMap<SubscriptionId, Arc<Queue>>,
    replies: HashMap<u64, oneshot::Sender<Result<Position, WireError>>>,
    presences: Presences,
    started: HostInstant,
}

impl Driver {
    pub(super) fn new(
        address: ServerAddress,
        options: ClientOptions,
        requests: mpsc::UnboundedReceiver<Request>,
        status: watch::Sender<Status>,
    ) -> Self {
        let config = ClientConfig {
            token: options.token.source(),
            name: Some(concat!("tidegate-rust/", env!("CARGO_PKG_VERSION")).to_owned()),
            ..ClientConfig::new(crate::random_seed())
        };
        Self {
            address,
            options,
            timeouts: Timeouts {
                connect: config.connect_timeout,
                token: config.token_timeout,
            },
            ending: None,
            hub: ClientHub::new(config),
            requests,
            status,
            transport: Transport::None,
            asking: None,
            queues: HashMap::new(),
            replies: HashMap::new(),
            presences: Presences::default(),
            started: HostInstant::now(),
        }
    }

    /// Runs until the client is closed or all its handles are dropped.
    pub(super) async fn run(mut self) {
        self.hub.handle_connect(self.now());
        self.drain();
        loop {
            let is_over = match self.wakeup().await {
                Wakeup::Request(end @ (None | Some(Request::Close))) => {
                    if end.is_none() {
                        self.warn_of_unanswered();
                    }
                    self.hub.handle_disconnect(self.now());
                    true
                }
                Wakeup::Request(Some(request)) => {
                    self.handle_request(request);
                    false
                }
                Wakeup::Opened(link, result) => {
                    self.handle_opened(link, result);
                    false
                }
                Wakeup::Received(link, message) => {
                    self.handle_received(link, message);
                    false
                }
                Wakeup::Answered(request, token) => {
                    self.handle_token(request, token);
                    false
                }
                Wakeup::Deadline => {
                    self.hub.handle_timeout(self.now());
                    false
                }
            };
            self.drain();
            if is_over || self.is_closed() {
                return;
            }
        }
    }

    /// Logs how many publishes have no answer, because no caller is left to be told.
    fn warn_of_unanswered(&self) {
        let count = self.hub.unanswered();
        if count > 0 {
            tracing::warn!(
                count,
                "a client was dropped while publications that it had queued had no answer; Client::close_flushed waits for it"
            );
        }
    }

    /// Whether the client is closed, and won't connect again.
    fn is_closed(&self) -> bool {
        matches!(self.status.borrow().state, ConnectionState::Closed(_))
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.started.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    async fn wakeup(&mut self) -> Wakeup {
        let started = self.started;
        let deadline = self.hub.poll_timeout();
        let sleep = async move {
            match deadline {
                Some(at) => {
                    let at = started + Duration::from_micros(at.as_micros());
                    tokio::time::sleep_until(at).await;
                }
                None => pending().await,
            }
        };
        let transport = async {
            match &mut self.transport {
                Transport::None => pending().await,
                Transport::Connecting { link, future } => Wakeup::Opened(*link, future.await),
                Transport::Open { link, line } => Wakeup::Received(*link, line.next().await),
            }
        };
        let asking = async {
            match &mut self.asking {
                None => pending().await,
                Some((request, future)) => Wakeup::Answered(*request, future.await),
            }
        };
        tokio::select! {
            request = self.requests.recv() => Wakeup::Request(request),
            wakeup = transport => wakeup,
            wakeup = asking => wakeup,
            () = sleep => Wakeup::Deadline,
        }
    }

    fn handle_request(&mut self, request: Request) {
        let now = self.now();
        match request {
            Request::Publish { publish, reply } => {
                let request = self.hub.handle_publish(now, publish);
                self.replies.insert(request, reply);
            }
            Request::Subscribe {
                subscribe,
                queue,
                reply,
                requests,
            } => {
                let result = self.hub.handle_subscribe(now, 0, subscribe);
                // The caller may be gone.
                let _ = reply.send(result.map(|id| {
                    self.queues.insert(id, queue);
                    (id, Lease::new(requests, Request::Unsubscribe(id)))
                }));
            }
            Request::Unsubscribe(id) => self.unsubscribe(id),
            Request::Handled {
                id,
                topic,
                position,
            } => self.hub.handle_handled(now, id, &topic, position),
            Request::Forget(id) => self.hub.handle_forget(now, id),
            Request::Flow { id, flow } => {
                // Validated before it was sent.
                let _ = self.hub.handle_flow(now, id, flow);
            }
            Request::Presence(request) => self.presences.handle(now, &mut self.hub, request),
            Request::Close => {}
        }
    }

    fn unsubscribe(&mut self, id: SubscriptionId) {
        // A subscription that ended by itself still has its queue, for what its reader hasn't taken.
        self.queues.remove(&id);
        self.hub.handle_unsubscribe(self.now(), id);
    }

    fn handle_token(&mut self, request: u32, token: Result<String, String>) {
        self.asking = None;
        let token = token.inspect_err(|error| {
            tracing::warn!(%error, "no token; asking again");
            let fault = Fault::NoToken(error.clone());
            self.status.send_modify(|status| status.note(fault));
        });
        self.hub.handle_token(self.now(), request, token.ok());
    }

    fn handle_opened(&mut self, link: u32, result: Result<Socket, Fault>) {
        let now = self.now();
        match result {
            Ok(socket) => {
                let line = Box::new(Line::new(socket));
                self.transport = Transport::Open { link, line };
                self.hub.handle_opened(now, link);
            }
            Err(fault) => self.lose(link, fault),
        }
    }

    fn handle_received(&mut self, link: u32, message: Option<Result<Message, SocketError>>) {
        match message {
            Some(Ok(Message::Text(text))) => match decode::server_message(&text) {
                Ok(frames) => frames.into_iter().for_each(|frame| {
                    self.ending = Fault::announced_by(&frame).or_else(|| self.ending.take());
                    Status::take_limits(&self.status, &frame);
                    self.hub.handle_frame(self.now(), link, frame);
                }),
                Err(error) => {
                    tracing::warn!(%error, "the server sent something that is not a frame; connecting again");
                    self.lose(link, Fault::Link(error.to_string()));
                }
            },
            Some(Ok(Message::Close(close))) => {
                let said = close.map(|close| format!(": {} {}", close.code, close.reason));
                let said = format!("closed by the server{}", said.unwrap_or_default());
                self.lose(link, Fault::Link(said));
            }
            Some(Ok(
                Message::Binary(_) | Message::Ping(_) | Message::Pong(_) | Message::Frame(_),
            )) => {}
            Some(Err(SocketError::Capacity(CapacityError::MessageTooLong { size, max_size }))) => {
                self.refuse_message(link, size, max_size);
            }
            Some(Err(error)) => self.lose(link, Fault::Link(error.to_string())),
            None => {
                let fault = Fault::Link("the connection was closed".to_owned());
                self.lose(link, fault);
            }
        }
    }

    /// Closes the client, as if the server had refused it: the message would be too long on the next connection, too.
    fn refuse_message(&mut self, link: u32, bytes: usize, bytes_max: usize) {
        let message = format!(
            "the server sent a message of {bytes} bytes, and this client takes {bytes_max}; raise ClientOptions::message_bytes_max"
        );
        tracing::warn!("{message}");
        let error = WireError::new(ErrorCode::TooLarge, message).fatal();
        let frame = ServerFrame::Error(error);
        self.hub.handle_frame(self.now(), link, frame);
    }

    fn lose(&mut self, link: u32, fault: Fault) {
        self.transport = Transport::None;
        // A reason that is known already says more than how the connection ended.
        self.ending.get_or_insert(fault);
        self.hub.handle_closed(self.now(), link);
    }

    /// Returns why the connection ended. Without a noted reason, a token that was requested did not come.
    fn take_ending(&mut self) -> Option<Fault> {
        let seconds = self.timeouts.token.as_secs();
        let no_token = || Fault::NoToken(format!("it did not come within {seconds} s"));
        let is_asking = self.asking.is_some();
        self.ending.take().or_else(|| is_asking.then(no_token))
    }

    fn give_up(&mut self, link: u32) {
        let is_connecting = matches!(
            self.status.borrow().state,
            ConnectionState::Connecting { .. }
        );
        let seconds = self.timeouts.connect.as_secs();
        self.ending.get_or_insert_with(|| {
            Fault::Link(if is_connecting {
                format!("the server did not answer within {seconds} s")
            } else {
                "the server has fallen silent".to_owned()
            })
        });
        self.disconnect(link);
    }

    /// Carries out what the hub asks for.
    fn drain(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                ClientOutput::AskToken { request } => {
                    self.asking = Some((request, self.options.token.next()));
                }
                ClientOutput::Connect { link } => {
                    self.ending = None;
                    self.transport = Transport::Connecting {
                        link,
                        future: connect(self.address.clone(), self.options.clone()),
                    }
                }
                ClientOutput::Disconnect { link } => self.give_up(link),
                ClientOutput::Send(frame) => {
                    if let Transport::Open { line, .. } = &mut self.transport {
                        line.push(encode(&frame), self.hub.message_bytes_max());
                    }
                }
                ClientOutput::State(state) => self.report_state(state),
                ClientOutput::Due(due) => self.deliver(due),
                ClientOutput::Presence(event) => self.presences.deliver(&self.hub, event),
                ClientOutput::Published { request, result } => {
                    if let Some(reply) = self.replies.remove(&request) {
                        // The caller may be gone.
                        let _ = reply.send(result);
                    }
                }
            }
        }
    }

    fn report_state(&mut self, state: ConnectionState) {
        let is_over = state == ConnectionState::Disconnected;
        let ending = if is_over { self.take_ending() } else { None };
        self.status.send_modify(|status| {
            if state == ConnectionState::Connected {
                status.last_error = None;
                status.fault = None;
            }
            // The reason is set together with the state, so that whoever sees the end of a connection also sees why.
            ending.into_iter().for_each(|fault| status.note(fault));
            status.state = state;
        });
    }

    fn disconnect(&mut self, link: u32) {
        match std::mem::replace(&mut self.transport, Transport::None) {
            Transport::Open {
                link: current,
                line,
            } if current == link => {
                // In a task of its own, because nobody waits for the peer's reaction to the close.
                tokio::spawn(line.close());
            }
            Transport::Open { .. } | Transport::Connecting { .. } | Transport::None => {}
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.queues.values().for_each(|queue| queue.finish());
    }
}
