//! What a client sends over a WebSocket, from bytes to messages (RFC 6455). Headers are tungstenite's.

use std::io::Cursor;

use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};

use crate::deflate::{InflateError, Inflater};

/// The longest header that a client's frame can have.
const HEADER_BYTES_MAX: usize = 14;

/// The longest payload of a control frame.
const CONTROL_BYTES_MAX: u64 = 125;

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Text(String),
    /// To be answered by a pong with the same payload.
    Ping(Vec<u8>),
    Close,
}

/// What a client may not send: the connection is closed with the code.
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
}

impl Violation {
    pub(super) fn close_code(&self) -> CloseCode {
        match self {
            Self::Unmasked | Self::Malformed => CloseCode::Protocol,
            Self::Binary => CloseCode::Unsupported,
            Self::NotUtf8 => CloseCode::Invalid,
            Self::TooLarge { .. } => CloseCode::Size,
        }
    }
}

/// Puts messages together. Holds no more than an unfinished one, and nothing while idle.
#[derive(Debug)]
pub(super) struct Reader {
    /// Bytes of a frame that is not complete yet.
    partial: Vec<u8>,
    /// The fragments of a message that is not complete yet.
    message: Option<Fragments>,
    message_bytes_max: usize,
    /// Whether messages may be compressed.
    deflates: bool,
}

#[derive(Debug)]
struct Fragments {
    bytes: Vec<u8>,
    is_deflated: bool,
}

impl Reader {
    pub(super) const fn new(message_bytes_max: usize, deflates: bool) -> Self {
        Self {
            partial: Vec::new(),
            message: None,
            message_bytes_max,
            deflates,
        }
    }

