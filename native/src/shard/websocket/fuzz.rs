//! Any bytes, as they come from a socket.

use super::{Incoming, Reader, Violation};
use crate::deflate::Inflater;

const MESSAGE_BYTES_MAX: usize = 300;

/// However the bytes are cut into pieces, they are the same messages, none longer than may be, and what is kept of unfinished ones is bounded.
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
    let mut inflater = Inflater::default();
    let mut messages = Vec::new();
    for piece in pieces {
        if let Err(violation) = reader.receive(piece, &mut inflater, |it| messages.push(it)) {
            return (messages, Err(violation));
        }
        let unfinished = reader.unfinished.as_deref();
        let kept = unfinished.map_or(0, |it| {
            it.partial.len() + it.message.as_ref().map_or(0, |it| it.bytes.len())
        });
        assert!(
            kept <= 2 * MESSAGE_BYTES_MAX + super::HEADER_BYTES_MAX,
            "{kept}"
        );
    }
    let too_long =
        |it: &&Incoming| matches!(it, Incoming::Text(text) if text.len() > MESSAGE_BYTES_MAX);
    assert_eq!(messages.iter().find(too_long), None);
    (messages, Ok(()))
}
