//! Answers that may be long. Their total size is bounded, and a slow reader holds up no more than its own answer.

use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body as AnyBody;
use axum::http::StatusCode;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse as _, Response};
use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tidegate_core::protocol::ErrorCode;

use super::error::HttpError;
use crate::Hub;
use crate::access::Pass;
use crate::hub::Room;

/// The most bytes of payloads in an answer; a single payload may have more.
pub(super) const ANSWER_BYTES_MAX: usize = 4 << 20;

/// How much is handed over at a time. What the HTTP server has copied for writing no longer counts.
const PART_BYTES: usize = 64 << 10;

/// The bytes of an answer. They count until they are written, and so does the caller's connection.
struct Counted {
    bytes: Vec<u8>,
    _room: Room,
    _pass: Pass,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// A body that is handed over part by part.
struct Parts(Bytes);

/// An answer with the JSON that `write` appends to a buffer. `about_bytes` is an estimate of its length.
///
/// # Errors
/// If there is no room for it now.
pub(super) fn json(
    hub: &Hub,
    pass: Pass,
    about_bytes: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> Result<Response, HttpError> {
    let mut room = hub.answers().begin();
    // One answer is always possible, however long it is.
    let bytes_max = hub.answers().bytes_max();
    let taken = room.take(about_bytes.min(bytes_max));
    taken.map_err(|_| no_room(bytes_max))?;
    let mut bytes = Vec::with_capacity(about_bytes);
    write(&mut bytes);
    let bytes = Bytes::from_owner(Counted {
        bytes,
        _room: room,
        _pass: pass,
    });
    let headers = [
        (CONTENT_TYPE, "application/json"),
        // The value may change at any moment, and is for this caller only.
        (CACHE_CONTROL, "no-store"),
    ];
    Ok((headers, AnyBody::new(Parts(bytes))).into_response())
}

fn no_room(bytes_max: usize) -> HttpError {
    HttpError::new(
        StatusCode::SERVICE_UNAVAILABLE,
        ErrorCode::Unavailable,
        format!(
            "answers in progress have reached their limit of {bytes_max} bytes; try again later"
        ),
    )
}

impl Body for Parts {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let part = self.0.len().min(PART_BYTES);
        let part = (part > 0).then(|| Ok(Frame::data(self.0.split_to(part))));
        Poll::Ready(part)
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.len() as u64)
    }
}
