//! How a client connects to a server.

use std::fmt::{self, Display};
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::FutureExt as _;
use tidegate_core::client::TokenSource;

use super::ClientError;

/// The longest message that a client takes by default: far longer than those of a server with the default limits.
const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Options of a connection to a server.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// The token for a server that authenticates its clients.
    pub token: Token,
    /// The certificate authorities to trust, for TLS.
    pub trust: Trust,
    /// The longest message that is accepted, in bytes. A server's messages are [16 KiB longer] than its largest
    /// payload. After a longer one the client is closed, because the message would come again: subscriptions and
    /// publishes fail with the code [`TooLarge`](tidegate_core::protocol::ErrorCode::TooLarge).
    ///
    /// [16 KiB longer]: tidegate_core::hub::HubConfig::payload_bytes_max
    pub message_bytes_max: usize,
}

impl Default for ClientOptions {
    /// No token, the system's authorities, and messages up to 64 MiB.
    fn default() -> Self {
        Self {
            token: Token::default(),
            trust: Trust::default(),
            message_bytes_max: MESSAGE_BYTES_MAX,
        }
    }
}

impl ClientOptions {
    /// The default options, with a token.
    pub fn with_token(token: impl Into<Token>) -> Self {
        Self {
            token: token.into(),
            ..Self::default()
        }
    }

    /// Options from the environment, as in the program `tidegate`: `TIDEGATE_TOKEN` is the token, and `TIDEGATE_CA` a
    /// file with the certificates of the authorities to [trust](Trust::from_pem_file).
    ///
    /// # Errors
    /// If that file can't be used.
    pub fn from_env() -> Result<Self, ClientError> {
        let said = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Ok(Self {
            token: said("TIDEGATE_TOKEN").map(Token::from).unwrap_or_default(),
            trust: match said("TIDEGATE_CA") {
                Some(file) => Trust::from_pem_file(file)?,
                None => Trust::default(),
            },
            ..Self::default()
        })
    }
}

/// The certificate authorities that a client trusts: the system's by default, or others instead.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use tidegate::Client;
/// use tidegate::client::{ClientOptions, Trust};
///
/// let options = ClientOptions {
///     trust: Trust::from_pem_file("/etc/company/ca.pem")?,
///     ..ClientOptions::default()
/// };
/// let client = Client::connect_with("https://progress.company", options).await?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct Trust {
    /// The TLS configuration with other authorities than the system's.
    #[cfg(feature = "tls")]
    pub(super) own: Option<Arc<rustls::ClientConfig>>,
}

#[cfg(not(feature = "tls"))]
impl Trust {
    /// Fails, because this program was built without TLS.
    ///
    /// # Errors
    /// Always.
    pub fn from_pem_file(path: impl AsRef<std::path::Path>) -> Result<Self, super::TrustError> {
        Err(super::TrustError::NoTls {
            path: path.as_ref().to_owned(),
        })
    }
}

impl fmt::Debug for Trust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        #[cfg(feature = "tls")]
        if self.own.is_some() {
            return f.write_str("Trust(own authorities)");
        }
        f.write_str("Trust(the system's authorities)")
    }
}

/// The token that a client presents to a server: none, a text, or a function that supplies another text whenever one is
/// needed.
///
/// ```
/// use tidegate::client::{ClientOptions, Token};
///
/// let fixed = ClientOptions::with_token("eyJhbGciOi…");
/// let renewed = ClientOptions::with_token(Token::ask(|| async {
///     // … log in somewhere …
///     Ok::<_, std::io::Error>("eyJhbGciOi…".to_owned())
/// }));
/// ```
#[derive(Clone, Default)]
pub struct Token(Kind);

#[derive(Clone, Default)]
enum Kind {
    #[default]
    None,
    Fixed(String),
    Ask(Arc<dyn Fn() -> TokenFuture + Send + Sync>),
}

/// A token to come, or why there is none.
pub(super) type TokenFuture = Pin<Box<dyn Future<Output = Result<String, String>> + Send>>;

impl Token {
    /// Tokens that `ask` supplies: one for each connection, and another one well before it expires. If `ask` fails or
    /// panics, or has not answered after 30 s, it is called again, after waits that grow. If the server refuses a token, another
    /// one is requested: once, if the server has not accepted one yet, otherwise up to eleven times in a row, after
    /// waits that grow.
    ///
    /// Neither `ask` nor its future may block, because all clients of the process share one thread. Blocking work
    /// belongs in `tokio::task::spawn_blocking`.
    pub fn ask<Ask, Answer, Error>(ask: Ask) -> Self
    where
        Ask: Fn() -> Answer + Send + Sync + 'static,
        Answer: Future<Output = Result<String, Error>> + Send + 'static,
        Error: Display,
    {
        let ask = move || -> TokenFuture {
            let answer = ask();
            Box::pin(async move { answer.await.map_err(|error| error.to_string()) })
        };
        Self(Kind::Ask(Arc::new(ask)))
    }

    pub(super) fn source(&self) -> TokenSource {
        match &self.0 {
            Kind::None => TokenSource::None,
            Kind::Fixed(token) => TokenSource::Fixed(token.clone()),
            Kind::Ask(_) => TokenSource::Asked,
        }
    }

    /// Gets the next token. A fixed token is always the same.
    pub(super) fn next(&self) -> TokenFuture {
        match &self.0 {
            Kind::None => Box::pin(std::future::ready(Err("there is none".to_owned()))),
            Kind::Fixed(token) => Box::pin(std::future::ready(Ok(token.clone()))),
            Kind::Ask(ask) => {
                let ask = Arc::clone(ask);
                // The call itself may panic, too, before there is a future.
                let answer = AssertUnwindSafe(async move { ask().await }).catch_unwind();
                let panicked = |_| Err("the function that supplies it panicked".to_owned());
                Box::pin(answer.map(move |answer| answer.unwrap_or_else(panicked)))
            }
        }
    }
}

impl From<String> for Token {
    fn from(token: String) -> Self {
        Self(Kind::Fixed(token))
    }
}

impl From<&str> for Token {
    fn from(token: &str) -> Self {
        token.to_owned().into()
    }
}

/// Tokens are secrets.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Kind::None => "Token(none)",
            Kind::Fixed(_) => "Token(fixed, hidden)",
            Kind::Ask(_) => "Token(asked for)",
        })
    }
}
