//! Event streams, from the request that opens one to the bytes of its events. They are written either by an HTTP
//! server, as the body of a response, or by a shard, straight to the socket.

mod count;
mod position_id;
mod standing;

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use tidegate_core::event_stream::EventStreamConfig;

use crate::access::Pass;
use crate::shard::{Command, LocalReader, Transport};
pub(crate) use count::{OpenStream, OpenStreams};
pub(crate) use position_id::{Beginning, PositionId};
pub(crate) use standing::{Standing, write_publication};

/// What every stream begins with: how long an `EventSource` waits before it connects again, in milliseconds.
pub(crate) const OPENING: &[u8] = b"retry: 2000\n\n";

/// A comment, which keeps a silent stream alive.
pub(crate) const ALIVE: &[u8] = b":\n\n";

/// The end of a chunked body.
pub(crate) const LAST_CHUNK: &[u8] = b"0\r\n\r\n";

/// Space for the size of a chunk, which precedes it: eight digits and the end of the line.
const SIZE_BYTES_MAX: usize = 10;

/// A stream that has been opened, and has no writer yet.
pub(crate) struct EventStream {
    pub(crate) reader: LocalReader,
    pub(crate) context: StreamContext,
}

/// The state of a stream, whether an HTTP server or a shard writes it.
pub(crate) struct StreamContext {
    pub(crate) standing: Standing,
    /// When the client has to authenticate again.
    pub(crate) ends: Option<SystemTime>,
    pub(crate) deadlines: EventStreamConfig,
    pub(crate) _counted: OpenStream,
    pub(crate) _pass: Pass,
}

impl EventStream {
    pub(crate) const fn new(reader: LocalReader, context: StreamContext) -> Self {
        Self { reader, context }
    }

    /// Gives the stream to its shard, which writes it to the socket after the head of the response.
    pub(crate) fn hand_over(self, transport: Transport, head: Vec<u8>) {
        let Self { reader, context } = self;
        reader.give_up(|id| {
            Command::Adopt(Box::new(Adoption {
                id,
                transport,
                head,
                context,
            }))
        });
    }
}

/// A stream on its way to its shard.
pub(crate) struct Adoption {
    pub(crate) id: tidegate_core::hub::ConnectionId,
    pub(crate) transport: Transport,
    pub(crate) head: Vec<u8>,
    pub(crate) context: StreamContext,
}

impl StreamContext {
    /// How long the stream may still last; `None` for no limit.
    pub(crate) fn ends_in(&self) -> Option<Duration> {
        let left = self.ends?.duration_since(SystemTime::now());
        Some(left.unwrap_or(Duration::ZERO))
    }
}

/// Returns a chunk with the bytes that `write` appends to the buffer; `None` if it appends nothing.
pub(crate) fn chunk(mut room: Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> Option<Bytes> {
    room.clear();
    room.resize(SIZE_BYTES_MAX, 0);
    write(&mut room);
    let bytes = room.len() - SIZE_BYTES_MAX;
    if bytes == 0 {
        return None;
    }
    let size = format!("{bytes:x}\r\n");
    let start = SIZE_BYTES_MAX - size.len();
    room[start..SIZE_BYTES_MAX].copy_from_slice(size.as_bytes());
    room.extend_from_slice(b"\r\n");
    Some(Bytes::from(room).slice(start..))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chunk_has_its_size_before_it() {
        for bytes in [1_usize, 15, 16, 4_095, 4_096, 70_000] {
            let chunk = chunk(Vec::new(), |out| out.resize(out.len() + bytes, b'x')).expect("one");
            let expected = format!("{bytes:x}\r\n{}\r\n", "x".repeat(bytes));
            assert_eq!(chunk, expected.as_bytes());
        }
        assert_eq!(
            chunk(vec![1, 2, 3], |_| {}),
            None,
            "an empty one would end the body"
        );
    }
}
