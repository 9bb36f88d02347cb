//! A raw client that keeps sending while the server ends the connection, and the last message that it gets.

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::within;

/// A text message as a client sends it.
pub(crate) fn text(payload: &str) -> Vec<u8> {
    let mut frame = Frame::message(payload.to_owned(), OpCode::Data(Data::Text), true);
    frame.header_mut().mask = Some([1, 2, 3, 4]);
    let mut bytes = Vec::new();
    frame.format(&mut bytes).unwrap();
    bytes
}

/// Opens a WebSocket, sends each of `parts` separately, whatever the server says meanwhile, and reads to the end of the connection. Returns
/// the code of the close frame, which must be the last thing there.
pub(crate) async fn close_code_after<S>(stream: S, parts: &[Vec<u8>]) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    within("the end", talk(stream, parts)).await
}

async fn talk<S>(mut stream: S, parts: &[Vec<u8>]) -> Result<u16, String>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let request =
        b"GET /ws HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
    stream.write_all(request).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    for part in parts {
        let written = stream.write_all(part).await;
        written.map_err(|error| format!("writing: {error}"))?;
        stream.flush().await.map_err(|error| error.to_string())?;
        // Parts that are sent at once could be read at once.
        tokio::task::yield_now().await;
    }
    let mut told = Vec::new();
    let read = stream.read_to_end(&mut told).await;
    read.map_err(|error| format!("reading: {error} after {} bytes", told.len()))?;
    let mut frames = told.as_slice();
    let mut last = None;
    while let [opcode, length, rest @ ..] = frames {
        let (length, rest) = match length {
            126 => (
                usize::from(u16::from_be_bytes([rest[0], rest[1]])),
                &rest[2..],
            ),
            length => (usize::from(*length), rest),
        };
        last = Some((*opcode, &rest[..length]));
        frames = &rest[length..];
    }
    match last {
        Some((0x88, [high, low, ..])) => Ok(u16::from_be_bytes([*high, *low])),
        other => Err(format!("no close frame: {other:?}")),
    }
}
