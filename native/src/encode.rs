//! Encodes frames, each once for all connections that get it.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tidegate_core::presence::PresenceDiff;
use tidegate_core::protocol::{ServerEnvelope, ServerFrame};
use tidegate_core::publication::Publication;
use tidegate_core::topic::Pattern;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Data, OpCode};

use crate::deflate::Deflater;
use crate::json::Json;

/// The longest header that a server's message has.
const HEADER_BYTES_MAX: usize = 10;

/// A frame, encoded as a complete WebSocket message. Its JSON text is also available by itself. Clones share the bytes.
#[derive(Clone, Debug)]
pub(crate) struct Message(Arc<Whole>);

#[derive(Debug)]
struct Whole {
    framed: Bytes,
    header_bytes: usize,
    /// The compressed message, computed on first use; `None` if it would not be shorter.
    deflated: OnceLock<Option<Bytes>>,
}

impl Message {
    /// Makes a message of the text that `write` appends to a buffer. `text_bytes` is an estimate of its length.
    pub(crate) fn new(text_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> Self {
        let opcode = OpCode::Data(Data::Text);
        let (framed, header_bytes) = frame(opcode, false, text_bytes, write);
        Self(Arc::new(Whole {
            framed,
            header_bytes,
            deflated: OnceLock::new(),
        }))
    }

    /// The message as it goes to a WebSocket.
    pub(crate) fn framed(&self) -> &Bytes {
        &self.0.framed
    }

    /// The message as it goes to a WebSocket that has negotiated permessage-deflate; `None` if compressing doesn't make it shorter.
    pub(crate) fn deflated(&self, deflater: &mut Deflater) -> Option<&Bytes> {
        let deflate = || {
            let (text, mut is_shorter) = (self.text_bytes(), false);
            let opcode = OpCode::Data(Data::Text);
            let (framed, _) = frame(opcode, true, text.len(), |out| {
                is_shorter = deflater.deflate(text, out);
            });
            is_shorter.then_some(framed)
        };
        self.0.deflated.get_or_init(deflate).as_ref()
    }

    /// The length of the text.
    pub(crate) fn text_len(&self) -> usize {
        self.0.framed.len() - self.0.header_bytes
    }

    /// The frame's JSON text.
    pub(crate) fn text_bytes(&self) -> &[u8] {
        &self.0.framed[self.0.header_bytes..]
    }

    /// Joins several frames into one message: a JSON array.
    pub(crate) fn join<'a>(messages: impl Iterator<Item = &'a Self> + Clone) -> Self {
        let bytes = messages
            .clone()
            .map(|message| message.text_bytes().len() + 1)
            .sum::<usize>()
            + 1;
        Self::new(bytes, |text| {
            for (index, message) in messages.enumerate() {
                text.push(if index == 0 { b'[' } else { b',' });
                text.extend_from_slice(message.text_bytes());
            }
            text.push(b']');
        })
    }

    /// Returns whether both are the same message in memory.
    pub(crate) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// A control frame of the WebSocket protocol itself.
pub(crate) fn control(opcode: OpCode, payload: &[u8]) -> Bytes {
    let (framed, _) = frame(opcode, false, payload.len(), |out| {
        out.extend_from_slice(payload);
    });
    framed
}

/// Returns a WebSocket frame with the payload that `write` appends to a buffer, and the length of the frame's header. `payload_bytes` is an
/// estimate of the payload's length.
fn frame(
    opcode: OpCode,
    is_deflated: bool,
    payload_bytes: usize,
    write: impl FnOnce(&mut Vec<u8>),
) -> (Bytes, usize) {
    // Room for the longest header before the payload, so that it need not be moved.
    let mut framed = Vec::with_capacity(HEADER_BYTES_MAX + payload_bytes);
    framed.resize(HEADER_BYTES_MAX, 0);
    write(&mut framed);
    let mut header = Vec::with_capacity(HEADER_BYTES_MAX);
    let fields = FrameHeader {
        opcode,
        rsv1: is_deflated,
        ..FrameHeader::default()
    };
    fields
        .format((framed.len() - HEADER_BYTES_MAX) as u64, &mut header)
        .expect("a Vec takes every write");
    let start = HEADER_BYTES_MAX - header.len();
    framed[start..HEADER_BYTES_MAX].copy_from_slice(&header);
    // A publication keeps its message, so spare capacity is given back.
    framed.shrink_to_fit();
    (Bytes::from(framed).slice(start..), header.len())
}

/// Encodes the frames of one round. A frame that several connections get is encoded for the first of them.
#[derive(Default)]
pub(crate) struct Encoder {
    /// By the publication's address and the wildcard pattern that it came by.
    by_pattern: HashMap<(usize, Pattern), Encoded<Publication<Json>>>,
    /// By the diff's address: all watchers of a topic get the same diff.
    diffs: HashMap<usize, Encoded<PresenceDiff<Json>>>,
}

struct Encoded<T> {
    message: Message,
    /// Kept so that its address, which is the key, is not reused.
    _source: Arc<T>,
}

impl Encoder {
    /// The message of a frame.
    pub(crate) fn message(&mut self, frame: &ServerFrame<Json>) -> Message {
        if let ServerFrame::Publication {
            publication,
            via: Some(via),
        }
        | ServerFrame::Delta {
            publication,
            via: Some(via),
            ..
        } = frame
        {
            let key = (Arc::as_ptr(publication).addr(), via.clone());
            let encoded = self.by_pattern.entry(key);
            encoded
                .or_insert_with(|| Encoded::new(frame, publication))
                .message
                .clone()
        } else if let ServerFrame::PresenceDiff(diff) = frame {
            let encoded = self.diffs.entry(Arc::as_ptr(diff).addr());
            encoded
                .or_insert_with(|| Encoded::new(frame, diff))
                .message
                .clone()
        } else {
            message(frame)
        }
    }

