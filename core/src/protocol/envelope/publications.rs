//! Publications in the frames of a server: complete, as a delta, or in a batch.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{FrameError, ServerEnvelope, need, need_topic, optional_pattern};
use crate::protocol::ServerFrame;
use crate::publication::Publication;
use crate::topic::Pattern;

/// A publication, complete or as a delta.
pub(super) fn one<P>(mut envelope: ServerEnvelope<P>) -> Result<ServerFrame<P>, FrameError> {
    let Some(delta) = envelope.delta.take() else {
        let (publication, via) = publication(envelope)?;
        return Ok(ServerFrame::Publication { publication, via });
    };
    let base = need(envelope.base, "pub", "base")?;
    envelope.data = Some(delta);
    let (publication, via) = publication(envelope)?;
    Ok(ServerFrame::Delta {
        publication,
        base,
        via,
    })
}

type PublicationVia<P> = (Arc<Publication<P>>, Option<Pattern>);

fn publication<P>(envelope: ServerEnvelope<P>) -> Result<PublicationVia<P>, FrameError> {
    let position = envelope.position_of("pub")?;
    let publication = Publication {
        topic: need_topic(envelope.topic, "pub")?,
        position,
        payload: need(envelope.data, "pub", "data")?,
        end: envelope.end,
    };
    Ok((
        Arc::new(publication),
        optional_pattern(envelope.via, "pub")?,
    ))
}

pub(super) fn batch<P>(envelopes: Vec<ServerEnvelope<P>>) -> Result<ServerFrame<P>, FrameError> {
    let mut items = Vec::with_capacity(envelopes.len());
    let mut batch_via = None;
    for envelope in envelopes {
        let (item, via) = publication(envelope)?;
        items.push(item);
        batch_via = via;
    }
    Ok(ServerFrame::Batch {
        items,
        via: batch_via,
    })
}
