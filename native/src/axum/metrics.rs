//! `GET /metrics`: how much the server holds and has done, in the format that Prometheus reads (OpenMetrics).

mod durables;
mod serving;

use std::sync::Arc;

use axum::Extension;
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeMetric, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use tokio::runtime::Handle;

use super::Served;
use super::error::HttpError;
use crate::hub::{BackendLink, Counts};
use crate::serve::Tally;
use crate::shard::{BOUNDS_MICROS, CLOSE_REASONS, Latency, Totals};

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

type Label = [(&'static str, &'static str); 1];

pub(super) async fn metrics(
    State(served): State<Served>,
    tally: Option<Extension<Arc<Tally>>>,
) -> Result<Response, HttpError> {
    let (counts, totals) = served.hub.totals().await?;
    let mut registry = Registry::with_prefix("tidegate");
    register_held(&mut registry, &counts, served.event_streams.count());
    gauge(
        &mut registry,
        "tasks",
        "Tasks in the server's runtime",
        Handle::current().metrics().num_alive_tasks(),
    );
    register_done(&mut registry, &totals);
    register_backlog(&mut registry, &totals);
    register_errors(&mut registry, &totals, &served);
    durables::register(&mut registry, &totals.durables);
    let help = "Bytes of incomplete publish requests and WebSocket messages";
    gauge(
        &mut registry,
        "bodies_bytes",
        help,
        served.hub.bodies().held(),
    );
    registry.register_with_unit(
        "delivery_latency",
        "Time from accepting a publication, or receiving it from the backend, to writing it to a socket; sampled",
        Unit::Seconds,
        Seconds(totals.latency),
    );
    register_refused(&mut registry, &served);
    if let Some(Extension(tally)) = &tally {
        serving::register(&mut registry, tally);
    }
    if let Some(health) = served.hub.backend() {
        let is_live = health.borrow().link == BackendLink::Live;
        let help = "1 while the backend is connected, otherwise 0";
        gauge(&mut registry, "backend_live", help, usize::from(is_live));
    }
    let mut text = String::new();
    encode(&mut text, &registry).expect("writing to a string succeeds");
    Ok(([(CONTENT_TYPE, OPEN_METRICS)], text).into_response())
}

fn register_held(registry: &mut Registry, counts: &Counts, event_streams: usize) {
    let uplink = &counts.uplink;
    for (name, help, value) in [
        (
            "connections",
            "WebSockets, event streams and streams within the process",
            counts.connections,
        ),
        ("event_streams", "Event streams", event_streams),
        ("subscriptions", "Subscriptions", counts.hub.subscriptions),
        ("topics", "Topics that are remembered", counts.hub.topics),
        (
            "gates",
            "Subscriptions that hold something back",
            counts.hub.gates,
        ),
        (
            "backend_followed",
            "Patterns followed in the backend",
            uplink.followed,
        ),
        (
            "backend_behind",
            "Topics being read from the backend",
            uplink.behind,
        ),
        (
            "backend_parked",
            "Patterns with subscriptions that wait for the backend",
            uplink.parked,
        ),
        (
            "backend_publishes_waiting",
            "Publications that wait for the backend",
            uplink.publishes,
        ),
    ] {
        gauge(registry, name, help, value);
    }
}

fn register_backlog(registry: &mut Registry, totals: &Totals) {
    let backlog = &totals.backlog;
    for (name, help, value) in [
        (
            "connections_behind",
            "Connections with a backlog",
            backlog.connections,
        ),
        (
            "waiting_bytes",
            "Bytes in the backlogs of connections",
            backlog.bytes,
        ),
    ] {
        gauge(registry, name, help, value);
    }
    for (name, help, value) in [
        (
            "conflated",
            "Publications replaced by a newer one while they waited for a slow connection",
            backlog.losses.conflated,
        ),
        (
            "lagged",
            "Publications dropped for slow connections, with a notice",
            backlog.losses.lagged,
        ),
        (
            "shed_bytes",
            "Bytes dropped for slow connections",
            backlog.losses.shed_bytes,
        ),
        (
            "resets",
            "Times that a subscriber had to start over with a topic",
            backlog.resets,
        ),
        (
            "recovered",
            "Missed publications delivered to subscribers that resumed",
            backlog.recovered,
        ),
        (
            "slowed",
            "Times that a client got a slower pace than it asked for",
            backlog.slowed,
        ),
    ] {
        counter(registry, name, help, value);
    }
}

fn register_errors(registry: &mut Registry, totals: &Totals, served: &Served) {
    let over_http = served.errors.counts();
    let errors = totals.errors.iter().chain(&over_http);
    let errors = errors.map(|(code, count)| ([("code", code.as_str())], *count));
    let help = "Errors sent to clients";
    family(registry, "errors", help, errors);
}

/// Times as a histogram.
#[derive(Debug)]
struct Seconds(Latency);

impl EncodeMetric for Seconds {
    #[expect(clippy::cast_precision_loss, reason = "a figure to look at")]
    fn encode(&self, mut encoder: MetricEncoder<'_>) -> Result<(), std::fmt::Error> {
        let seconds = |micros: u64| micros as f64 / 1e6;
        let bounds = BOUNDS_MICROS
            .map(seconds)
            .into_iter()
            .chain([f64::INFINITY]);
        let classes: Vec<(f64, u64)> = bounds.zip(self.0.counts).collect();
        let count = self.0.counts.iter().sum();
        encoder.encode_histogram::<NoLabelSet>(seconds(self.0.sum_micros), count, &classes, None)
    }

    fn metric_type(&self) -> MetricType {
        MetricType::Histogram
    }
}

fn register_done(registry: &mut Registry, totals: &Totals) {
    for (name, help, value) in [
        ("accepted", "WebSockets that were accepted", totals.accepted),
        ("publishes", "Requests to publish", totals.publishes),
        (
            "bad_frames",
            "Invalid frames from clients",
            totals.bad_frames,
        ),
        (
            "frames_sent",
            "Frames sent to WebSockets, and to event streams over HTTP/1.1",
            totals.frames,
        ),
        (
            "messages_sent",
            "Messages that carried those frames",
            totals.messages,
        ),
    ] {
        counter(registry, name, help, value);
    }
    let closed = CLOSE_REASONS.iter().zip(totals.closed);
    let closed = closed.map(|((_, reason), count)| ([("reason", *reason)], count));
    let closed = closed.chain([
        ([("reason", "too_large")], totals.too_large),
        ([("reason", "no_room")], totals.no_room),
    ]);
    let help = "Connections that the server closed";
    family(registry, "closed", help, closed);
}

fn register_refused(registry: &mut Registry, served: &Served) {
    let refused = served.hub.door().refused();
    let refused = refused.map(|(reason, count)| ([("reason", reason)], count));
    let help = "Connections and tokens that were refused";
    family(registry, "refused", help, refused.into_iter());
}

fn counter(registry: &mut Registry, name: &str, help: &str, value: u64) {
    let counter = Counter::<u64>::default();
    counter.inc_by(value);
    registry.register(name, help, counter);
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: usize) {
    let gauge = Gauge::<i64>::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    registry.register(name, help, gauge);
}

fn family(
    registry: &mut Registry,
    name: &str,
    help: &str,
    counts: impl Iterator<Item = (Label, u64)>,
) {
    let family = Family::<Label, Counter>::default();
    for (label, count) in counts {
        family.get_or_create(&label).inc_by(count);
    }
    registry.register(name, help, family);
}