    /// Drops the messages of the finished round.
    pub(crate) fn forget(&mut self) {
        self.by_pattern.clear();
        self.diffs.clear();
    }
}

impl<T> Encoded<T> {
    fn new(frame: &ServerFrame<Json>, source: &Arc<T>) -> Self {
        Self {
            message: message(frame),
            _source: Arc::clone(source),
        }
    }
}

/// Returns the message of a frame. The message for a publication's exact subscribers is kept with the publication, and encoded on first
/// use.
pub(crate) fn message(frame: &ServerFrame<Json>) -> Message {
    match frame {
        ServerFrame::Publication {
            publication,
            via: None,
        } => publication_message(publication).clone(),
        ServerFrame::Publication { publication, via } => {
            let text_bytes = publication.payload.as_str().len() + 384;
            Message::new(text_bytes, |text| {
                write_publication(text, publication, via.as_ref(), None)
            })
        }
        ServerFrame::Delta {
            publication,
            base,
            via,
        } => delta(publication, *base, via.as_ref()),
        ServerFrame::Batch { items, via } => batch(items, via.as_ref()),
        ServerFrame::Welcome { .. }
        | ServerFrame::Subscribed { .. }
        | ServerFrame::Unsubscribed { .. }
        | ServerFrame::Reset { .. }
        | ServerFrame::Lagged { .. }
        | ServerFrame::End { .. }
        | ServerFrame::Published { .. }
        | ServerFrame::PresenceState(_)
        | ServerFrame::PresenceDiff(_)
        | ServerFrame::Error(_)
        | ServerFrame::Ping
        | ServerFrame::Pong
        | ServerFrame::Drain { .. }
        | ServerFrame::Stale
        | ServerFrame::Live => Message::new(128, |text| {
            serde_json::to_writer(text, &ServerEnvelope::from(frame))
                .expect("frames have a JSON form");
        }),
    }
}

/// The message that all exact subscribers of a publication get.
pub(crate) fn publication_message(publication: &Publication<Json>) -> &Message {
    publication.payload.message.get_or_init(|| {
        let text_bytes = publication.payload.as_str().len() + publication.topic.as_str().len() + 96;
        Message::new(text_bytes, |text| {
            write_publication(text, publication, None, None)
        })
    })
}

/// Returns the message of a delta. It is relative to one base, so all exact subscribers that have this base get the same message.
fn delta(publication: &Publication<Json>, base: u64, via: Option<&Pattern>) -> Message {
    let encode = || {
        let text_bytes = publication.payload.as_str().len() + 384;
        Message::new(text_bytes, |text| {
            write_publication(text, publication, via, Some(base));
        })
    };
    match via {
        None => publication.payload.message.get_or_init(encode).clone(),
        Some(_) => encode(),
    }
}

fn batch(items: &[Arc<Publication<Json>>], via: Option<&Pattern>) -> Message {
    let text_bytes = items
        .iter()
        .map(|item| item.payload.as_str().len() + 384)
        .sum::<usize>()
        + 32;
    Message::new(text_bytes, |text| {
        text.extend_from_slice(br#"{"type":"batch","items":["#);
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                text.push(b',');
            }
            match via {
                None => text.extend_from_slice(publication_message(item).text_bytes()),
                Some(via) => write_publication(text, item, Some(via), None),
            }
        }
        text.extend_from_slice(b"]}");
    })
}

/// Writes the frame by hand: the payload is JSON text already, and is embedded without being parsed. With a base, the frame is a delta.
pub(crate) fn write_publication(
    text: &mut Vec<u8>,
    publication: &Publication<Json>,
    via: Option<&Pattern>,
    base: Option<u64>,
) {
    let written = (|| {
        text.extend_from_slice(br#"{"type":"pub","topic":"#);
        serde_json::to_writer(&mut *text, publication.topic.as_str())?;
        let position = publication.position;
        write!(
            text,
            r#","epoch":{},"offset":{}"#,
            position.epoch, position.offset
        )?;
        if let Some(via) = via {
            text.extend_from_slice(br#","via":"#);
            serde_json::to_writer(&mut *text, via.as_str())?;
        }
        if let Some(end) = publication.end {
            write!(text, r#","end":"{end}""#)?;
        }
        match base {
            None => text.extend_from_slice(br#","data":"#),
            Some(base) => write!(text, r#","base":{base},"delta":"#)?,
        }
        text.extend_from_slice(publication.payload.as_str().as_bytes());
        text.push(b'}');
        Ok::<(), std::io::Error>(())
    })();
    written.expect("a Vec takes every write");
}

// With its path, because a benchmark includes this file by its path.
#[cfg(test)]
#[path = "encode/tests.rs"]
mod tests;
