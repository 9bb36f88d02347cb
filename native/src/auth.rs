//! Authentication: who a client is and what it may do, by a signed token or by a rule of the embedding application.
//!
//! A client sends its token in the header `Authorization: Bearer …`, as a subprotocol, in the cookie `tidegate_token`
//! or in the first frame. A client that can do none of these, such as an `EventSource`, uses a ticket instead. What the
//! token allows is a [`Grant`]; the core checks every request of the connection against it.

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

pub(crate) use claims::Subject;
pub(crate) use jwt::KeySetHealth;
pub use jwt::{JwtError, JwtVerifier};

/// What a client presents to prove who it is.
#[derive(Clone, Default)]
pub struct Credentials {
    /// The token, if it sent one.
    pub token: Option<String>,
    /// The headers of its HTTP request, such as cookies.
    pub headers: axum::http::HeaderMap,
    /// The address that it connects from, if known.
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
    /// The user's name, at most [`USER_BYTES_MAX`] bytes; `None` for an anonymous client. A whole number puts the
    /// client into the room `user:{int}`.
    pub user: Option<String>,
    /// What it may subscribe to. One entry has to cover the whole pattern of a subscription.
    pub subscribe: Vec<Pattern>,
    /// The topics that it may publish to.
    pub publish: Vec<Pattern>,
    /// When it has to authenticate again; `None` for never.
    pub expires: Option<SystemTime>,
}

impl Identity {
    /// Converts this to the core's form. `now` is the same moment on both clocks.
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

    /// Returns the user's room, `user:{int}`, which all their connections are in; `None` if the name is not a number.
    pub(crate) fn room(&self) -> Option<Topic> {
        let number = self.user.as_deref()?.parse().ok()?;
        let room = UserRoom(number).topic();
        // `007` is not the same user as `7`.
        (room.as_str().strip_prefix("user:") == self.user.as_deref()).then_some(room)
    }

    /// Like [`Self::into_grant`], for a single request, which is over before the grant could expire.
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

/// Why a client is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// It presented no credentials.
    #[error(
        "this server requires a token; send one in the header Authorization, or as `token` in the first frame, hello"
    )]
    Missing,
    /// Its credentials are invalid.
    #[error("the token is not valid: {0}")]
    Invalid(String),
    /// Its credentials have expired.
    #[error("the token has expired; get a new one")]
    Expired,
    /// It is known, but not allowed to connect.
    #[error("{0}")]
    Refused(String),
    /// The service that decides could not be asked.
    #[error("you cannot be authenticated now; try again later: {0}")]
    Unavailable(String),
}

impl AuthError {
    /// The error that the client is sent.
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

/// What [`Authenticate::authenticate`] returns.
pub type Authenticating<'a> =
    Pin<Box<dyn Future<Output = Result<Identity, AuthError>> + Send + 'a>>;

/// Finds out who a client is. [`JwtVerifier`] does it with signed tokens. Applications can supply a rule of their own:
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use tidegate::auth::{AuthError, Authenticate, Authenticating, Credentials, Identity};
/// use tidegate::{AccessConfig, Config, Hub};
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
///
/// let access = AccessConfig {
///     authenticate: Some(std::sync::Arc::new(Sessions)),
///     ..AccessConfig::default()
/// };
/// let hub = Hub::new(Config { access, ..Config::default() })?;
/// # Ok(()) }
/// ```
///
/// Such a rule runs on the tokio runtime that serves the clients. It may await, but should not block: blocking calls,
/// such as those of a database library without async, belong in `tokio::task::spawn_blocking`. If the rule panics,
/// the client in question is refused for now, with the code `unavailable`.
pub trait Authenticate: Any + Send + Sync {
    /// Returns who presents these credentials, and what they may do. Cancelled if the client leaves or this takes too
    /// long.
    fn authenticate(&self, credentials: Credentials) -> Authenticating<'_>;
}

/// Checks a user's name that an application or a token has given.
fn checked_user(user: String) -> Result<String, String> {
    if user.is_empty() || user.len() > USER_BYTES_MAX || user.chars().any(char::is_control) {
        return Err(format!(
            "a user's name must be 1 to {USER_BYTES_MAX} bytes without control characters"
        ));
    }
    Ok(user)
}
