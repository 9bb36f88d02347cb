//! A stored cursor, as its user sees it.

use std::time::Duration;

use tidegate_core::durable::{DurableName, Remembered};
use tidegate_core::topic::Pattern;

/// Makes it of what a store has; `None` if its name was damaged by another program.
pub(super) fn remembered(
    name: &str,
    pattern: &str,
    positions: &str,
    unused_ms: u64,
) -> Option<Remembered> {
    Some(Remembered {
        name: DurableName::new(name).ok()?,
        pattern: Pattern::new(pattern).ok()?,
        // If the positions were damaged, the subscription starts from the beginning.
        positions: serde_json::from_str(positions).unwrap_or_default(),
        unused_for: Duration::from_millis(unused_ms),
    })
}
