//! Reads the body of a request, within the room for all bodies.

use std::future::poll_fn;
use std::pin::pin;

use axum::body::Body;
use axum::http::StatusCode;
use hyper::body::Body as _;
use tidegate_core::protocol::ErrorCode;

use super::error::HttpError;
use crate::Hub;
use crate::hub::{NoRoom, Room};

/// A complete body. Its bytes count until it is dropped.
pub(super) struct Whole {
    bytes: Vec<u8>,
    _room: Room,
}

impl Whole {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads a body to its end.
pub(super) async fn read(hub: &Hub, body: Body) -> Result<Whole, HttpError> {
    let bytes_max = hub.frame_bytes_max();
    // A body that announces that it is too large needn't be read.
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large(bytes_max));
    }
    let mut body = pin!(body);
    let mut room = hub.bodies().begin();
    let mut bytes = Vec::new();
    while let Some(frame) = poll_fn(|context| body.as_mut().poll_frame(context)).await {
        let frame = frame.map_err(|error| unread(&error))?;
        // Trailers have no meaning here.
        let Ok(chunk) = frame.into_data() else {
            continue;
        };
        if chunk.len() > bytes_max - bytes.len() {
            return Err(too_large(bytes_max));
        }
        room.take(chunk.len())?;
        bytes.extend_from_slice(&chunk);
    }
    Ok(Whole { bytes, _room: room })
}

fn too_large(bytes_max: usize) -> HttpError {
    HttpError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        ErrorCode::TooLarge,
        format!("a body may have {bytes_max} bytes"),
    )
}

/// The error for a body that was not read to its end.
fn unread(error: &axum::Error) -> HttpError {
    if crate::serve::is_late_body(error) {
        return HttpError::new(
            StatusCode::REQUEST_TIMEOUT,
            ErrorCode::Timeout,
            "the body did not come in time",
        );
    }
    let message = format!("the body could not be read: {error}");
    HttpError::bad_request(ErrorCode::BadFrame, message)
}

impl From<NoRoom> for HttpError {
    fn from(error: NoRoom) -> Self {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        Self::new(status, ErrorCode::Unavailable, error.to_string())
    }
}
