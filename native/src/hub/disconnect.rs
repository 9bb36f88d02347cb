//! The end of all connections of a user.

use super::Hub;
use crate::error::Stopped;

/// What came of [`Hub::disconnect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// How many connections the user had at this hub. Those at others are not counted here.
    pub here: usize,
    /// Whether all other servers that have a link to the backend have been told, or there are none. Otherwise this hub has no link now,
    /// and tells them once it has one; but a hub that [shares nothing](super::Config::shares_presence), or whose backend can't
    /// broadcast, never does.
    pub is_told: bool,
}

impl Hub {
    /// Ends the connections of a user, WebSockets and event streams, at this hub and at all others that share its backend: to sign out
    /// everywhere, to shut somebody out, or to have them ask for a token that says what they may do by now. Streams within this process go
    /// on. Returns once the others have been told.
    ///
    /// `user` is the name by which [whoever authenticates](crate::auth::Identity::user) knows them. Each connection ends with a fatal
    /// error `disconnected`, after all that was sent to it. Clients that can ask for tokens connect again with a new one, and resume; others
    /// end. **A token that stands lets its bearer in again**, so have those who give them out, or your own
    /// [rule](crate::auth::Authenticate), refuse whoever is to stay out before this is called. Whoever was being asked about at that moment
    /// is not let in, nor by a [ticket](crate::axum) that was made before.
    ///
    /// A server without a link to the backend at that moment ends its connections of the user once it is linked again, if that is within ten
    /// minutes, and this hub still runs.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let hub = tidegate::Hub::new(Default::default())?;
    /// let ended = hub.disconnect("ada").await?;
    /// assert_eq!((ended.here, ended.is_told), (0, true));
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    /// When the hub has stopped.
    pub async fn disconnect(&self, user: &str) -> Result<Disconnected, Stopped> {
        let shards = &self.inner.shards;
        let (here, is_told) = shards
            .disconnect(&user.into(), self.inner.has_others)
            .await?;
        Ok(Disconnected { here, is_told })
    }
}
