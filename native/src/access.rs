//! Whom a hub lets in, and what they may do there.

mod door;
pub(crate) mod hosts;
mod proxies;
mod ticket;

use std::sync::Arc;

use tidegate_core::admission::AdmissionLimits;
use tidegate_core::topic::Pattern;

use crate::auth::Authenticate;
pub(crate) use door::{Door, Known, Pass, Refused, place};
pub(crate) use proxies::is_for_others;
pub use proxies::{ForwardedBy, Network, NetworkError, Proxies};

/// Whom a hub lets in. The default asks nobody who they are: programs may do everything, and pages of the server's own host
/// may watch, but not publish. That is for a server that only its own machine reaches; one that others reach needs
/// [`authenticate`](Self::authenticate):
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = "a secret of at least thirty-two bytes";
/// use tidegate::auth::JwtVerifier;
/// use tidegate::{AccessConfig, Config, Hub};
///
/// let access = AccessConfig {
///     authenticate: Some(std::sync::Arc::new(JwtVerifier::hs256(secret.as_bytes())?)),
///     ..AccessConfig::default()
/// };
/// let hub = Hub::new(Config { access, ..Config::default() })?;
/// # Ok(()) }
/// ```
#[derive(Clone, Default)]
pub struct AccessConfig {
    /// Finds out who clients are. Without it nobody is asked, and all may do everything, browsers excepted.
    pub authenticate: Option<Arc<dyn Authenticate>>,
    /// How many connections there may be.
    pub limits: AdmissionLimits,
    /// Origins whose pages may connect, such as `https://app.example`, besides the server's own host. Where nobody is asked,
    /// these are the names, too, by which callers of the same machine may ask for it, besides `localhost` and addresses.
    pub origins: Vec<String>,
    /// Everybody who reaches the hub may use it, by whatever name, although nobody is asked who they are. Without this, and
    /// without [`authenticate`](Self::authenticate), a page that has its own name lead to this machine is refused.
    pub open_to_everyone: bool,
    /// Where pages may publish while nobody is asked who they are.
    pub browsers_publish: Vec<Pattern>,
    /// Proxies that are believed where their clients come from.
    pub proxies: Proxies,
    /// Signs tickets. Servers that stand in for each other need the same one; without it each has its own.
    pub ticket_secret: Option<Vec<u8>>,
}

/// How clients are found out, and secrets, stay hidden.
impl std::fmt::Debug for AccessConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("AccessConfig")
            .field("asks", &self.authenticate.is_some())
            .field("limits", &self.limits)
            .field("origins", &self.origins)
            .field("open_to_everyone", &self.open_to_everyone)
            .field("proxies", &self.proxies)
            .field("browsers_publish", &self.browsers_publish)
            .finish_non_exhaustive()
    }
}
