//! Converts the core's calls of an uplink to calls of a backend.

use tidegate_core::uplink::{UplinkAnswer, UplinkCall};

use crate::backend::{Backend, BackendError, Feed};
use crate::json::Json;

/// Carries out a call. `feed` makes the feed by which a link that is being opened reaches the shard.
pub(super) async fn carry_out(
    backend: &dyn Backend,
    call: UplinkCall<Json>,
    feed: impl FnOnce() -> Feed,
) -> Result<UplinkAnswer<Json>, BackendError> {
    Ok(match call {
        UplinkCall::Open => {
            backend.open(feed()).await?;
            UplinkAnswer::Done
        }
        UplinkCall::Follow(patterns) => {
            backend.follow(&patterns).await?;
            UplinkAnswer::Done
        }
        UplinkCall::Unfollow(patterns) => {
            backend.unfollow(&patterns).await?;
            UplinkAnswer::Done
        }
        UplinkCall::Read { topic, since } => {
            UplinkAnswer::Excerpt(backend.read(&topic, since).await?)
        }
        UplinkCall::List(pattern) => UplinkAnswer::Excerpts(backend.list(&pattern).await?),
        UplinkCall::ListPage(page) => UplinkAnswer::Excerpts(backend.list_page(&page).await?),
        UplinkCall::Publish(batch) => UplinkAnswer::Published(backend.publish(&batch).await?),
        UplinkCall::Renew { topic, epoch } => {
            tracing::warn!(
                %topic, epoch, backend = %backend.describe(),
                "the backend has lost publications that were seen; the topic begins a new epoch"
            );
            backend.renew(&topic, epoch).await?;
            UplinkAnswer::Done
        }
        UplinkCall::Cursors(calls) => UplinkAnswer::Cursors(backend.cursors(&calls).await?),
        UplinkCall::Probe => {
            backend.probe().await?;
            UplinkAnswer::Done
        }
        // The backend has nothing to do for it, and nobody waits for an answer.
        UplinkCall::GiveUp => UplinkAnswer::Done,
    })
}
