//! A stored cursor, as its user is told of it.

use std::time::Duration;

use tidegate_core::durable::{DurableName, Remembered};
use tidegate_core::topic::Pattern;

/// What a store has of a cursor; nothing where somebody else has damaged its name.
pub(super) fn remembered(
    name: &str,
    pattern: &str,
    positions: &str,
    unused_ms: u64,
) -> Option<Remembered> {
    Some(Remembered {
        name: DurableName::new(name).ok()?,
        pattern: Pattern::new(pattern).ok()?,
        // Damaged ones are wanted from their beginning.
        positions: serde_json::from_str(positions).unwrap_or_default(),
        unused_for: Duration::from_millis(unused_ms),
    })
}
