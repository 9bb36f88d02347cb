//! Requests to a server's HTTP endpoints, beside the client's WebSocket.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1::handshake;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tidegate_core::client::TokenSource;
use tidegate_core::protocol::{ErrorCode, WireError};

use super::address::ServerAddress;
use super::error::{ClientError, ReachError};
use super::options::ClientOptions;
use super::stream::ServerStream;

/// The limit for fetching a token and getting an answer: a server itself may wait 10 s for its backend.
const TIME_MAX: Duration = Duration::from_secs(30);

/// A server's endpoints. Each request has a connection of its own.
#[derive(Clone)]
pub(super) struct Endpoints {
    pub(super) address: ServerAddress,
    pub(super) options: ClientOptions,
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Refused {
    error: Refusal,
}

#[derive(Deserialize)]
struct Refusal {
    code: ErrorCode,
    message: String,
}

/// The error that the body of an answer holds, if it is a Tidegate server's.
pub(super) fn refusal(body: &[u8]) -> Option<WireError> {
    let Refused { error } = serde_json::from_slice(body).ok()?;
    Some(WireError::new(error.code, error.message))
}

/// Explains an answer that no Tidegate server gives.
pub(super) fn no_endpoint(address: &ServerAddress, status: StatusCode) -> String {
    if status == StatusCode::NOT_FOUND && address.socket().is_none() {
        return format!(
            "it answers {status}, so it has no Tidegate there; if an application serves it under a path, add that to the address, as in {address}/live"
        );
    }
    format!("it answers {status}")
}

impl Endpoints {
    /// Requests `GET path`. Has to run in the clients' runtime.
    pub(super) async fn get(&self, path: &str) -> Result<Bytes, ClientError> {
        match tokio::time::timeout(TIME_MAX, self.get_at_length(path)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format!("no answer within {} s", TIME_MAX.as_secs()))),
        }
    }

    async fn get_at_length(&self, path: &str) -> Result<Bytes, ClientError> {
        let mut request = Request::builder()
            .uri(self.address.path(path))
            .header(header::HOST, self.address.authority());
        if self.options.token.source() != TokenSource::None {
            let token = self.options.token.next().await;
            let token = token.map_err(|reason| ClientError::NoToken { reason })?;
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let request = request
            .body(Body::empty())
            .map_err(|error| self.unreachable(error.to_string()))?;
        let stream = ServerStream::connect(&self.address, &self.options).await;
        let stream = stream.map_err(|error| match error {
            ReachError::Io(_) => self.unreachable(error.to_string()),
            ReachError::Insecure(error) => error.into(),
        })?;
        let (mut sender, connection) = handshake(TokioIo::new(stream))
            .await
            .map_err(|error| self.no_answer(&error))?;
        let asking = async {
            let answer = sender.send_request(request).await;
            let answer = answer.map_err(|error| self.no_answer(&error))?;
            let status = answer.status();
            let bytes_max = self.options.message_bytes_max;
            let body = axum::body::to_bytes(Body::new(answer.into_body()), bytes_max).await;
            let body = body.map_err(|error| self.unreachable(error.to_string()))?;
            Ok::<_, ClientError>((status, body))
        };
        // The connection is dropped with the answer, or when the caller gives up.
        let (status, body) = tokio::select! {
            answer = asking => answer?,
            Err(error) = connection => return Err(self.no_answer(&error)),
        };
        if status == StatusCode::OK {
            return Ok(body);
        }
        Err(match refusal(&body) {
            Some(error) => error.into(),
            None => self.unreachable(no_endpoint(&self.address, status)),
        })
    }

    fn no_answer(&self, error: &hyper::Error) -> ClientError {
        let advice = match error.is_parse() && !self.address.is_secure() {
            true => "; if the server speaks TLS, write https://",
            false => "",
        };
        self.unreachable(format!("{error}{advice}"))
    }

    fn unreachable(&self, reason: String) -> ClientError {
        ClientError::Unreachable {
            url: self.address.to_string(),
            reason,
        }
    }
}
