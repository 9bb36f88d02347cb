//! Metrics of durable subscriptions.

use prometheus_client::registry::Registry;
use tidegate_core::durable::DurableCounts;

use super::{counter, gauge};

pub(super) fn register(registry: &mut Registry, counts: &DurableCounts) {
    for (name, help, value) in [
        (
            "durables",
            "Active durable subscriptions of this server's connections",
            counts.held,
        ),
        (
            "durables_unstored",
            "Active durable subscriptions with acknowledgements that are not stored yet",
            counts.unstored,
        ),
    ] {
        gauge(registry, name, help, value);
    }
    for (name, help, value) in [
        (
            "durables_stored",
            "Times that the position of a durable subscription was stored",
            counts.stored,
        ),
        (
            "durables_refused",
            "Durable subscriptions refused because a limit was reached",
            counts.refused,
        ),
        (
            "durables_forgotten",
            "Durable subscriptions forgotten because they were unused for too long",
            counts.forgotten,
        ),
    ] {
        counter(registry, name, help, value);
    }
}
