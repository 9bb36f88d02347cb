//! What to send to each server to subscribe, to publish, and to stay connected.

use std::fmt::Write as _;

use clap::ValueEnum;

use crate::websocket::{client_pong, client_text, request};

/// A protocol of the load generator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dialect {
    /// WebSocket: subscribes by its path, and publishes `topic payload`. The floor's, and that of small peer programs
    Plain,
    /// Tidegate's WebSocket
    Tidegate,
    /// Tidegate's Server-Sent Events; publishes by WebSocket
    TidegateSse,
    /// socket.io over its WebSocket transport
    SocketIo,
    /// Centrifugo's JSON over WebSocket, in the version of its protocol that centrifuge 0.15 has
    Centrifuge,
    /// nchan's WebSocket; publishes by POST
    Nchan,
    /// nchan's Server-Sent Events; publishes by POST
    NchanSse,
    /// NATS over TCP
    Nats,
    /// Redis pub/sub over TCP
    Redis,
    /// MQTT 3.1.1 over TCP, QoS 0
    Mqtt,
}

/// Something to send, and the text that confirms it.
pub(crate) struct Step {
    pub(crate) send: Vec<u8>,
    pub(crate) expect: &'static [u8],
}

impl Step {
    const fn new(send: Vec<u8>, expect: &'static [u8]) -> Self {
        Self { send, expect }
    }
}

const HEAD_END: &[u8] = b"\r\n\r\n";

