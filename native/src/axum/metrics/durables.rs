//! Metrics of durable subscriptions.

use prometheus_client::registry::Registry;
use tidegate_core::durable::DurableCounts;

use super::{counter, gauge};

pub(super) fn register(registry: &mut Registry, counts: &DurableCounts) {
    for (name, help, value) in [
        (
            "durables",
            "Durable subscriptions that connections of this server have",
            counts.held,
        ),
        (
            "durables_unstored",
            "Those of them of which something was acknowledged that is not stored yet",
            counts.unstored,
        ),
    ] {
        gauge(registry, name, help, value);
    }
    for (name, help, value) in [
        (
            "durables_stored",
            "Times that it was stored how far a durable subscription is",
            counts.stored,
        ),
        (
            "durables_refused",
            "Durable subscriptions that were refused because there were as many as there may be",
            counts.refused,
        ),
        (
            "durables_forgotten",
            "Durable subscriptions that were forgotten because nobody had used them for too long",
            counts.forgotten,
        ),
    ] {
        counter(registry, name, help, value);
    }
}
