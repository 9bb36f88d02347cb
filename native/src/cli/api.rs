//! Requests to a server's endpoints, over HTTP.

use anyhow::anyhow;
use axum::body::{Body, Bytes};
use axum::http::{Method, Request, StatusCode, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tidegate::client::{ClientError, ClientOptions, ReachError, ServerAddress, ServerStream};

use super::place::{fixed_token, print_token};

/// A client of a server's endpoints, over one connection for as long as that lasts.
pub(super) struct ApiClient {
    address: ServerAddress,
    options: ClientOptions,
    /// The command that prints tokens.
    command: Option<String>,
    token: Option<String>,
    sender: Option<SendRequest<Body>>,
}

impl ApiClient {
    /// # Errors
    /// If `server` is not an address, or the token in the environment is not text.
    pub(super) fn new(
        server: &str,
        options: ClientOptions,
        command: Option<String>,
    ) -> anyhow::Result<Self> {
        let token = match &command {
            Some(_) => None,
            None => fixed_token()?,
        };
        Ok(Self {
            address: server.parse()?,
            options,
            command,
            token,
            sender: None,
        })
    }

    /// Returns the server's answer to `GET path`, of at most `bytes_max` bytes. It may be cancelled; the next call then connects again.
    ///
    /// # Errors
    /// If the server can't be reached, or its answer can't be read.
    pub(super) async fn get(
        &mut self,
        path: &str,
        bytes_max: usize,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        self.request(Method::GET, path, String::new(), bytes_max)
            .await
    }

    /// Returns the server's answer to `POST path` with a body.
    ///
    /// # Errors
    /// As for [`Asking::get`].
    pub(super) async fn post(
        &mut self,
        path: &str,
        body: String,
        bytes_max: usize,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        self.request(Method::POST, path, body, bytes_max).await
    }

    async fn request(
        &mut self,
        method: Method,
        path: &str,
        body: String,
        bytes_max: usize,
    ) -> anyhow::Result<(StatusCode, Bytes)> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            Some(_) | None => self.connect().await?,
        };
        if let (None, Some(command)) = (&self.token, &self.command) {
            self.token = Some(print_token(command.clone()).await?);
        }
        let mut request = Request::builder()
            .method(method)
            .uri(self.address.path(path))
            .header(header::HOST, self.address.authority());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = sender.send_request(request.body(Body::from(body))?).await;
        let answer = answer.map_err(|error| self.no_answer(error))?;
        let status = answer.status();
        let body = axum::body::to_bytes(Body::new(answer.into_body()), bytes_max).await?;
        self.sender = Some(sender);
        if status == StatusCode::UNAUTHORIZED && self.command.is_some() {
            // The token may have expired; the next request uses another one.
            self.token = None;
        }
        Ok((status, body))
    }

    fn no_answer(&self, error: hyper::Error) -> anyhow::Error {
        if error.is_parse() && !self.address.is_secure() {
            return anyhow!("{error}; if the server speaks TLS, write https://");
        }
        error.into()
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Body>> {
        let stream = ServerStream::connect(&self.address, &self.options).await;
        let stream = stream.map_err(|error| match error {
            ReachError::Insecure(error) => error.into(),
            other => ClientError::Unreachable {
                url: self.address.to_string(),
                reason: other.to_string(),
            },
        })?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // The next request reports how it ended.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
