//! Measures what publishing to a backend costs, how long another process waits for a publication, and what an idle backend costs.
//!
//! It measures the memory backend, an SQLite file in the temporary folder, a PostgreSQL and a Redis that are started for it (the first with
//! fsync, the second without a log), and those whose addresses `TIDEGATE_BENCH_BACKENDS` lists, separated by spaces (`redis://10.0.0.7
//! postgres://me@10.0.0.8/db`); topics `bench:*` are left there.

#[path = "../../../core/benches/harness/mod.rs"]
mod harness;
mod pair;
mod publisher;
#[path = "../../../tests/servers/src/servers/mod.rs"]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "the tests of the backends use more of it"
)]
mod servers;

use std::time::{Duration, Instant};

use harness::{Bench, Group};
use pair::{BATCH, BATCHES, Pair, open_alone};
use publisher::Publisher;
use rustix::time::{ClockId, clock_gettime};
use servers::postgres::PostgresServer;
use servers::redis::RedisServer;
use tokio::runtime::Runtime;

/// How many deliveries are timed one after the other, and how many in a quick run.
const DELIVERIES: usize = 2_000;
const DELIVERIES_QUICK: usize = 200;

/// How many are timed after a pause each, and how many in a quick run.
const DELIVERIES_RARE: usize = 40;
const DELIVERIES_RARE_QUICK: usize = 5;

/// After this time, everything is idle.
const PAUSE: Duration = Duration::from_millis(300);

/// How long an idle backend is watched, and how long in a quick run.
const IDLE: Duration = Duration::from_secs(5);
const IDLE_QUICK: Duration = Duration::from_secs(1);

fn main() {
    if publisher::is_asked_for() {
        return publisher::run();
    }
    let bench = Bench::from_args();
    let groups = ["backends/publish", "backends/deliver", "backends/idle"];
    if !groups.iter().any(|group| bench.wants(group)) {
        return;
    }
    let runtime = Runtime::new().expect("a runtime");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let postgres = PostgresServer::start_with(&["fsync=on"]);
    let redis = RedisServer::start();
    let mut addresses = vec![
        "memory".to_owned(),
        format!("sqlite:{}", folder.path().join("bench.db").display()),
        postgres.url(),
        redis.url(),
    ];
    let others = std::env::var("TIDEGATE_BENCH_BACKENDS").unwrap_or_default();
    addresses.extend(others.split_whitespace().map(str::to_owned));
    let [publish, deliver, idle] = groups;
    if bench.wants(publish) {
        publishing(&bench, &runtime, &addresses, publish);
    }
    if bench.wants(deliver) {
        println!("\n{deliver}: from publishing in one process to hearing in another");
        for address in &addresses {
            delivering(&bench, &runtime, address);
        }
    }
    if bench.wants(idle) {
        println!(
            "\n{idle}: time of one processor that an open backend takes while nothing happens"
        );
        for address in &addresses {
            idling(&bench, &runtime, address);
        }
    }
}

fn publishing(bench: &Bench, runtime: &Runtime, addresses: &[String], name: &str) {
    let open = |address: &String| runtime.block_on(Pair::open(address));
    let pairs: Vec<Pair> = addresses.iter().map(open).collect();
    let mut group = Group::new(name, "publication");
    for pair in &pairs {
        let place = pair.describe();
        group.case(format!("one by one, {place}"), 1, |n| {
            timed(|| runtime.block_on(pair.publish_one_by_one(n)))
        });
        let units = BATCH as u64;
        group.case(format!("batches of {BATCH}, {place}"), units, |n| {
            timed(|| runtime.block_on(pair.publish_batches(n, 1)))
        });
        let units = (BATCH * BATCHES) as u64;
        group.case(
            format!("{BATCHES} batches of {BATCH} at a time, {place}"),
            units,
            |n| timed(|| runtime.block_on(pair.publish_batches(n, BATCHES))),
        );
    }
    bench.measure(group);
    for pair in &pairs {
        runtime.block_on(pair.close());
    }
}

fn delivering(bench: &Bench, runtime: &Runtime, address: &str) {
    let (count, rare) = if bench.is_quick() {
        (DELIVERIES_QUICK, DELIVERIES_RARE_QUICK)
    } else {
        (DELIVERIES, DELIVERIES_RARE)
    };
    let mut pair = runtime.block_on(Pair::open(address));
    let name = pair.describe();
    if address == "memory" {
        let latencies = runtime.block_on(pair.deliver(count));
        print_quantiles(&format!("{name} (within the process)"), latencies);
    } else {
        let mut publisher = Publisher::start(address);
        for (how, count, pause) in [
            ("one after the other", count, Duration::ZERO),
            ("after a pause", rare, PAUSE),
        ] {
            let latencies = runtime.block_on(pair.hear(&mut publisher, count, pause));
            print_quantiles(&format!("{how}, {name}"), latencies);
        }
    }
    runtime.block_on(pair.close());
}

#[allow(clippy::disallowed_methods, reason = "nothing is to happen")]
fn idling(bench: &Bench, runtime: &Runtime, address: &str) {
    let watched = if bench.is_quick() { IDLE_QUICK } else { IDLE };
    let backend = runtime.block_on(open_alone(address));
    std::thread::sleep(PAUSE);
    let before = processor_time();
    std::thread::sleep(watched);
    let share = (processor_time() - before).as_secs_f64() / watched.as_secs_f64();
    println!("  {:>7.3} %  {}", 100.0 * share, backend.describe());
    runtime.block_on(backend.close()).expect("nothing was lost");
}

/// The processor time that this process has used.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("it has begun")
}

fn timed(act: impl FnOnce()) -> Duration {
    let started = Instant::now();
    act();
    started.elapsed()
}

fn print_quantiles(name: &str, mut latencies: Vec<Duration>) {
    latencies.sort_unstable();
    let micros = |per_mille: usize| {
        let latency = latencies[(latencies.len() - 1) * per_mille / 1_000];
        format!("{:.0} µs", latency.as_secs_f64() * 1e6)
    };
    println!(
        "  p50 {:>9}  p99 {:>9}  longest {:>9}  {name}",
        micros(500),
        micros(990),
        micros(1_000),
    );
}
