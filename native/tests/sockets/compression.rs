//! Messages are compressed for clients that offer it, once for all of them.

use crate::support::{config, serve, within};
use flate2::{Decompress, FlushDecompress};
use serde_json::json;
use tidegate::{Config, Hub};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const OFFER: &str = "permessage-deflate; client_max_window_bits";
const AGREED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

async fn compressing(bytes: usize) -> (Hub, String) {
    let hub = Hub::new(Config {
        compress_above: Some(bytes),
        ..config()
    });
    let hub = hub.unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

/// A connection whose raw bytes are examined.
struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
}

/// The content of a frame.
#[derive(Debug, PartialEq, Eq)]
struct Received {
    is_compressed: bool,
    opcode: u8,
    payload: Vec<u8>,
}

impl Received {
    fn text(&self) -> String {
        let mut text = Vec::with_capacity(1 << 20);
        if !self.is_compressed {
            return String::from_utf8(self.payload.clone()).unwrap();
        }
        let data = [&self.payload[..], &[0, 0, 0xff, 0xff]].concat();
        // A new one for each message, because none depends on earlier ones.
        Decompress::new(false)
            .decompress_vec(&data, &mut text, FlushDecompress::Sync)
            .unwrap();
        String::from_utf8(text).unwrap()
    }
}

impl Wire {
    /// Opens a WebSocket with this offer of extensions; returns what was agreed.
    async fn open(address: &str, offer: Option<&str>) -> (Self, Option<String>) {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let offer = offer.map_or(String::new(), |offer| {
            format!("Sec-WebSocket-Extensions: {offer}\r\n")
        });
        let request = format!(
            "GET /ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{offer}\r\n"
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut wire = Self {
            stream,
            read: Vec::new(),
        };
        let end = loop {
            let end = wire
                .read
                .windows(4)
                .position(|window| window == b"\r\n\r\n");
            match end {
                Some(end) => break end,
                None => wire.fill().await,
            }
        };
        let head = String::from_utf8(wire.read.drain(..end + 4).collect()).unwrap();
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        let agreed = head.lines().find_map(|line| {
            let (name, value) = line.split_once(": ")?;
            (name.eq_ignore_ascii_case("sec-websocket-extensions")).then(|| value.to_owned())
        });
        (wire, agreed)
    }

    async fn fill(&mut self) {
        let read = self.stream.read_buf(&mut self.read);
        assert!(within("bytes", read).await.unwrap() > 0, "it was closed");
    }

    /// Sends a frame whose first byte is given, masked with zeros.
    async fn send(&mut self, first: u8, payload: &[u8]) {
        let mut frame = vec![first, 0xfe];
        frame.extend(u16::try_from(payload.len()).unwrap().to_be_bytes());
        frame.extend([0; 4]);
        frame.extend(payload);
        self.stream.write_all(&frame).await.unwrap();
    }

    async fn receive(&mut self) -> Received {
        loop {
            let (start, length) = match self.read.get(1) {
                Some(127) => panic!("nothing here is so long"),
                Some(126) if self.read.len() >= 4 => {
                    let length = u16::from_be_bytes([self.read[2], self.read[3]]);
                    (4, usize::from(length))
                }
                Some(&short) if short < 126 => (2, usize::from(short)),
                _ => (usize::MAX / 2, 0),
            };
            if self.read.len() >= start + length {
                let first = self.read[0];
                let frame: Vec<u8> = self.read.drain(..start + length).collect();
                return Received {
                    is_compressed: first & 0x40 != 0,
                    opcode: first & 0x0f,
                    payload: frame[start..].to_vec(),
                };
            }
            self.fill().await;
        }
    }

    /// Subscribes, and reads until that is confirmed.
    async fn subscribe(&mut self, topic: &str) {
        let frame = json!({"type": "subscribe", "pattern": topic}).to_string();
        self.send(0x81, frame.as_bytes()).await;
        while !self.receive().await.text().contains("\"subscribed\"") {}
    }
}

#[tokio::test]
async fn long_messages_are_the_same_compressed_bytes_for_all_who_offered() {
    let (hub, address) = compressing(200).await;
    let mut all = Vec::new();
    for _ in 0..3 {
        let (mut wire, agreed) = Wire::open(&address, Some(OFFER)).await;
        assert_eq!(agreed.as_deref(), Some(AGREED));
        wire.subscribe("job:1").await;
        all.push(wire);
    }
    let (mut plain, agreed) = Wire::open(&address, None).await;
    assert_eq!(agreed, None);
    plain.subscribe("job:1").await;
    for value in ["short".to_owned(), "progress ".repeat(200)] {
        hub.publish("job:1", &value).await.unwrap();
        let as_it_is = plain.receive().await;
        assert!(!as_it_is.is_compressed);
        assert!(as_it_is.text().contains(&value));
        let first = all[0].receive().await;
        assert_eq!(first.is_compressed, value != "short");
        assert_eq!(first.text(), as_it_is.text());
        for wire in &mut all[1..] {
            assert_eq!(wire.receive().await, first);
        }
    }
}

#[tokio::test]
async fn nothing_is_agreed_where_nothing_is_to_be_compressed() {
    let hub = Hub::new(config()).unwrap();
    let address = serve(tidegate::axum::router(hub)).await;
    let (_, agreed) = Wire::open(&address, Some(OFFER)).await;
    assert_eq!(agreed, None);
}

#[tokio::test]
async fn what_a_client_compresses_is_read_and_a_bomb_is_refused() {
    let (hub, address) = compressing(200).await;
    let (mut wire, _) = Wire::open(&address, Some(OFFER)).await;
    let text = "x".repeat(5_000);
    let frame = json!({"type": "publish", "ref": 1, "topic": "job:1", "data": text}).to_string();
    wire.send(0xc1, &deflated(frame.as_bytes())).await;
    while !wire.receive().await.text().contains("\"published\"") {}
    let latest = hub.latest("job:1").await.unwrap().unwrap();
    assert_eq!(latest.payload.parse::<String>().unwrap(), text);

    let bomb = deflated(&vec![b' '; 2 * 1024 * 1024]);
    assert!(bomb.len() < 20_000);
    wire.send(0xc1, &bomb).await;
    let close = loop {
        let received = wire.receive().await;
        if received.opcode == 8 {
            break received;
        }
    };
    assert_eq!(close.payload[..2], 1009_u16.to_be_bytes());
}

#[tokio::test]
async fn who_agreed_to_nothing_may_compress_nothing() {
    let (_hub, address) = compressing(200).await;
    let (mut wire, _) = Wire::open(&address, None).await;
    wire.send(0xc1, &deflated(&[b' '; 500])).await;
    let close = wire.receive().await;
    assert_eq!(
        (close.opcode, &close.payload[..2]),
        (8, &1002_u16.to_be_bytes()[..])
    );
}

/// The data of a compressed message.
fn deflated(text: &[u8]) -> Vec<u8> {
    let mut data = Vec::with_capacity(text.len());
    flate2::Compress::new(flate2::Compression::best(), false)
        .compress_vec(text, &mut data, flate2::FlushCompress::Sync)
        .unwrap();
    assert!(data.ends_with(&[0, 0, 0xff, 0xff]));
    data.truncate(data.len() - 4);
    data
}
