//! Topics in memory keep the promises of every backend.

use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Memory};
use tidegate_server_tests::conformance;
use tidegate_server_tests::conformance::Place;

/// The topics of one memory.
struct InMemory {
    first: Memory,
}

impl Place for InMemory {
    const SEQUENCES: u32 = 256;

    async fn start(keep: Keep) -> Self {
        let first = Memory::new(keep);
        Self { first }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        Arc::new(self.first.share())
    }
}

conformance!(InMemory);
