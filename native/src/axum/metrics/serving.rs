//! Metrics of the serving loop, if it is ours.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;

use super::{family, gauge};
use crate::serve::Tally;

pub(super) fn register(registry: &mut Registry, tally: &Tally) {
    let help = "Connections that shake hands, send requests, wait for answers or are idle";
    gauge(registry, "open_requests", help, tally.connections());
    for (name, help, value) in [
        (
            "http_accepted",
            "Connections that came in",
            tally.accepted(),
        ),
        (
            "accept_errors",
            "Failures to take a connection that waited",
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
    let help = "Connections that were cut before or while they asked for something";
    family(registry, "cut", help, cuts);
}
