//! Asking a server how it is, over HTTP.

use std::time::Duration;

use anyhow::{anyhow, bail};
use axum::body::Body;
use axum::http::{Request, StatusCode, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tidegate::client::{ClientError, ClientOptions, ReachError, ServerAddress, ServerStream};

use super::board::Told;
use crate::cli::place::{fixed_token, print_token};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The way to a server's `/debug`, over one connection as long as that lasts.
pub(super) struct Look {
    address: ServerAddress,
    options: ClientOptions,
    topics: usize,
    /// Prints tokens.
    command: Option<String>,
    token: Option<String>,
    sender: Option<SendRequest<Body>>,
}

impl Look {
    /// # Errors
    /// `server` is not an address, or the token that the environment has no text.
    pub(super) fn new(
        server: &str,
        options: ClientOptions,
        topics: usize,
        command: Option<String>,
    ) -> anyhow::Result<Self> {
        let token = match &command {
            Some(_) => None,
            None => fixed_token()?,
        };
        Ok(Self {
            address: server.parse()?,
            options,
            topics,
            token,
            command,
            sender: None,
        })
    }

    /// What the server tells now.
    ///
    /// # Errors
    /// It can't be reached, refuses to tell, or is none.
    pub(super) async fn look(&mut self) -> anyhow::Result<Told> {
        match tokio::time::timeout(PATIENCE, self.ask()).await {
            Ok(told) => told,
            Err(_) => {
                self.sender = None;
                bail!("no answer within {} s", PATIENCE.as_secs())
            }
        }
    }

    async fn ask(&mut self) -> anyhow::Result<Told> {
        let mut sender = match self.sender.take() {
            Some(sender) if !sender.is_closed() => sender,
            Some(_) | None => self.connect().await?,
        };
        if let (None, Some(command)) = (&self.token, &self.command) {
            self.token = Some(print_token(command.clone()).await?);
        }
        let path = self.address.path(&format!("/debug?topics={}", self.topics));
        let mut request = Request::get(path).header(header::HOST, self.address.authority());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = sender.send_request(request.body(Body::empty())?).await;
        let answer = answer.map_err(|error| self.no_answer(error))?;
        let status = answer.status();
        let body = axum::body::to_bytes(Body::new(answer.into_body()), BYTES_MAX).await?;
        self.sender = Some(sender);
        if status == StatusCode::UNAUTHORIZED && self.command.is_some() {
            // Its token may have ended; the next look is with another one.
            self.token = None;
        }
        match status {
            StatusCode::OK => Ok(serde_json::from_slice(&body)?),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => bail!(
                "the server tells this on its own machine, or to a token that may subscribe to ** (TIDEGATE_TOKEN)"
            ),
            other => bail!("the server answers {other}"),
        }
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
            ReachError::Io(error) => ClientError::Unreachable {
                url: self.address.to_string(),
                reason: error.to_string(),
            },
            ReachError::Insecure(error) => error.into(),
        })?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // How it ends is told by the next request.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
