//! Who a client is, and what it may do: by a signed token, or by a rule of the embedding application.
//!
//! A server that asks gets each client's token from the header `Authorization: Bearer …`, from a subprotocol, from the
//! first frame, or, for an `EventSource`, which can set none of these, from a ticket. What the token allows is a
//! [`Grant`], against which the core holds every request of the connection.

mod claims;
mod jwt;

use std::any::Any;
use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::{Duration, SystemTime};

use tidegate_core::access::{Grant, USER_BYTES_MAX};
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Room as _, Topic, UserRoom};

pub use jwt::{JwtError, JwtVerifier};

/// What a client shows to prove who it is.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The token that it sent.
    pub token: Option<String>,
    /// The headers of its HTTP request: cookies, say.
    pub headers: axum::http::HeaderMap,
    /// Where it connects from, where the server knows.
    pub address: Option<IpAddr>,
}

/// Headers and tokens are secrets.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials")
            .field("token", &self.token.as_ref().map(|_| "(hidden)"))
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Who a client turned out to be, and what it may do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Identity {
    /// Its name; at most [`USER_BYTES_MAX`] bytes.
    pub user: Option<String>,
    /// What it may subscribe to. A subscription needs one entry that covers the whole of its pattern.
    pub subscribe: Vec<Pattern>,
    /// Where it may publish.
    pub publish: Vec<Pattern>,
    /// When it has to prove itself again.
    pub expires: Option<SystemTime>,
}

impl Identity {
    /// The same as the core knows it; `now` is one instant by both clocks.
    pub(crate) fn into_grant(self, now: (Instant, SystemTime)) -> Grant {
        let (instant, time) = now;
        let expires = self.expires.map(|at| {
            let left = at.duration_since(time).unwrap_or(Duration::ZERO);
            instant + left
        });
        Grant {
            expires,
            ..self.into_grant_now()
        }
    }

    /// The room of the user, `user:{int}`, which all their connections are in. Users whose names are no numbers have none.
    pub(crate) fn room(&self) -> Option<Topic> {
        let number = self.user.as_deref()?.parse().ok()?;
        let room = UserRoom(number).topic();
        // Another spelling of the number is another name.
        (room.as_str().strip_prefix("user:") == self.user.as_deref()).then_some(room)
    }

    /// The same for what is done at once, without its end.
    pub(crate) fn into_grant_now(self) -> Grant {
        let own_room = self.room().map(Pattern::from);
        Grant {
            user: self.user.map(Into::into),
            subscribe: self.subscribe,
            publish: self.publish,
            joins: own_room.into_iter().collect(),
            expires: None,
        }
    }
}

/// Why a client is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It showed nothing.
    #[error(
        "this server asks who you are; send a token: in the header Authorization, or as `token` of a first frame hello"
    )]
    Missing,
    /// What it showed proves nothing.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// What it showed proved something once.
    #[error("the token has expired; get a new one")]
    Expired,
    /// It is known, and not welcome.
    #[error("{0}")]
    Refused(String),
    /// Whoever has to be asked could not be.
    #[error("who you are cannot be found out now; try again: {0}")]
    Unavailable(String),
}

impl AuthError {
    /// What the client is told.
    pub(crate) fn to_wire(&self) -> WireError {
        let code = match self {
            Self::Missing | Self::Invalid(_) => ErrorCode::Unauthorized,
            Self::Expired => ErrorCode::TokenExpired,
            Self::Refused(_) => ErrorCode::Forbidden,
            Self::Unavailable(_) => ErrorCode::Unavailable,
        };
        WireError::new(code, self.to_string())
    }
}

/// What [`Authenticate::authenticate`] gives.
pub type Authenticating<'a> =
    Pin<Box<dyn Future<Output = Result<Identity, AuthError>> + Send + 'a>>;

/// Finds out who a client is. [`JwtVerifier`] does by a signed token; applications may have a rule of their own:
///
/// ```
/// use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
///
/// struct Sessions;
///
/// impl Authenticate for Sessions {
///     fn authenticate(&self, shown: Credentials) -> Authenticating<'_> {
///         Box::pin(async move {
///             let cookie = shown.headers.get("cookie").ok_or(AuthError::Missing)?;
///             // … look the session up …
///             # let _ = cookie;
///             Ok(Identity {
///                 user: Some("7".into()),
///                 subscribe: vec!["user:7".parse().expect("a pattern")],
///                 ..Identity::default()
///             })
///         })
///     }
/// }
/// ```
///
/// An application's own rule runs on the tokio runtime that serves its clients. It may await what it has to ask, and should
/// not block: what does, such as a library of a database without async, belongs into `tokio::task::spawn_blocking`. A rule that
/// panics lets the client in question not in.
pub trait Authenticate: Any + Send + Sync {
    /// Who shows these credentials, and what they may do. Cancelled when the client leaves or takes too long.
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_>;
}

/// Checks what an application or a token says of a user.
fn checked_user(user: String) -> Result<String, AuthError> {
    if user.is_empty() || user.len() > USER_BYTES_MAX || user.chars().any(char::is_control) {
        return Err(AuthError::Invalid(format!(
            "a user's name must be 1 to {USER_BYTES_MAX} bytes without control characters"
        )));
    }
    Ok(user)
}
