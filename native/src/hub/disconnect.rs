//! The end of all connections of a user.

use super::Hub;
use crate::error::Stopped;

/// The outcome of [`Hub::disconnect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disconnected {
    /// How many connections the user had at this hub. Those at others are not counted here.
    pub here: usize,
    /// Whether all other servers that have a link to the backend have been told, or there are none. Otherwise this hub has no link at the
    /// moment, and tells them once it has one; but a hub that [shares nothing](super::Config::shares_presence), or whose backend can't
    /// broadcast, never does.
    pub is_told: bool,
}

impl Hub {
    /// Ends the connections of a user, WebSockets and event streams, at this hub and at all others that share its backend: to sign them out
    /// everywhere, to lock them out, or to make their clients fetch a token with their current rights. Streams within this process
    /// continue. Returns once the others have been told.
    ///
    /// `user` is the [name](crate::auth::Identity::user) that authenticating gives them. Each connection ends with a fatal error
    /// `disconnected`, after everything that was sent to it before. Clients that can request tokens connect again with a new one, and
    /// resume; others end. **A token that is still valid lets its bearer in again**, so before you call this, make whoever issues tokens,
    /// or your own [rule](crate::auth::Authenticate), refuse those who are to stay out. An authentication in progress at that moment lets
    /// nobody in, nor does a [ticket](crate::axum) that was issued before.
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
    /// If the hub has stopped.
    pub async fn disconnect(&self, user: &str) -> Result<Disconnected, Stopped> {
        let shards = &self.inner.shards;
        let (here, is_told) = shards
            .disconnect(&user.into(), self.inner.has_others)
            .await?;
        Ok(Disconnected { here, is_told })
    }
}
