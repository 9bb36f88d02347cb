//! Hands the connection of an answer to a shard, which writes the body.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use axum::http::header::{
    CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, DATE, HeaderName, TRANSFER_ENCODING,
};
use axum::http::{Response, StatusCode};

use super::connection::ClientStream;
use crate::event_stream::EventStream;

/// An event stream that waits for its writer. It travels with the answer as an extension: our serving loop takes it, and hands the
/// connection to the shard. If nobody takes it, the body of the answer writes the same stream.
#[derive(Clone)]
pub(crate) struct Handover(Arc<Mutex<Option<EventStream>>>);

/// What the new owner of a connection gets in addition to it.
pub(super) struct TakenOver {
    head: Vec<u8>,
    events: EventStream,
}

impl Handover {
    pub(crate) fn new(events: EventStream) -> Self {
        Self(Arc::new(Mutex::new(Some(events))))
    }

    /// Calls `look` with the stream, unless it has been taken.
    pub(crate) fn with<T>(&self, look: impl FnOnce(&mut EventStream) -> T) -> Option<T> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
            .map(look)
    }

    /// Takes the stream out of its answer, unless a layer of the application has transformed the body.
    pub(super) fn take<B>(&self, answer: &Response<B>) -> Option<TakenOver> {
        let is_changed = [CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING]
            .iter()
            .any(|name| answer.headers().contains_key(name));
        if is_changed || answer.status() != StatusCode::OK {
            return None;
        }
        let events = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()?;
        Some(TakenOver {
            head: head(answer),
            events,
        })
    }
}

impl TakenOver {
    /// Hands the connection to the shard.
    pub(super) fn hand(self, stream: impl ClientStream) {
        match stream.into_transport() {
            Ok(transport) => self.events.hand_over(transport, self.head),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be handed over, and is closed");
            }
        }
    }
}

/// The head of an answer that ends with its connection. Its body is chunked, so that clients can tell its end from a lost connection.
fn head<B>(answer: &Response<B>) -> Vec<u8> {
    let mut head = b"HTTP/1.1 200 OK\r\n".to_vec();
    let mut line = |name: &HeaderName, value: &[u8]| {
        head.extend_from_slice(name.as_str().as_bytes());
        head.extend_from_slice(b": ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    };
    for (name, value) in answer.headers() {
        if *name != CONNECTION && *name != DATE {
            line(name, value.as_bytes());
        }
    }
    line(&TRANSFER_ENCODING, b"chunked");
    line(&CONNECTION, b"close");
    line(&DATE, httpdate::fmt_http_date(SystemTime::now()).as_bytes());
    head.extend_from_slice(b"\r\n");
    head
}
