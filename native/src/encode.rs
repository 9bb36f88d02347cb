//! Frames as bytes, each made once and shared.

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

/// A frame as a whole WebSocket message, of which the text alone can be had, too. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Message(Arc<Whole>);

#[derive(Debug)]
struct Whole {
    framed: Bytes,
    header_bytes: usize,
    /// The compressed message, once somebody has needed it; `None` where it would not be shorter.
    deflated: OnceLock<Option<Bytes>>,
}

impl Message {
    /// Frames a text of about `text_bytes`, which `write` appends to what it is given.
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

    /// The message as it goes to a WebSocket that understands permessage-deflate, where that is shorter.
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

    /// Several frames as one message: a JSON array of them.
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

    /// Whether both are the same message in memory.
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

/// A WebSocket frame with a payload of about `payload_bytes`, which `write` appends to what it is given; and how long its
/// header is.
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
    // What is kept with a publication takes no more room than it needs.
    framed.shrink_to_fit();
    (Bytes::from(framed).slice(start..), header.len())
}

/// Encodes the frames of one round: what several connections get is encoded for the first of them.
#[derive(Default)]
pub(crate) struct Encoder {
    /// By the publication's address and the wildcard pattern that it came by.
    by_pattern: HashMap<(usize, Pattern), Encoded<Publication<Json>>>,
    /// By the diff's address: all who watch a topic are told the same.
    diffs: HashMap<usize, Encoded<PresenceDiff<Json>>>,
}

struct Encoded<T> {
    message: Message,
    /// Kept so that its address stays its own.
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

    /// Lets go of the messages of a round that is over.
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

/// The message of a frame; an exact subscriber's publication is encoded by whoever needs it first.
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

/// A delta is made for one base: all exact subscribers who have it get the same message.
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

/// Written by hand, because the payload is text already and must not be parsed to be embedded. With a base, it is a delta.
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

// By its path, because a benchmark takes this file in by its path.
#[cfg(test)]
#[path = "encode/tests.rs"]
mod tests;
