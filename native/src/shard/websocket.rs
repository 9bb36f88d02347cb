//! Parses what a client sends over a WebSocket: from bytes to messages (RFC 6455). tungstenite parses the headers.

#[cfg(feature = "fuzzing")]
pub(super) mod fuzz;
mod intake;

use std::io::Cursor;

use tidegate_core::time::Instant;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::deflate::{InflateError, Inflater};
use crate::hub::Room;
pub(super) use intake::Intake;

/// The longest header that a client's frame can have.
const HEADER_BYTES_MAX: usize = 14;

/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(String),
    /// Has to be answered by a pong with the same payload.
    Ping(Vec<u8>),
    Pong,
    Close,
}

/// What a client may not send. The connection is closed with the code.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Violation {
    #[error("a client's frames must be masked")]
    Unmasked,
    #[error("the frame breaks the WebSocket protocol")]
    Malformed,
    #[error("only text messages are understood")]
    Binary,
    #[error("a message must be valid UTF-8")]
    NotUtf8,
    #[error("a message may have {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
    #[error("there is no room for the message; try again later")]
    NoRoom,
}

impl Violation {
    pub(super) fn close_code(&self) -> CloseCode {
        match self {
            Self::Unmasked | Self::Malformed => CloseCode::Protocol,
            Self::Binary => CloseCode::Unsupported,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::TooLarge { .. } => CloseCode::Size,
            Self::NoRoom => CloseCode::Again,
        }
    }
}

/// Assembles messages. It holds at most one unfinished message, and nothing while idle.
#[derive(Debug)]
pub(super) struct Reader {
    /// Boxed, because most connections have no unfinished message, and there are many of them.
    unfinished: Option<Box<Unfinished>>,
    message_bytes_max: usize,
    /// Whether messages may be compressed.
    deflates: bool,
    /// Whether the client has yet to authenticate.
    is_strangers: bool,
}

#[derive(Debug, Default)]
struct Unfinished {
    /// Bytes of a frame that is not complete yet.
    partial: Vec<u8>,
    /// The fragments of a message that is not complete yet.
    message: Option<Fragments>,
    /// The part that both take of the room for all connections.
    room: Option<Room>,
    /// When the first bytes of the message were kept.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Fragments {
    bytes: Vec<u8>,
    is_deflated: bool,
}

impl Unfinished {
    fn bytes(&self) -> usize {
        self.partial.len() + self.message.as_ref().map_or(0, |it| it.bytes.len())
    }
}

impl Reader {
    pub(super) const fn new(message_bytes_max: usize, deflates: bool) -> Self {
        Self {
            unfinished: None,
            message_bytes_max,
            deflates,
            is_strangers: false,
        }
    }

    /// Whether a message or its header has begun and is not complete.
    pub(super) const fn is_within_message(&self) -> bool {
        self.unfinished.is_some()
    }

    pub(super) const fn note_stranger(&mut self, is_stranger: bool) {
        self.is_strangers = is_stranger;
    }

    /// Takes received bytes, and passes each complete message to `take`.
    ///
    /// # Errors
    /// At the first thing that a client may not send. Nothing after it is read.
    pub(super) fn receive(
        &mut self,
        received: &[u8],
        intake: &mut Intake,
        mut take: impl FnMut(Incoming),
    ) -> Result<(), Violation> {
        let inflater = &mut intake.inflater;
        let known = self.unfinished.as_mut();
        let mut bytes = known.map_or_else(Vec::new, |known| std::mem::take(&mut known.partial));
        if bytes.is_empty() {
            let used = self.receive_frames(received, inflater, &mut take)?;
            self.keep(received[used..].to_vec());
        } else {
            bytes.extend_from_slice(received);
            let used = self.receive_frames(&bytes, inflater, &mut take)?;
            if used > 0 {
                bytes.drain(..used);
                bytes.shrink_to_fit();
            }
            self.keep(bytes);
        }
        self.count(intake)
    }

    /// Takes as much room as the kept bytes need, or gives it back.
    fn count(&mut self, intake: &Intake) -> Result<(), Violation> {
        let Some(unfinished) = &mut self.unfinished else {
            return Ok(());
        };
        let held = unfinished.bytes();
        let since = *unfinished.since.get_or_insert(intake.now);
        let age = intake.now.saturating_since(since);
        let room = unfinished.room.get_or_insert_with(|| intake.bodies.begin());
        room.hold(held, self.is_strangers, age)
            .map_err(|_| Violation::NoRoom)
    }

    /// Keeps the beginning of a frame for later. Holds nothing if there is none and no message is unfinished.
    fn keep(&mut self, partial: Vec<u8>) {
        if !partial.is_empty() {
            self.unfinished.get_or_insert_default().partial = partial;
        } else if self.fragments().is_none() {
            self.unfinished = None;
        }
    }

