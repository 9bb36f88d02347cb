//! A WebSocket client that shows frames exactly as they are.

use std::collections::VecDeque;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderName;
use tokio_tungstenite::tungstenite::{Error, Message};

use super::within;

/// A connection to `/ws`.
pub(crate) struct Socket<S = TcpStream> {
    pub(crate) inner: WebSocketStream<S>,
    waiting: VecDeque<Value>,
}

impl Socket {
    /// Connects, and sends nothing.
    pub(crate) async fn open(address: &str) -> Self {
        Self::over(TcpStream::connect(address).await.unwrap()).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Socket<S> {
    /// Opens a WebSocket over an existing connection.
    pub(crate) async fn over(stream: S) -> Self {
        Self::with_headers(stream, &[]).await.unwrap()
    }

    /// Opens a WebSocket with more headers in the request, or returns the server's error.
    pub(crate) async fn with_headers(stream: S, headers: &[(&str, &str)]) -> Result<Self, Error> {
        Self::at("/ws", stream, headers).await
    }

    /// The same at another path.
    pub(crate) async fn at(path: &str, stream: S, headers: &[(&str, &str)]) -> Result<Self, Error> {
        let mut request = format!("ws://127.0.0.1{path}").into_client_request()?;
        for (name, value) in headers {
            let name = HeaderName::try_from(*name).unwrap();
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let handshake = tokio_tungstenite::client_async(request, stream);
        let (inner, _) = within("a handshake", handshake).await?;
        Ok(Self {
            inner,
            waiting: VecDeque::new(),
        })
    }

    /// Sends a frame, or an array of them.
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_text(frame.to_string()).await;
    }

    pub(crate) async fn send_text(&mut self, text: impl Into<String>) {
        let message = Message::text(text.into());
        within("a message to leave", self.inner.send(message))
            .await
            .unwrap();
    }

    /// Subscribes, and waits for the confirmation.
    pub(crate) async fn subscribe(&mut self, pattern: &str, flow: Value) -> Value {
        self.send(json!({"type": "subscribe", "pattern": pattern, "flow": flow}))
            .await;
        let subscribed = self.next().await;
        assert_eq!(subscribed["type"], "subscribed", "{subscribed}");
        subscribed
    }

    /// The next message as it is; `None` at the end of the connection.
    pub(crate) async fn message(&mut self) -> Option<Message> {
        within("a message", self.inner.next()).await?.ok()
    }

    /// The next frame but `welcome` and `ping`, whatever message it came in. A `ping` is answered.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.waiting.pop_front() {
                Some(frame) if frame["type"] == "welcome" => {}
                Some(frame) if frame["type"] == "ping" => {
                    let pong = Message::text(r#"{"type":"pong"}"#);
                    // The server may be gone by now, which the next frame shows.
                    let _ = within("a message to leave", self.inner.send(pong)).await;
                }
                Some(frame) => return frame,
                None => self.receive().await,
            }
        }
    }

    async fn receive(&mut self) {
        match self.message().await {
            Some(Message::Text(text)) => match serde_json::from_str(&text).unwrap() {
                Value::Array(frames) => self.waiting.extend(frames),
                frame => self.waiting.push_back(frame),
            },
            other => panic!("a text was expected: {other:?}"),
        }
    }

    /// The next frame, which has this type.
    pub(crate) async fn expect(&mut self, kind: &str) -> Value {
        let frame = self.next().await;
        assert_eq!(frame["type"], kind, "{frame}");
        frame
    }

    /// Reads on until the server closes, and returns its code.
    pub(crate) async fn close_code(&mut self) -> u16 {
        loop {
            match self.message().await {
                Some(Message::Close(Some(close))) => return close.code.into(),
                Some(Message::Text(_)) => {}
                other => panic!("a close frame with a code was expected: {other:?}"),
            }
        }
    }
}