    /// Takes what was received; gives each complete message to `take`.
    ///
    /// # Errors
    /// At the first thing that a client may not send. Nothing further is read then.
    pub(super) fn receive(
        &mut self,
        received: &[u8],
        inflater: &mut Inflater,
        mut take: impl FnMut(Incoming),
    ) -> Result<(), Violation> {
        if self.partial.is_empty() {
            let used = self.receive_frames(received, inflater, &mut take)?;
            self.partial.extend_from_slice(&received[used..]);
            return Ok(());
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(received);
        let used = self.receive_frames(&bytes, inflater, &mut take)?;
        if used < bytes.len() {
            bytes.drain(..used);
            self.partial = bytes;
        }
        Ok(())
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
            }
            used = payload_end;
        }
        Ok(used)
    }

    /// The header of the next frame and where its payload lies, once all of it is here.
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
        // The first frame of a message says whether that is compressed.
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
                let message = self.message.as_ref();
                let before = message.map_or(0, |message| message.bytes.len()) as u64;
                if before.saturating_add(length) > self.message_bytes_max as u64 {
                    return Err(Violation::TooLarge {
                        bytes_max: self.message_bytes_max,
                    });
                }
                Ok(())
            }
        }
    }

    /// Takes a frame; gives the message that is complete with it.
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
            OpCode::Control(Control::Pong) => {}
            OpCode::Control(Control::Close) => take(Incoming::Close),
            OpCode::Control(Control::Reserved(_)) | OpCode::Data(Data::Reserved(_)) => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(Data::Binary) => return Err(Violation::Binary),
            OpCode::Data(Data::Text) if self.message.is_some() => return Err(Violation::Malformed),
            OpCode::Data(Data::Continue) if self.message.is_none() => {
                return Err(Violation::Malformed);
            }
            OpCode::Data(Data::Text | Data::Continue) => {
                let message = self.message.get_or_insert_with(|| Fragments {
                    bytes: Vec::new(),
                    is_deflated: header.rsv1,
                });
                message.bytes.extend(payload);
                if header.is_final {
                    return Ok(self.message.take());
                }
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
mod tests {
    use tungstenite::protocol::frame::Frame;

    use super::*;
    use crate::deflate::Deflater;

    fn masked(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let header = FrameHeader {
            opcode,
            is_final,
            mask: Some([1, 2, 3, 4]),
            ..FrameHeader::default()
        };
        let frame = Frame::from_payload(header, payload.to_vec().into());
        let mut bytes = Vec::new();
        frame.format(&mut bytes).expect("a Vec takes every write");
        bytes
    }

    fn text(payload: &str) -> Vec<u8> {
        masked(OpCode::Data(Data::Text), true, payload.as_bytes())
    }

    fn read(chunks: &[&[u8]]) -> Result<Vec<Incoming>, Violation> {
        read_by(Reader::new(70_000, false), chunks)
    }

    fn read_by(mut reader: Reader, chunks: &[&[u8]]) -> Result<Vec<Incoming>, Violation> {
        let (mut incoming, mut inflater) = (Vec::new(), Inflater::default());
        for chunk in chunks {
            reader.receive(chunk, &mut inflater, |message| incoming.push(message))?;
        }
        assert!(incoming.is_empty() || reader.partial.is_empty());
        Ok(incoming)
    }

    #[test]
    fn messages_are_the_same_however_they_are_cut() {
        let long = "é".repeat(33_000);
        let bytes = [
            text("a"),
            masked(OpCode::Control(Control::Ping), true, b"p"),
            text(&long),
        ]
        .concat();
        let whole = read(&[&bytes]).expect("valid");
        assert_eq!(whole.len(), 3);
        assert_eq!(whole[2], Incoming::Text(long));
        for at in (0..40).chain([200, 65_000]) {
            assert_eq!(
                read(&[&bytes[..at], &bytes[at..]]),
                Ok(read(&[&bytes]).expect("valid")),
                "cut at {at}"
            );
        }
        let bytewise: Vec<&[u8]> = bytes.chunks(1).take(14).collect();
        assert_eq!(read(&bytewise).expect("valid").len(), 2);
    }

    #[test]
    fn fragments_are_put_together_around_control_frames() {
        let bytes = [
            masked(OpCode::Data(Data::Text), false, b"he"),
            masked(OpCode::Control(Control::Ping), true, b""),
            masked(OpCode::Data(Data::Continue), true, b"llo"),
        ]
        .concat();
        let expected = vec![Incoming::Ping(Vec::new()), Incoming::Text("hello".into())];
        assert_eq!(read(&[&bytes]), Ok(expected));
    }

    #[test]
    fn what_a_client_may_not_send_is_named() {
        let mut unmasked = Vec::new();
        Frame::message("x", OpCode::Data(Data::Text), true)
            .format(&mut unmasked)
            .expect("a Vec");
        assert_eq!(read(&[&unmasked]), Err(Violation::Unmasked));
        let large = text(&"x".repeat(70_001));
        assert_eq!(
            read(&[&large[..14]]),
            Err(Violation::TooLarge { bytes_max: 70_000 })
        );
        let cases = [
            (
                masked(OpCode::Data(Data::Binary), true, b"x"),
                Violation::Binary,
            ),
            (
                masked(OpCode::Data(Data::Continue), true, b"x"),
                Violation::Malformed,
            ),
            (
                masked(OpCode::Data(Data::Text), true, &[0xff]),
                Violation::NotUtf8,
            ),
            (
                masked(OpCode::Control(Control::Ping), true, &[0; 126]),
                Violation::Malformed,
            ),
            (
                masked(OpCode::Control(Control::Ping), false, b""),
                Violation::Malformed,
            ),
        ];
        for (bytes, violation) in cases {
            assert_eq!(read(&[&bytes]), Err(violation));
        }
    }

    #[test]
    fn many_fragments_count_together() {
        let part = masked(OpCode::Data(Data::Text), false, &[b'x'; 40_000]);
        let rest = masked(OpCode::Data(Data::Continue), true, &[b'x'; 40_000]);
        assert_eq!(
            read(&[&part, &rest]),
            Err(Violation::TooLarge { bytes_max: 70_000 })
        );
    }

    /// A frame of a compressed message.
    fn deflated(opcode: OpCode, is_final: bool, payload: &[u8]) -> Vec<u8> {
        let mut bytes = masked(opcode, is_final, payload);
        bytes[0] |= 0x40;
        bytes
    }

    fn compressed(text: &str) -> Vec<u8> {
        let mut data = Vec::new();
        assert!(Deflater::default().deflate(text.as_bytes(), &mut data));
        data
    }

    #[test]
    fn compressed_messages_are_read_where_that_was_agreed() {
        let text = "la".repeat(500);
        let data = compressed(&text);
        let (first, rest) = data.split_at(3);
        let bytes = [
            deflated(OpCode::Data(Data::Text), true, &data),
            deflated(OpCode::Data(Data::Text), false, first),
            masked(OpCode::Control(Control::Ping), true, b""),
            masked(OpCode::Data(Data::Continue), true, rest),
            self::text("plain"),
        ]
        .concat();
        let expected = vec![
            Incoming::Text(text.clone()),
            Incoming::Ping(Vec::new()),
            Incoming::Text(text),
            Incoming::Text("plain".into()),
        ];
        assert_eq!(read_by(Reader::new(1_000, true), &[&bytes]), Ok(expected));
        assert_eq!(read(&[&bytes]), Err(Violation::Malformed));
    }

    #[test]
    fn what_a_client_may_not_compress_is_refused() {
        let may = || Reader::new(1_000, true);
        let bomb = deflated(
            OpCode::Data(Data::Text),
            true,
            &compressed(&"x".repeat(100_000)),
        );
        let too_large = Violation::TooLarge { bytes_max: 1_000 };
        assert_eq!(read_by(may(), &[&bomb]), Err(too_large));
        let noise = deflated(OpCode::Data(Data::Text), true, &[0xff; 20]);
        assert_eq!(read_by(may(), &[&noise]), Err(Violation::Malformed));
        let ping = deflated(OpCode::Control(Control::Ping), true, b"");
        assert_eq!(read_by(may(), &[&ping]), Err(Violation::Malformed));
        let later = [
            masked(OpCode::Data(Data::Text), false, b"a"),
            deflated(OpCode::Data(Data::Continue), true, b"b"),
        ]
        .concat();
        assert_eq!(read_by(may(), &[&later]), Err(Violation::Malformed));
    }
}
