//! Arbitrary bytes, as they might arrive on a socket.

use super::{Incoming, Intake, Reader, Violation};
use crate::hub::Bodies;

const MESSAGE_BYTES_MAX: usize = 300;

/// The most that is kept of one message: some fragments, and a frame that is not complete.
const KEPT_BYTES_MAX: usize = 2 * MESSAGE_BYTES_MAX + super::HEADER_BYTES_MAX;

/// However the bytes are cut into reads, they are the same messages, none is longer than allowed, and what is kept of unfinished ones is
/// bounded.
pub(crate) fn websocket(bytes: &[u8]) {
    let Some((cut, bytes)) = bytes.split_first() else {
        return;
    };
    let whole = read([bytes]);
    let pieces = read(bytes.chunks(1 + usize::from(*cut) % 9));
    assert_eq!(whole, pieces);
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Incoming>, Result<(), Violation>) {
    let mut reader = Reader::new(MESSAGE_BYTES_MAX, true);
    let mut intake = Intake::new(Bodies::new(2 * KEPT_BYTES_MAX, MESSAGE_BYTES_MAX));
    let mut messages = Vec::new();
    for piece in pieces {
        if let Err(violation) = reader.receive(piece, &mut intake, |it| messages.push(it)) {
            return (messages, Err(violation));
        }
        let unfinished = reader.unfinished.as_deref();
        let kept = unfinished.map_or(0, super::Unfinished::bytes);
        assert!(kept <= KEPT_BYTES_MAX, "{kept}");
        assert_eq!(intake.bodies.held(), kept);
    }
    let too_long =
        |it: &&Incoming| matches!(it, Incoming::Text(text) if text.len() > MESSAGE_BYTES_MAX);
    assert_eq!(messages.iter().find(too_long), None);
    (messages, Ok(()))
}