    /// The message that further fragments belong to.
    fn fragments(&self) -> Option<&Fragments> {
        self.unfinished.as_ref()?.message.as_ref()
    }

    fn receive_frames(
        &mut self,
        bytes: &[u8],
        inflater: &mut Inflater,
        take: &mut impl FnMut(Incoming),
    ) -> Result<usize, Violation> {
        let mut used = 0;
        while let Some((header, payload)) = self.next_frame(&bytes[used..])? {
            let payload_end = used + payload.end;
            let payload = &bytes[used + payload.start..payload_end];
            if let Some(message) = self.handle_frame(&header, payload, take)? {
                take(Incoming::Text(self.text(message, inflater)?));
                // Anything kept from here on belongs to another message.
                if let Some(unfinished) = &mut self.unfinished {
                    unfinished.since = None;
                }
            }
            used = payload_end;
        }
        Ok(used)
    }

    /// The header of the next frame and the range of its payload, once all of it has arrived.
    fn next_frame(
        &self,
        bytes: &[u8],
    ) -> Result<Option<(FrameHeader, std::ops::Range<usize>)>, Violation> {
        let mut cursor = Cursor::new(&bytes[..bytes.len().min(HEADER_BYTES_MAX)]);
        let Some((header, length)) =
            FrameHeader::parse(&mut cursor).map_err(|_| Violation::Malformed)?
        else {
            return Ok(None);
        };
        self.check(&header, length)?;
        let start = usize::try_from(cursor.position()).unwrap_or(usize::MAX);
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        let range = start..start.saturating_add(length);
        Ok((range.end <= bytes.len()).then_some((header, range)))
    }

    /// Checks a frame by its header, before room is made for its payload.
    fn check(&self, header: &FrameHeader, length: u64) -> Result<(), Violation> {
        // The first frame of a message says whether the message is compressed.
        let may_deflate = self.deflates && header.opcode == OpCode::Data(Data::Text);
        if (header.rsv1 && !may_deflate) || header.rsv2 || header.rsv3 {
            return Err(Violation::Malformed);
        }
        if header.mask.is_none() {
            return Err(Violation::Unmasked);
        }
        match header.opcode {
            OpCode::Control(_) if length > CONTROL_BYTES_MAX || !header.is_final => {
                Err(Violation::Malformed)
            }
            OpCode::Control(_) => Ok(()),
            OpCode::Data(_) => {
                let before = self.fragments().map_or(0, |message| message.bytes.len()) as u64;
                if before.saturating_add(length) > self.message_bytes_max as u64 {
                    return Err(Violation::TooLarge {
                        bytes_max: self.message_bytes_max,
                    });
                }
                Ok(())
            }
        }
    }

    /// Takes a frame, and passes the message on if it is complete with it.
    fn handle_frame(
        &mut self,
        header: &FrameHeader,
        masked: &[u8],
        take: &mut impl FnMut(Incoming),
    ) -> Result<Option<Fragments>, Violation> {
        let mask = header.mask.ok_or(Violation::Unmasked)?;
        let payload = masked
            .iter()
            .zip(mask.iter().cycle())
            .map(|(byte, mask)| byte ^ mask);
        match header.opcode {
            OpCode::Control(Control::Ping) => take(Incoming::Ping(payload.collect())),
            OpCode::Control(Control::Pong) => take(Incoming::Pong),
            OpCode::Control(Control::Close) => take(Incoming::Close),
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(Data::Binary) => return Err(Violation::Binary),
            OpCode::Data(Data::Text) if self.fragments().is_some() => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(Data::Continue) if self.fragments().is_none() => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(Data::Text | Data::Continue) => {
                let known = self.unfinished.as_mut();
                let begun = known.and_then(|known| known.message.take());
                let mut message = begun.unwrap_or_else(|| Fragments {
                    bytes: Vec::new(),
                    is_deflated: header.rsv1,
                });
                message.bytes.extend(payload);
                if header.is_final {
                    return Ok(Some(message));
                }
                self.unfinished.get_or_insert_default().message = Some(message);
            }
        }
        Ok(None)
    }

    fn text(&self, message: Fragments, inflater: &mut Inflater) -> Result<String, Violation> {
        let bytes_max = self.message_bytes_max;
        let bytes = if message.is_deflated {
            let inflated = inflater.inflate(message.bytes, bytes_max);
            inflated.map_err(|error| match error {
                InflateError::Malformed => Violation::Malformed,
                InflateError::TooLarge => Violation::TooLarge { bytes_max },
            })?
        } else {
            message.bytes
        };
        String::from_utf8(bytes).map_err(|_| Violation::NotUtf8)
    }
}

#[cfg(test)]
mod tests;
