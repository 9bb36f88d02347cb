//! A server and bare connections to it: the test writes each frame, which passes through its JSON text.

use std::collections::VecDeque;

use core::time::Duration;

use serde_json::{Value, json};
use tidegate_core::hub::{ConnectionId, ServerConfig, ServerHub, ServerOutput};
use tidegate_core::protocol::{
    ClientEnvelope, ClientFrame, ErrorCode, PublishRequest, ServerEnvelope, ServerFrame, WireError,
};
use tidegate_core::session::CloseReason;
use tidegate_core::time::Instant;

use crate::json::Json;
use crate::restless::wake_early;
use crate::topic;

/// A server with connections whose transports accept frames only when the test takes them.
#[derive(Debug)]
pub struct Wire {
    /// The machine under test.
    pub server: ServerHub<Json>,
    /// The virtual clock.
    pub now: Instant,
    outputs: VecDeque<ServerOutput>,
}

impl Wire {
    /// A server at the origin of time.
    pub fn new(config: ServerConfig) -> Self {
        Self {
            server: ServerHub::new(config),
            now: Instant::ZERO,
            outputs: VecDeque::new(),
        }
    }

    /// A new connection.
    pub fn open(&mut self) -> ConnectionId {
        self.server.handle_open(self.now)
    }

    /// A new connection that has said hello and was welcomed.
    ///
    /// # Panics
    /// If the server says anything but welcome.
    pub fn welcomed(&mut self) -> ConnectionId {
        let id = self.open();
        assert_eq!(self.said(id, &json!({ "type": "hello" })), ["welcome"]);
        id
    }

    /// The client of `id` sends `frame`, as text.
    pub fn send(&mut self, id: ConnectionId, frame: &Value) {
        let frame = serde_json::from_value::<ClientEnvelope<Json>>(frame.clone())
            .map_err(|error| WireError::new(ErrorCode::BadFrame, error.to_string()))
            .and_then(|envelope| ClientFrame::try_from(envelope).map_err(|error| error.to_wire()));
        match frame {
            Ok(frame) => self.server.handle_frame(self.now, id, frame),
            Err(error) => self.server.handle_bad_frame(self.now, id, error),
        }
    }

    /// Sends a frame, and returns the server's frames for that connection.
    pub fn answer(&mut self, id: ConnectionId, frame: &Value) -> Vec<Value> {
        self.send(id, frame);
        self.receive(id)
    }

    /// Sends a frame, and returns the kinds of the server's frames.
    pub fn said(&mut self, id: ConnectionId, frame: &Value) -> Vec<String> {
        kinds(&self.answer(id, frame))
    }

    /// Publishes a payload on the server's behalf.
    ///
    /// # Panics
    /// If that is refused.
    pub fn publish(&mut self, to: &str, data: impl Into<Json>) {
        let request = PublishRequest::new(topic(to), data.into());
        self.server
            .handle_publish(self.now, request)
            .expect("the topic is open");
    }

    /// Takes everything that waits for `id`, as JSON.
    pub fn receive(&mut self, id: ConnectionId) -> Vec<Value> {
        std::iter::from_fn(|| self.receive_one(id)).collect()
    }

    /// Takes the next frame that waits for `id`.
    ///
    /// # Panics
    /// If the frame has no JSON form.
    pub fn receive_one(&mut self, id: ConnectionId) -> Option<Value> {
        Some(text_of(&self.server.poll_frame(id)?))
    }

    /// What the server asked its host to do since the last call.
    pub fn outputs(&mut self) -> Vec<ServerOutput> {
        self.take_outputs();
        self.outputs.drain(..).collect()
    }

    /// Which connections the server wants closed since the last call, and why.
    pub fn closes(&mut self) -> Vec<(ConnectionId, CloseReason)> {
        let close = |output| match output {
            ServerOutput::Close(id, reason) => Some((id, reason)),
            ServerOutput::Ready(_) => None,
        };
        self.outputs().into_iter().filter_map(close).collect()
    }

    /// Lets time pass, waking the server when it asked for it.
    ///
    /// # Panics
    /// If the server asks for a time that has passed.
    pub fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        self.wake_early();
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.take_outputs();
            assert!(
                self.server
                    .poll_timeout()
                    .is_none_or(|next| next > self.now),
                "the server asks to be woken in the past"
            );
        }
        self.now = end;
        self.wake_early();
    }

    fn wake_early(&mut self) {
        self.take_outputs();
        wake_early(&mut self.server, self.now, |server| server.poll_output());
    }

    fn take_outputs(&mut self) {
        self.outputs
            .extend(std::iter::from_fn(|| self.server.poll_output()));
    }
}

/// The JSON of a frame.
///
/// # Panics
/// If the frame has no JSON form.
pub fn text_of(frame: &ServerFrame<Json>) -> Value {
    serde_json::to_value(ServerEnvelope::from(frame)).expect("frames have a JSON form")
}

/// A frame that subscribes.
pub fn subscribe(pattern: &str) -> Value {
    json!({ "type": "subscribe", "pattern": pattern })
}

/// The `type` members of frames, with their code for errors: what most tests compare.
pub fn kinds(frames: &[Value]) -> Vec<String> {
    frames
        .iter()
        .map(|frame| match (&frame["type"], &frame["code"]) {
            (Value::String(kind), Value::String(code)) => format!("{kind} {code}"),
            (Value::String(kind), _) => kind.clone(),
            _ => panic!("a frame without a type: {frame}"),
        })
        .collect()
}

/// The payloads of publications, batches included.
pub fn payloads(frames: &[Value]) -> Vec<Value> {
    frames
        .iter()
        .flat_map(|frame| match frame["type"].as_str() {
            Some("pub") => vec![frame["data"].clone()],
            Some("batch") => frame["items"]
                .as_array()
                .expect("a batch has items")
                .iter()
                .map(|item| item["data"].clone())
                .collect(),
            _ => Vec::new(),
        })
        .collect()
}
