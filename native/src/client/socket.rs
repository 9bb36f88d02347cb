//! The WebSocket of a client, and what is written to it.

use std::pin::Pin;

use tidegate_core::protocol::{ClientEnvelope, ClientFrame, SUBPROTOCOL};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Error;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use crate::json::Json;

pub(super) type Socket = WebSocketStream<MaybeTlsStream<TcpStream>>;
pub(super) type Connecting = Pin<Box<dyn Future<Output = Result<Socket, Error>> + Send>>;

pub(super) fn connect(url: String) -> Connecting {
    Box::pin(async move {
        let mut request = url.into_client_request()?;
        let subprotocol = axum::http::HeaderValue::from_static(SUBPROTOCOL);
        request
            .headers_mut()
            .insert(axum::http::header::SEC_WEBSOCKET_PROTOCOL, subprotocol);
        let (socket, _) = tokio_tungstenite::connect_async_with_config(request, None, true).await?;
        Ok(socket)
    })
}

pub(super) fn encode(frame: &ClientFrame<Json>) -> String {
    serde_json::to_string(&ClientEnvelope::from(frame)).expect("frames have a JSON form")
}