impl Dialect {
    /// The steps from a new TCP connection to a subscription.
    pub(crate) fn subscribe(self, topic: &str) -> Vec<Step> {
        match self {
            Self::Plain => vec![Step::new(request(&format!("/sub/{topic}"), ""), HEAD_END)],
            Self::Tidegate => {
                let subscribe =
                    format!(r#"{{"type":"subscribe","pattern":"{topic}","latest":false}}"#);
                vec![
                    tidegate_opening(),
                    Step::new(client_text(subscribe.as_bytes()), b"subscribed"),
                ]
            }
            Self::TidegateSse => {
                let request = get(&format!("/events?topic={topic}&latest=false"), "");
                vec![Step::new(request, b"retry")]
            }
            Self::SocketIo => {
                let join = format!(r#"421["join","{topic}"]"#);
                let mut steps = socket_io_opening();
                steps.push(Step::new(client_text(join.as_bytes()), b"431["));
                steps
            }
            Self::Centrifuge => {
                let subscribe =
                    format!(r#"{{"id":2,"method":1,"params":{{"channel":"{topic}"}}}}"#);
                let mut steps = centrifuge_opening();
                steps.push(Step::new(client_text(subscribe.as_bytes()), b"\"id\":2,"));
                steps
            }
            Self::Nchan => vec![Step::new(request(&format!("/sub/{topic}"), ""), HEAD_END)],
            Self::NchanSse => {
                let request = get(&format!("/sub/{topic}"), "Accept: text/event-stream\r\n");
                vec![Step::new(request, HEAD_END)]
            }
            Self::Nats => {
                let subscribe = format!("SUB {topic} 1\r\nPING\r\n");
                let mut steps = nats_opening();
                steps.push(Step::new(subscribe.into_bytes(), b"PONG"));
                steps
            }
            Self::Redis => vec![Step::new(resp(&["SUBSCRIBE", topic]), b"subscribe")],
            Self::Mqtt => vec![
                mqtt_opening(),
                Step::new(
                    mqtt_packet(0x82, &[&[0, 1], &mqtt_text(topic), &[0]]),
                    b"\x90\x03",
                ),
            ],
        }
    }

    /// The steps from a new TCP connection to one that may publish.
    pub(crate) fn publisher(self) -> Vec<Step> {
        match self {
            Self::Plain => vec![Step::new(request("/pub", ""), HEAD_END)],
            Self::Tidegate | Self::TidegateSse => vec![
                tidegate_opening(),
                // The server closes connections that say nothing.
                Step::new(client_text(br#"{"type":"hello"}"#), b"welcome"),
            ],
            Self::SocketIo => socket_io_opening(),
            Self::Centrifuge => centrifuge_opening(),
            Self::Nchan | Self::NchanSse | Self::Redis => Vec::new(),
            Self::Nats => nats_opening(),
            Self::Mqtt => vec![mqtt_opening()],
        }
    }

    /// Appends the bytes that publish a payload.
    pub(crate) fn publish(self, topic: &str, payload: &str, out: &mut Vec<u8>) {
        let text = |text: String| client_text(text.as_bytes());
        let bytes = match self {
            Self::Plain => text(format!("{topic} {payload}")),
            Self::Tidegate | Self::TidegateSse => text(format!(
                r#"{{"type":"publish","ref":1,"topic":"{topic}","data":{payload}}}"#
            )),
            Self::SocketIo => text(format!(r#"42["pub","{topic}",{payload}]"#)),
            Self::Centrifuge => text(format!(
                r#"{{"id":3,"method":3,"params":{{"channel":"{topic}","data":{payload}}}}}"#
            )),
            Self::Nchan | Self::NchanSse => format!(
                "POST /pub/{topic} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {}\r\n\r\n{payload}",
                payload.len()
            )
            .into_bytes(),
            Self::Nats => format!("PUB {topic} {}\r\n{payload}\r\n", payload.len()).into_bytes(),
            Self::Redis => resp(&["PUBLISH", topic, payload]),
            Self::Mqtt => mqtt_packet(0x30, &[&mqtt_text(topic), payload.as_bytes()]),
        };
        out.extend_from_slice(&bytes);
    }

    /// The server's ping, and the answer to it.
    pub(crate) fn ping(self) -> Option<(&'static [u8], Vec<u8>)> {
        match self {
            Self::Tidegate | Self::TidegateSse => {
                Some((br#"{"type":"ping"}"#, client_text(br#"{"type":"pong"}"#)))
            }
            Self::SocketIo => Some((b"\x81\x012", client_text(b"3"))),
            Self::Centrifuge => Some((b"\x89\x04ping", client_pong(b"ping"))),
            Self::Nats => Some((b"PING\r\n", b"PONG\r\n".to_vec())),
            Self::Plain | Self::Nchan | Self::NchanSse | Self::Redis | Self::Mqtt => None,
        }
    }
}

/// A request without a body, with additional header lines.
pub(crate) fn get(path: &str, more: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{more}\r\n").into_bytes()
}

fn tidegate_opening() -> Step {
    let subprotocol = "Sec-WebSocket-Protocol: tidegate.v1.json\r\n";
    Step::new(request("/ws", subprotocol), HEAD_END)
}

fn socket_io_opening() -> Vec<Step> {
    let path = "/socket.io/?EIO=4&transport=websocket";
    vec![
        Step::new(request(path, ""), b"\"sid\""),
        Step::new(client_text(b"40"), b"40{"),
    ]
}

fn centrifuge_opening() -> Vec<Step> {
    let connect = br#"{"id":1,"params":{}}"#;
    vec![
        Step::new(request("/connection/websocket", ""), HEAD_END),
        Step::new(client_text(connect), b"\"client\":"),
    ]
}

fn nats_opening() -> Vec<Step> {
    let connect = "CONNECT {\"verbose\":false,\"pedantic\":false}\r\nPING\r\n";
    vec![
        Step::new(Vec::new(), b"INFO"),
        Step::new(connect.into(), b"PONG"),
    ]
}

fn resp(words: &[&str]) -> Vec<u8> {
    let mut text = format!("*{}\r\n", words.len());
    for word in words {
        write!(text, "${}\r\n{word}\r\n", word.len()).expect("a String takes every write");
    }
    text.into_bytes()
}

fn mqtt_opening() -> Step {
    let connect = mqtt_packet(0x10, &[b"\x00\x04MQTT\x04\x02\x00\x00\x00\x00"]);
    Step::new(connect, b"\x20\x02")
}

fn mqtt_text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).expect("topics are short");
    [&length.to_be_bytes(), text.as_bytes()].concat()
}

fn mqtt_packet(kind: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut packet = vec![kind];
    let mut length = body.len();
    loop {
        let low = u8::try_from(length % 128).expect("below 128");
        length /= 128;
        packet.push(if length > 0 { low | 128 } else { low });
        if length == 0 {
            break;
        }
    }
    packet.extend_from_slice(&body);
    packet
}
