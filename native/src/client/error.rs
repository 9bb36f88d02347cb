//! The errors of clients.

use std::io;
use std::path::PathBuf;

use tidegate_core::hub;
use tidegate_core::protocol::WireError;
use tidegate_core::topic::TopicError;

use super::UrlError;
use crate::backend::BackendError;
use crate::{JsonError, PresenceError, SubscribeError};

/// Why a client could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The text is not the address of a server.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The first attempt to connect failed.
    #[error("cannot reach {url}: {reason}")]
    Unreachable {
        /// The address.
        url: String,
        /// What the system or the server said.
        reason: String,
    },
    /// The server did not prove its identity.
    #[error(transparent)]
    Insecure(#[from] HandshakeError),
    /// The certificate authorities that were named can't be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The first token could not be obtained.
    #[error("{reason}")]
    NoToken {
        /// The error of the function that was asked for it.
        reason: String,
    },
    /// No backend could be chosen, or the one that was named can't be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The system provided no thread.
    #[error("the client could not start: {0}")]
    Start(#[from] io::Error),
    /// A topic or pattern has invalid syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The payload can't be represented as JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// The server or the backend refused it.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The subscription was refused before it was sent.
    #[error(transparent)]
    Subscribe(#[from] hub::SubscribeError),
    /// A presence could not be tracked or watched.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// Presence needs a server: a client of a backend has none.
    #[error("presence needs a server: connect to one, or take the hub of this process")]
    NoPresence,
    /// A durable subscription needs a server, which remembers what was processed: a client of a backend has none.
    #[error(
        "a durable subscription needs a server: connect to one, or start after positions that you keep (Subscribe::since)"
    )]
    NotDurable,
    /// The client was closed while publications had no answer. They may or may not have been published.
    #[error(
        "{count} publications were not confirmed within {seconds} s; publish them again with the same ids"
    )]
    Unanswered {
        /// How many.
        count: usize,
        /// How long the client waited for them.
        seconds: u64,
    },
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// Why a server could not be connected to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReachError {
    /// An error of the system.
    #[error("{0}{advice}", advice = advice(.0))]
    Io(#[from] io::Error),
    /// The server did not prove its identity.
    #[error(transparent)]
    Insecure(#[from] HandshakeError),
}

/// What to do if nobody listens at an address.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
            "; is a server running there? (tidegate serve)"
        }
        _ => "",
    }
}

/// Why a TLS handshake with a server failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Its certificate is not signed by anyone whom the client trusts.
    #[error(
        "the certificate of {host} is not signed by an authority that is trusted here; if you trust it, name its authority's certificate: --ca FILE, TIDEGATE_CA, or ClientOptions::trust"
    )]
    UnknownIssuer {
        /// The server's name or address.
        host: String,
    },
    /// The certificate is another server's.
    #[error(
        "the certificate of {host} is for {}; connect by one of its names, or give the server a certificate for {host}",
        listed(names)
    )]
    WrongName {
        /// The name or address that was requested.
        host: String,
        /// The names in the certificate.
        names: Vec<String>,
    },
    /// The certificate has expired.
    #[error("the certificate of {host} has expired; renew it there, or check this machine's clock")]
    Expired {
        /// The server's name or address.
        host: String,
    },
    /// The certificate is not valid yet.
    #[error(
        "the certificate of {host} is not valid yet; check the clocks of this machine and of the server"
    )]
    NotYetValid {
        /// The server's name or address.
        host: String,
    },
    /// The server doesn't speak TLS, but plain HTTP, for example.
    #[error("{host} does not speak TLS on this port; write http://, or name the port that does")]
    NotTls {
        /// The server's name or address.
        host: String,
    },
    /// The system has no certificate authorities.
    #[error(
        "this system has no certificate authorities to trust; install them (ca-certificates), or name the server's: --ca FILE, \
         TIDEGATE_CA, or ClientOptions::trust"
    )]
    NoAuthorities,
    /// Anything else.
    #[error("TLS with {host} failed: {reason}")]
    Failed {
        /// The server's name or address.
        host: String,
        /// What TLS says.
        reason: String,
    },
}

/// Names, for people.
fn listed(names: &[String]) -> String {
    if names.is_empty() {
        return "nobody by name".to_owned();
    }
    names.join(", ")
}

/// Why a file of certificates to trust can't be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// It can't be read.
    #[error("cannot read the certificates to trust (--ca, TIDEGATE_CA) from {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// This program was built without TLS.
    #[error(
        "{path} names certificates to trust, but this program was built without TLS (the feature `tls`)"
    )]
    NoTls {
        /// The file.
        path: PathBuf,
    },
    /// It contains no certificate.
    #[error("{path} holds no certificate to trust (--ca, TIDEGATE_CA); expected some as PEM")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A certificate in it is damaged, or can't be trusted.
    #[error(
        "a certificate to trust (--ca, TIDEGATE_CA) in {path} is damaged; expected X.509 as PEM"
    )]
    Unusable {
        /// The file.
        path: PathBuf,
    },
}

impl From<SubscribeError> for ClientError {
    fn from(error: SubscribeError) -> Self {
        match error {
            SubscribeError::Pattern(error) => Self::Topic(error),
            SubscribeError::Refused(error) => Self::Subscribe(error),
            SubscribeError::Flow(error) => Self::Subscribe(error.into()),
            SubscribeError::NotDurable => Self::NotDurable,
            SubscribeError::Stopped(_) => Self::Closed,
        }
    }
}
