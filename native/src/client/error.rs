//! What can go wrong with a client.

use std::io;
use std::path::PathBuf;

use tidegate_core::hub;
use tidegate_core::protocol::WireError;
use tidegate_core::topic::TopicError;

use super::UrlError;
use crate::backend::BackendError;
use crate::{JsonError, PresenceError, SubscribeError};

/// Why a client could not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// The address of the server is not one.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The first attempt to connect failed.
    #[error("cannot reach {url}: {reason}; is a server running there? (tidegate serve)")]
    Unreachable {
        /// Where to.
        url: String,
        /// What the system or the server said.
        reason: String,
    },
    /// The server did not prove that it is the one that was asked for.
    #[error(transparent)]
    Insecure(#[from] HandshakeError),
    /// The authorities that were named can't be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The first token that was asked for could not be had.
    #[error("{reason}")]
    NoToken {
        /// What whoever was asked has said.
        reason: String,
    },
    /// No backend could be chosen, or the one that was named can't be used.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The system gave no thread to work in.
    #[error("the client could not start: {0}")]
    Start(#[from] io::Error),
    /// A topic or pattern breaks the syntax.
    #[error(transparent)]
    Topic(#[from] TopicError),
    /// The payload has no JSON form.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// It was refused by the server, or by the backend.
    #[error(transparent)]
    Refused(#[from] WireError),
    /// The subscription was refused before it was sent.
    #[error(transparent)]
    Subscribe(#[from] hub::SubscribeError),
    /// Nobody is present, or can be.
    #[error(transparent)]
    Presence(#[from] PresenceError),
    /// Servers tell each other who is present; a client of a backend is none.
    #[error("presence needs a server: connect to one, or take the hub of this process")]
    NoPresence,
    /// A durable subscription needs a server, which remembers what was dealt with; a client of a backend is none.
    #[error(
        "a durable subscription needs a server: connect to one, or start since the positions that you keep"
    )]
    NotDurable,
    /// The client was closed while publications that were queued had no answer. They may or may not have happened.
    #[error(
        "{count} publications were not confirmed within {seconds} s; publish them again with the same ids"
    )]
    Unanswered {
        /// How many.
        count: usize,
        /// How long it was waited for them.
        seconds: u64,
    },
    /// The client was closed.
    #[error("the client was closed")]
    Closed,
}

/// Why a server could not be connected to.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// What the system says.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It did not prove that it is the one that was asked for.
    #[error(transparent)]
    Insecure(#[from] HandshakeError),
}

/// Why TLS with a server came to nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum HandshakeError {
    /// Nobody whom the client trusts has signed its certificate.
    #[error(
        "the certificate of {host} is signed by nobody who is trusted here; where that is right, name the certificate of who \
         signed it: --ca FILE, TIDEGATE_CA, or ClientOptions::trust"
    )]
    UnknownIssuer {
        /// The server's name or address.
        host: String,
    },
    /// The certificate is another server's.
    #[error(
        "the certificate that {host} shows is for {}; connect by a name that it has, or give the server one for {host}",
        listed(names)
    )]
    WrongName {
        /// The name or address that was asked for.
        host: String,
        /// Those in the certificate.
        names: Vec<String>,
    },
    /// The certificate's time is over.
    #[error(
        "the certificate of {host} has expired; renew it there, or look whether this machine's clock is right"
    )]
    Expired {
        /// The server's name or address.
        host: String,
    },
    /// The certificate's time has not come.
    #[error(
        "the certificate of {host} is not valid yet; look whether this machine's clock is right, and the server's"
    )]
    NotYetValid {
        /// The server's name or address.
        host: String,
    },
    /// What answers there speaks something else, such as plain HTTP.
    #[error("{host} speaks no TLS there; write http://, or the port at which it does")]
    NotTls {
        /// The server's name or address.
        host: String,
    },
    /// There is nobody to trust.
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

/// Why a file says not whom to trust.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrustError {
    /// It can't be read.
    #[error("cannot read the certificates to trust (--ca, TIDEGATE_CA) from {path}: {source}")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// This build speaks no TLS.
    #[error(
        "{path} is to say whom to trust, and this program was built without TLS (the feature `tls`)"
    )]
    NoTls {
        /// Which file was named.
        path: PathBuf,
    },
    /// It has no certificate.
    #[error("{path} holds no certificate to trust (--ca, TIDEGATE_CA); expected some as PEM")]
    NoCertificate {
        /// Which.
        path: PathBuf,
    },
    /// A certificate in it is none, or none to trust.
    #[error(
        "a certificate to trust (--ca, TIDEGATE_CA) in {path} is damaged; expected X.509 as PEM"
    )]
    Unusable {
        /// Which.
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
