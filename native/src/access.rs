//! Who may use a hub, and what they may do.

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

/// Who may use a hub.
///
/// By default, nobody has to say who they are: programs may do everything, and pages of the server's own origin may
/// subscribe, but not publish. That is for a server that only its own machine can reach. One that other machines can
/// reach needs [`authenticate`](Self::authenticate):
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
    /// Finds out who a client is. Without it, clients are not asked, and all but browsers may do everything.
    pub authenticate: Option<Arc<dyn Authenticate>>,
    /// The limits on the number of connections.
    pub limits: AdmissionLimits,
    /// Origins whose pages may connect, such as `https://app.example`, in addition to the server's own. If clients are
    /// not asked who they are, these are also the host names by which callers on the same machine may address the
    /// server, in addition to `localhost` and IP addresses.
    pub origins: Vec<String>,
    /// Lets everyone who can reach the hub use it, under any host name, although clients are not asked who they are.
    /// Without this and without [`authenticate`](Self::authenticate), the hub refuses requests from this machine that
    /// are addressed to an unknown host name, because a web page can make its own name point to this machine; and
    /// requests that a proxy forwards for other machines.
    pub open_to_everyone: bool,
    /// The topics that pages may publish to while clients are not asked who they are.
    pub browsers_publish: Vec<Pattern>,
    /// Proxies that are trusted to say where their clients come from.
    pub proxies: Proxies,
    /// Signs tickets. Servers that stand in for each other need the same secret; by default, each has a random one.
    pub ticket_secret: Option<Vec<u8>>,
}

/// Authentication and secrets stay hidden.
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
