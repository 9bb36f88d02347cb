//! Every limit: it has a default, a flag, a variable and a key, its metric counts when it is reached, and a client that
//! reaches it gets a documented code.

mod reach;
mod reach_time;

use std::collections::BTreeMap;
use std::path::Path;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream;

use crate::access::SECRET;
use crate::support::eventually;
use crate::support::program::{Server, finish, program, run};

/// A limit, and how it is reached.
struct Limit {
    setting: &'static str,
    /// Other arguments that are needed to reach it.
    arguments: &'static [&'static str],
    /// The metric that counts that it was reached.
    metric: &'static str,
    /// What the client gets: an error code, a status, a close code or a kind of frame; nothing if it can't be told.
    told: &'static str,
    reach: fn(&Server) -> BoxFuture<'_, Reached>,
}

/// The result of reaching a limit.
struct Reached {
    told: String,
    /// How often it was.
    times: u64,
    /// The metrics at that time, if reading them later would reach it again.
    metrics: Option<String>,
}

impl Reached {
    /// Reached once, with this answer.
    fn once(told: impl Into<String>) -> Self {
        Self {
            told: told.into(),
            times: 1,
            metrics: None,
        }
    }
}

macro_rules! limit {
    ($setting:literal, $arguments:expr, $metric:literal, $told:literal, $reach:path) => {
        Limit {
            setting: $setting,
            arguments: &$arguments,
            metric: $metric,
            told: $told,
            reach: |server| Box::pin($reach(server)),
        }
    };
}

/// The settings about listening that are not limits.
const NO_LIMITS: [&str; 6] = [
    "event_keep_alive",
    "listen",
    "proxy_header",
    "tls_cert",
    "tls_key",
    "trust_proxy",
];

