//! The WebSocket of a client, and what is written to it.

use std::pin::Pin;

use axum::http::HeaderValue;
use axum::http::header::SEC_WEBSOCKET_PROTOCOL;
use tidegate_core::protocol::{ClientEnvelope, ClientFrame, SUBPROTOCOL};
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::error::ProtocolError;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{WebSocketStream, client_async_with_config};

use super::Fault;
use super::address::ServerAddress;
use super::endpoints::{no_endpoint, refusal};
use super::error::ReachError;
use super::options::ClientOptions;
use super::stream::ServerStream;
use crate::json::Json;

pub(super) type Socket = WebSocketStream<ServerStream>;
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Socket, Fault>> + Send>>;

pub(super) fn connect(address: ServerAddress, options: ClientOptions) -> Connecting {
    Box::pin(async move {
        let stream = ServerStream::connect(&address, &options).await;
        let stream = stream.map_err(|error| match error {
            ReachError::Io(_) => Fault::Link(error.to_string()),
            ReachError::Insecure(error) => Fault::Insecure(error),
        })?;
        let opened = open(&address, stream, options.message_bytes_max).await;
        opened.map_err(|error| Fault::Link(reason(&address, &error)))
    })
}

async fn open(
    address: &ServerAddress,
    stream: ServerStream,
    message_bytes_max: usize,
) -> Result<Socket, Error> {
    let mut request = address.socket_url().into_client_request()?;
    let subprotocol = HeaderValue::from_static(SUBPROTOCOL);
    request
        .headers_mut()
        .insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    // A server sends each message in one piece.
    let config = WebSocketConfig::default()
        .max_message_size(Some(message_bytes_max))
        .max_frame_size(Some(message_bytes_max));
    let (socket, _) = client_async_with_config(request, stream, Some(config)).await?;
    Ok(socket)
}

/// Explains why there is no WebSocket. A server that expects TLS answers plain HTTP with an alert, which is not HTTP,
/// or with nothing.
fn reason(address: &ServerAddress, error: &Error) -> String {
    match error {
        Error::Protocol(ProtocolError::HttparseError(_) | ProtocolError::HandshakeIncomplete)
            if !address.is_secure() =>
        {
            format!("{error}; if the server speaks TLS, write https://")
        }
        Error::Http(answer) => match answer.body().as_deref().and_then(refusal) {
            Some(error) => format!("it answers {}: {}", answer.status(), error.message),
            None => no_endpoint(address, answer.status()),
        },
        other => other.to_string(),
    }
}

pub(super) fn encode(frame: &ClientFrame<Json>) -> String {
    serde_json::to_string(&ClientEnvelope::from(frame)).expect("frames have a JSON form")
}
