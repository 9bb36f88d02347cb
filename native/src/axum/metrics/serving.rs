//! Metrics of the serving loop, if it is ours.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::{family, gauge};
use crate::serve::Tally;

pub(super) fn register(registry: &mut Registry, tally: &Tally) {
    let help = "Connections in a handshake, sending a request, waiting for an answer, or idle";
    gauge(registry, "open_requests", help, tally.connections());
    for (name, help, value) in [
        (
            "http_accepted",
            "Connections that were accepted",
            tally.accepted(),
        ),
        (
            "accept_errors",
            "Failures to accept a connection",
            tally.accept_errors(),
        ),
    ] {
        let counter = Counter::<u64>::default();
        counter.inc_by(value);
        registry.register(name, help, counter);
    }
    let cuts = tally
        .cuts()
        .map(|(reason, count)| ([("reason", reason)], count));
    let help = "Connections that were cut before or during a request";
    family(registry, "cut", help, cuts);
}