#[rustfmt::skip]
const LIMITS: &[Limit] = &[
    limit!("connections", ["--connections=1"], r#"refused_total{reason="total"}"#, "too_many_connections", reach::connections),
    limit!("connections_per_address", ["--connections-per-address=1", "--trust-proxy=127.0.0.0/8"], r#"refused_total{reason="address"}"#, "too_many_connections", reach::connections),
    limit!("connections_per_user", ["--connections-per-user=1"], r#"refused_total{reason="user"}"#, "too_many_connections", reach::connections),
    limit!("topics", ["--topics=1"], r#"errors_total{code="too_many_topics"}"#, "too_many_topics", reach::topics),
    limit!("subscriptions", ["--subscriptions=1"], r#"errors_total{code="too_many_subscriptions"}"#, "too_many_subscriptions", reach::subscriptions_of_a_stream),
    limit!("subscriptions_per_connection", ["--subscriptions-per-connection=1"], r#"errors_total{code="too_many_subscriptions"}"#, "too_many_subscriptions", reach::subscriptions),
    limit!("durables", ["--durables=1"], "durables_refused_total", "too_many_subscriptions", reach::durables),
    limit!("durables_per_user", ["--durables-per-user=1"], "durables_refused_total", "too_many_subscriptions", reach::durables),
    limit!("durable_age", ["--durable-age=1ms"], "durables_forgotten_total", "", reach_time::durable_age),
    limit!("payload_bytes", ["--payload-bytes=100"], r#"errors_total{code="too_large"}"#, "too_large", reach::payload),
    limit!("frame_bytes", ["--frame-bytes=300"], r#"closed_total{reason="too_large"}"#, "1009", reach::message),
    limit!("bodies_bytes", ["--bodies-bytes=1KiB", "--frame-bytes=600"], r#"errors_total{code="unavailable"}"#, "unavailable", reach::bodies),
    limit!("retained_bytes", ["--retained-bytes=1000"], r#"errors_total{code="too_many_topics"}"#, "too_many_topics", reach::topics),
    limit!("outbox_bytes", ["--outbox-bytes=600KiB"], "lagged_total", "lagged", reach::waiting_bytes),
    limit!("waiting_bytes", ["--waiting-bytes=600KiB"], "lagged_total", "lagged", reach::waiting_bytes),
    limit!("publish_rate", ["--publish-rate=1"], r#"errors_total{code="too_many_requests"}"#, "too_many_requests", reach::publish_rate),
    limit!("floor", ["--floor=a=100ms"], "slowed_total", "subscribed", reach::floor),
    limit!("hello_timeout", ["--hello-timeout=1s"], r#"closed_total{reason="timeout"}"#, "4408", reach_time::silence),
    limit!("heartbeat", ["--heartbeat=1ms", "--heartbeat-timeout=1s"], r#"closed_total{reason="timeout"}"#, "4408", reach_time::no_sign_of_life),
    limit!("heartbeat_timeout", ["--heartbeat=1s", "--heartbeat-timeout=1ms"], r#"closed_total{reason="timeout"}"#, "4408", reach_time::no_sign_of_life),
    limit!("open_requests", ["--open-requests=1"], r#"cut_total{reason="total"}"#, "too_many_connections", reach::open_requests),
    limit!("open_requests_per_address", ["--open-requests-per-address=1", "--listen=0.0.0.0:0", "--open-to-everyone"], r#"cut_total{reason="address"}"#, "too_many_connections", reach::open_requests_of_an_address),
    limit!("handshake_timeout", ["--handshake-timeout=1s"], r#"cut_total{reason="tls"}"#, "", reach_time::handshake),
    limit!("head_timeout", ["--head-timeout=1s"], r#"cut_total{reason="head_timeout"}"#, "timeout", reach_time::head),
    limit!("body_timeout", ["--body-timeout=1s"], r#"cut_total{reason="body_timeout"}"#, "timeout", reach_time::body),
    limit!("idle_timeout", ["--idle-timeout=1s"], r#"cut_total{reason="idle"}"#, "", reach_time::idle),
    limit!("write_timeout", ["--write-timeout=1s"], r#"closed_total{reason="slow_consumer"}"#, "", reach_time::not_reading),
    limit!("head_bytes", ["--head-bytes=8KiB"], r#"cut_total{reason="head_too_large"}"#, "431", reach::head_bytes),
    limit!("headers", ["--headers=9"], r#"cut_total{reason="head_too_large"}"#, "431", reach::headers),
];

fn document(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(name);
    std::fs::read_to_string(path).unwrap()
}

/// The settings under some headings, with their defaults, as `config print` shows them.
async fn settings(headings: &[&str]) -> BTreeMap<String, String> {
    let printed = run(&["config", "print"]).await.stdout;
    let mut heading = "";
    let mut found = BTreeMap::new();
    for line in printed.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            heading = title;
        } else if let Some((name, default)) = line
            .strip_prefix("# ")
            .and_then(|line| line.split_once(" = "))
            && headings.contains(&heading)
        {
            found.insert(name.to_owned(), default.to_owned());
        }
    }
    found
}

#[tokio::test]
async fn no_limit_is_without_a_metric_and_a_way_to_reach_it() {
    let mut settings = settings(&["Limits", "Listening"]).await;
    for setting in NO_LIMITS {
        settings.remove(setting).expect("a setting");
    }
    let limits = LIMITS.iter().map(|limit| limit.setting.to_owned());
    let limits: Vec<String> = limits
        .collect::<std::collections::BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(settings.into_keys().collect::<Vec<_>>(), limits);
}

#[tokio::test]
async fn every_limit_has_a_default_a_flag_a_variable_and_a_place_in_the_documents() {
    let settings = settings(&["Limits", "Listening"]).await;
    let help = run(&["serve", "--help"]).await.stdout;
    let mut check = program(&["config", "check"]);
    for (name, default) in &settings {
        if LIMITS.iter().any(|limit| limit.setting == name) && name != "floor" {
            let value = default.trim_matches('"');
            check.env(format!("TIDEGATE_{}", name.to_uppercase()), value);
        }
    }
    let checked = finish(check.spawn().unwrap()).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    let (operations, protocol) = (document("docs/OPERATIONS.md"), document("docs/PROTOCOL.md"));
    for Limit {
        setting,
        metric,
        told,
        ..
    } in LIMITS
    {
        let default = &settings[*setting];
        assert!(!default.is_empty(), "{setting} has no default");
        let flag = format!("--{} <", setting.replace('_', "-"));
        assert!(help.contains(&flag), "{flag} is no flag");
        let variable = format!("TIDEGATE_{}", setting.to_uppercase());
        let is_in_force =
            |line: &str| line.starts_with(&format!("{setting} ")) && line.ends_with(&variable);
        assert!(
            *setting == "floor" || checked.stdout.lines().any(is_in_force),
            "{variable} is no variable: {}",
            checked.stdout
        );
        let is_told = |line: &str| line.starts_with("| ") && line.contains(&format!("`{setting}`"));
        assert!(
            operations.lines().any(is_told),
            "{setting} is in no table of OPERATIONS.md"
        );
        let family = metric.split('{').next().unwrap();
        assert!(
            operations.contains(family),
            "{family} is not in OPERATIONS.md"
        );
        assert!(protocol.contains(told), "{told} is not in PROTOCOL.md");
    }
}

/// The value of a metric.
fn value(metrics: &str, name: &str) -> u64 {
    let value = metrics.lines().find_map(|line| {
        line.strip_prefix("tidegate_")?
            .strip_prefix(name)?
            .strip_prefix(' ')
    });
    value.map_or(0, |value| value.parse().unwrap())
}

/// Reaches a limit, and checks the answer and the metric.
async fn check(limit: &Limit) {
    let folder = tempfile::tempdir().unwrap();
    let mut arguments = vec!["serve", "--backend=memory"];
    arguments.extend(limit.arguments);
    let is_given = |name: &str| limit.arguments.iter().any(|it| it.starts_with(name));
    if !is_given("--listen") {
        arguments.push("--listen=127.0.0.1:0");
    }
    // A socket for requests when its port is full, or uses TLS.
    let aside = format!("--listen=unix:{}", reach::aside(folder.path()).display());
    arguments.push(&aside);
    let mut command = program(&arguments);
    command.current_dir(folder.path());
    if limit.setting.ends_with("_per_user") {
        command.env("TIDEGATE_JWT_SECRET", SECRET);
    } else if !is_given("--open-to-everyone") {
        // Headers say that clients come from elsewhere.
        command.arg("--open-to-everyone");
    }
    if limit.setting == "handshake_timeout" {
        crate::support::certificates::self_signed(folder.path(), "localhost");
        command.args(["--tls-cert=server.crt", "--tls-key=server.key"]);
    }
    let server = Server::start_with(command).await;
    let reached = (limit.reach)(&server).await;
    assert_eq!(reached.told, limit.told, "{}", limit.setting);
    if let Some(metrics) = reached.metrics {
        assert_eq!(
            value(&metrics, limit.metric),
            reached.times,
            "{}",
            limit.setting
        );
        return;
    }
    let what = format!("{} to count {}", limit.metric, limit.setting);
    eventually(&what, async || {
        let metrics = reach::metrics(folder.path()).await;
        let counted = value(&metrics, limit.metric);
        assert!(counted <= reached.times, "{}: {counted}", limit.setting);
        counted == reached.times
    })
    .await;
}

#[tokio::test]
async fn every_limit_that_is_reached_is_told_and_counted() {
    stream::iter(LIMITS).for_each_concurrent(4, check).await;
}
