//! Asking a server how it is, over HTTP.

use std::time::Duration;

use anyhow::{Context as _, bail};
use axum::body::Body;
use axum::http::{Request, StatusCode, Uri, header};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::board::Told;
use crate::cli::place::{fixed_token, print_token};

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The most bytes of an answer.
const BYTES_MAX: usize = 16 * 1024 * 1024;

/// The way to a server's `/debug`, over one connection as long as that lasts.
pub(super) struct Look {
    uri: Uri,
    /// Prints tokens.
    command: Option<String>,
    token: Option<String>,
    sender: Option<SendRequest<Body>>,
}

impl Look {
    /// # Errors
    /// `server` is not an address over plain HTTP.
    pub(super) fn new(
        server: &str,
        topics: usize,
        command: Option<String>,
    ) -> anyhow::Result<Self> {
        let (scheme, rest) = server.split_once("://").unwrap_or(("http", server));
        if scheme != "http" {
            bail!("{server}: write http://HOST:PORT");
        }
        let text = format!(
            "http://{}/debug?topics={topics}",
            rest.trim_end_matches('/')
        );
        let uri: Uri = text.parse().with_context(|| server.to_owned())?;
        Ok(Self {
            uri,
            token: fixed_token().filter(|_| command.is_none()),
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
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::get(path).header(header::HOST, self.host());
        if let Some(token) = &self.token {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        let answer = sender.send_request(request.body(Body::empty())?).await?;
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

    fn host(&self) -> &str {
        self.uri
            .authority()
            .map_or("", |authority| authority.as_str())
    }

    async fn connect(&self) -> anyhow::Result<SendRequest<Body>> {
        let host = self.uri.host().unwrap_or_default();
        let address = (
            host.trim_matches(['[', ']']),
            self.uri.port_u16().unwrap_or(80),
        );
        let stream = TcpStream::connect(address).await?;
        let (sender, connection) = handshake(TokioIo::new(stream)).await?;
        // How it ends is told by the next request.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }
}
