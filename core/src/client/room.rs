//! Checking the length of frames before sending: a server closes the connection if a message is too long, and would do
//! so again on the next one.

use super::Client;
use crate::payload::Payload;
use crate::protocol::{ErrorCode, PublishRequest, WireError};
use crate::words::{decimal, sentence};

/// The most bytes of a frame besides its payload and texts: braces, member names, numbers.
const FRAME_OVERHEAD_BYTES: usize = 160;

impl<P: Payload + Clone> Client<P> {
    /// The longest message that the server accepts, in bytes, if it has said so.
    pub const fn message_bytes_max(&self) -> Option<u64> {
        self.message_bytes_max
    }

    /// Checks that a publish is not too long for the server.
    pub(super) fn check_publish(&self, publish: &PublishRequest<P>) -> Result<(), WireError> {
        let id = publish.id.as_deref().map_or(0, str::len);
        self.check(
            "publication",
            &publish.payload,
            publish.topic.as_str().len() + id,
        )
    }

    /// Checks that a frame with `payload` and texts of `text_bytes` is not too long for the server.
    pub(super) fn check(
        &self,
        what: &str,
        payload: &P,
        text_bytes: usize,
    ) -> Result<(), WireError> {
        let Some(most) = self.message_bytes_max else {
            return Ok(());
        };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let bytes = payload.encoded_bytes();
        // Each byte of a text may have to be escaped, as `\u0000`.
        if bytes.saturating_add(6 * text_bytes + FRAME_OVERHEAD_BYTES) <= most {
            return Ok(());
        }
        let (bytes, most) = (decimal(bytes), decimal(most));
        Err(WireError::new(
            ErrorCode::TooLarge,
            sentence(&[
                "the ",
                what,
                " has ",
                &bytes,
                " bytes, and the server takes messages of at most ",
                &most,
                ": split it, or raise the server's limit",
            ]),
        ))
    }
}
