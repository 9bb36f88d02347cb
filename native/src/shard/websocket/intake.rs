//! What the readers of a shard share.

use std::sync::Arc;

use tidegate_core::time::Instant;

use crate::deflate::Inflater;
use crate::hub::Bodies;

/// What readers need to assemble messages.
pub(in crate::shard) struct Intake {
    pub(super) inflater: Inflater,
    /// The room for messages that are not complete.
    pub(super) bodies: Arc<Bodies>,
    /// When the bytes at hand were received.
    pub(in crate::shard) now: Instant,
}

impl Intake {
    pub(in crate::shard) fn new(bodies: Arc<Bodies>) -> Self {
        Self {
            inflater: Inflater::default(),
            bodies,
            now: Instant::ZERO,
        }
    }
}
