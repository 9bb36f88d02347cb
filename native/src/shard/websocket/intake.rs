//! What the readers of a shard share.

use std::sync::Arc;

use tidegate_core::time::Instant;

use crate::deflate::Inflater;
use crate::hub::Bodies;

/// What it takes to put messages together.
pub(in crate::shard) struct Intake {
    pub(super) inflater: Inflater,
    /// What is there for those that are not complete.
    pub(super) bodies: Arc<Bodies>,
    /// When this is received.
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
