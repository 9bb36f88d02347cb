//! `GET /ws`: the handshake, after which the connection belongs to the shard.

mod deflate;

use axum::extract::{Request, State};
use axum::http::header::{
    CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::upgrade::downcast;
use tidegate_core::durable::DurableName;
use tidegate_core::protocol::{ErrorCode, SUBPROTOCOL};
#[cfg(unix)]
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tungstenite::handshake::derive_accept_key;

use super::access::Visitor;
use super::error::HttpError;
use crate::Hub;
use crate::serve::{ClientStream, Stream, Watched};
use crate::shard::{Guest, Transport};

pub(super) async fn upgrade(
    State(hub): State<Hub>,
    visitor: Visitor,
    request: Request,
) -> Result<Response, HttpError> {
    hand_shake(hub, visitor, request, None)
}

/// How to welcome a client that is subscribed without having to send anything.
pub(super) struct Welcome {
    /// The name under which the server remembers what it has received.
    pub(super) device: Option<DurableName>,
}

/// Does the handshake for a client that is welcomed before it has sent anything.
pub(super) fn welcome(
    hub: Hub,
    visitor: Visitor,
    request: Request,
    welcome: Welcome,
) -> Result<Response, HttpError> {
    hand_shake(hub, visitor, request, Some(welcome))
}

fn hand_shake(
    hub: Hub,
    visitor: Visitor,
    mut request: Request,
    welcome: Option<Welcome>,
) -> Result<Response, HttpError> {
    let accept = accept(request.method(), request.headers())?;
    let subprotocol = subprotocol(request.headers())?;
    let extension = deflate::accept(request.headers()).filter(|_| hub.deflates());
    let upgrade = request
        .extensions_mut()
        .remove::<OnUpgrade>()
        .ok_or_else(|| upgrade_required("this connection cannot be upgraded; use HTTP/1.1"))?;
    let guest = Guest {
        known: visitor.caller.known,
        asked: visitor.caller.asked,
        pass: visitor.pass,
        deflates: extension.is_some(),
        runtime: Handle::current(),
        is_welcome: welcome.is_some(),
        device: welcome.and_then(|welcome| welcome.device),
    };
    tokio::spawn(async move {
        match upgrade.await {
            Ok(upgraded) => hand_over(&hub, upgraded, guest),
            Err(error) => tracing::debug!(%error, "a client left during its handshake"),
        }
    });
    let mut headers = HeaderMap::new();
    headers.insert(CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    if let Some(subprotocol) = subprotocol {
        headers.insert(SEC_WEBSOCKET_PROTOCOL, subprotocol);
    }
    if let Some(extension) = extension {
        headers.insert(
            SEC_WEBSOCKET_EXTENSIONS,
            HeaderValue::from_static(extension),
        );
    }
    Ok((StatusCode::SWITCHING_PROTOCOLS, headers).into_response())
}

fn accept(method: &Method, headers: &HeaderMap) -> Result<HeaderValue, HttpError> {
    // A route for GET also serves HEAD, which never upgrades.
    let is_get = method == Method::GET;
    if !is_get
        || !has_token(headers, &UPGRADE, "websocket")
        || !has_token(headers, &CONNECTION, "upgrade")
    {
        return Err(upgrade_required(
            "this address speaks WebSocket; for Server-Sent Events use /events",
        ));
    }
    if !has_token(headers, &SEC_WEBSOCKET_VERSION, "13") {
        return Err(upgrade_required("Sec-WebSocket-Version must be 13"));
    }
    let key = headers.get(SEC_WEBSOCKET_KEY).ok_or_else(|| {
        HttpError::bad_request(ErrorCode::BadFrame, "Sec-WebSocket-Key is missing")
    })?;
    let accept = derive_accept_key(key.as_bytes());
    HeaderValue::try_from(accept)
        .map_err(|error| HttpError::bad_request(ErrorCode::BadFrame, error.to_string()))
}

/// The subprotocol to confirm. A client that offers none is assumed to speak ours.
fn subprotocol(headers: &HeaderMap) -> Result<Option<HeaderValue>, HttpError> {
    if !headers.contains_key(SEC_WEBSOCKET_PROTOCOL) {
        return Ok(None);
    }
    if has_token(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL) {
        return Ok(Some(HeaderValue::from_static(SUBPROTOCOL)));
    }
    let message = format!("none of the subprotocols offered is {SUBPROTOCOL}");
    Err(HttpError::bad_request(ErrorCode::BadFrame, message))
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|value| value.trim().eq_ignore_ascii_case(token))
}

fn upgrade_required(message: &str) -> HttpError {
    HttpError::new(StatusCode::UPGRADE_REQUIRED, ErrorCode::BadFrame, message)
}

/// Hands the connection to the shard: the socket itself, or TLS over one, if it is nothing else.
fn hand_over(hub: &Hub, upgraded: Upgraded, guest: Guest) {
    let handed = of_own_server::<Stream>(upgraded);
    #[cfg(feature = "tls")]
    let handed = handed.or_else(of_own_server::<tokio_rustls::server::TlsStream<Stream>>);
    match handed.unwrap_or_else(from_foreign_server) {
        // A hub that has stopped drops the connection, which tells the client.
        Ok((transport, received)) => drop(hub.connect(transport, received, guest)),
        Err(error) => {
            tracing::warn!(%error, "a connection could not be handed over, and is closed")
        }
    }
}

/// A connection, and the bytes of it that were read already.
type Handed = std::io::Result<(Transport, Bytes)>;

/// The connection, if it is of this kind.
fn of_own_server<W: ClientStream>(upgraded: Upgraded) -> Result<Handed, Upgraded> {
    let parts = upgraded.downcast::<TokioIo<Watched<W>>>()?;
    let transport = parts.io.into_inner().into_inner().into_transport();
    Ok(transport.map(|transport| (transport, parts.read_buf)))
}

/// The connection, if the router is served by another server than ours.
fn from_foreign_server(upgraded: Upgraded) -> Handed {
    match downcast::<TokioIo<TcpStream>>(upgraded) {
        Ok(parts) => {
            let stream = parts.io.into_inner();
            stream.set_nodelay(true)?;
            Ok((Stream::Tcp(stream).into_transport()?, parts.read_buf))
        }
        Err(upgraded) => Ok((bridge(upgraded)?, Bytes::new())),
    }
}

/// How long a client has to accept the last bytes, if another server owns its connection.
#[cfg(unix)]
const TAKE_MAX: std::time::Duration = std::time::Duration::from_secs(2);

/// Connects the shard, through a pair of sockets, to a connection that is not plain TCP (such as TLS of another server).
#[cfg(unix)]
fn bridge(upgraded: Upgraded) -> std::io::Result<Transport> {
    let (near, far) = std::os::unix::net::UnixStream::pair()?;
    near.set_nonblocking(true)?;
    far.set_nonblocking(true)?;
    let (mut from_shard, mut to_shard) = tokio::net::UnixStream::from_std(far)?.into_split();
    let (mut from_client, mut to_client) = tokio::io::split(TokioIo::new(upgraded));
    tokio::spawn(async move {
        // When either side ends, both do; errors show as a closed connection. A client gets the shard's last bytes before that, whatever it
        // is still sending.
        let told = async {
            let _ = tokio::io::copy(&mut from_shard, &mut to_client).await;
            let _ = tokio::time::timeout(TAKE_MAX, to_client.shutdown()).await;
            tokio::time::sleep(TAKE_MAX).await;
        };
        tokio::select! {
            _ = tokio::io::copy(&mut from_client, &mut to_shard) => {}
            () = told => {}
        }
    });
    Ok(Transport::Unix(mio::net::UnixStream::from_std(near)))
}

#[cfg(not(unix))]
fn bridge(_upgraded: Upgraded) -> std::io::Result<Transport> {
    Err(std::io::Error::other(
        "only plain TCP connections are supported on this system",
    ))
}
