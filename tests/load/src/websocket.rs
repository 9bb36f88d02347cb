//! The parts of WebSocket (RFC 6455) that both ends of a measurement need.

use tungstenite::protocol::frame::coding::{Data, OpCode};
use tungstenite::protocol::frame::{Frame, FrameHeader};

/// Any mask will do: the measurements don't depend on it.
const MASK: [u8; 4] = [0x5a, 0xa5, 0x0f, 0xf0];

/// A key that any server accepts.
const KEY: &str = "dGlkZWdhdGUtbG9hZC0wMQ==";

/// The request that opens a WebSocket, with additional header lines.
pub(crate) fn request(path: &str, more: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
    .into_bytes()
}

/// The answer to a request that opens a WebSocket.
pub(crate) fn response(key: &[u8]) -> Vec<u8> {
    let accept = tungstenite::handshake::derive_accept_key(key);
    format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    )
    .into_bytes()
}

/// A client's text message.
pub(crate) fn client_text(text: &[u8]) -> Vec<u8> {
    framed(text, Some(MASK))
}

/// A server's text message.
pub(crate) fn server_text(text: &[u8]) -> Vec<u8> {
    framed(text, None)
}

/// A client's close frame.
pub(crate) fn client_close() -> Vec<u8> {
    client_control(Frame::close(None))
}

/// A client's answer to a ping with these bytes.
pub(crate) fn client_pong(bytes: &'static [u8]) -> Vec<u8> {
    client_control(Frame::pong(bytes))
}

fn client_control(mut frame: Frame) -> Vec<u8> {
    frame.header_mut().mask = Some(MASK);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).expect("a Vec takes every write");
    bytes
}

fn framed(text: &[u8], mask: Option<[u8; 4]>) -> Vec<u8> {
    let header = FrameHeader {
        opcode: OpCode::Data(Data::Text),
        mask,
        ..FrameHeader::default()
    };
    let mut bytes = Vec::with_capacity(text.len() + 14);
    Frame::from_payload(header, text.to_vec().into())
        .format(&mut bytes)
        .expect("a Vec takes every write");
    bytes
}

/// Takes the complete messages off the front of what a client sent, unmasked.
pub(crate) fn take_messages(received: &mut Vec<u8>, mut take: impl FnMut(&[u8])) {
    let mut used = 0;
    loop {
        let rest = &received[used..];
        let mut cursor = std::io::Cursor::new(rest);
        let Ok(Some((header, length))) = FrameHeader::parse(&mut cursor) else {
            break;
        };
        let (Ok(start), Ok(length)) = (usize::try_from(cursor.position()), usize::try_from(length))
        else {
            break;
        };
        let Some(masked) = rest.get(start..start.saturating_add(length)) else {
            break;
        };
        let mask = header.mask.unwrap_or_default();
        let bytes = masked.iter().zip(mask.iter().cycle());
        let message: Vec<u8> = bytes.map(|(byte, mask)| byte ^ mask).collect();
        if matches!(header.opcode, OpCode::Data(_)) {
            take(&message);
        }
        used += start + length;
    }
    received.drain(..used);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_taken_once_they_are_complete() {
        let long = vec![b'x'; 70_000];
        let bytes = [client_text(b"a"), client_text(&long)].concat();
        let mut received = Vec::new();
        let mut messages = Vec::new();
        for chunk in bytes.chunks(1_000) {
            received.extend_from_slice(chunk);
            take_messages(&mut received, |message| messages.push(message.to_vec()));
        }
        assert_eq!(messages, [b"a".to_vec(), long]);
        assert!(received.is_empty());
    }
}
