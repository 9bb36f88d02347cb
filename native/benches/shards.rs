//! Measures deliveries to WebSockets: what a second shard gains, and what compression costs.
//!
//! Publishers, clients and anything else on the machine use the same processors as the shards. So besides the
//! deliveries per second, it reports what decides on a machine with a core for each shard: how much processor time the
//! busiest shard takes for a delivery. The inverse is what the hub can deliver per second.

#[path = "../../core/benches/harness/mod.rs"]
mod harness;
#[path = "shards/sockets.rs"]
mod sockets;

use std::collections::HashMap;
use std::fs;
use std::num::NonZeroUsize;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use harness::Bench;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sockets::Sockets;
use tidegate::{Config, Hub};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

/// How often each case is measured, in turn with the others of its load.
const ROUNDS: usize = 5;
const ROUNDS_QUICK: usize = 1;

/// Bytes of text that are delivered in a round, and in one of a quick run.
const BYTES: usize = 40_000_000;
const BYTES_QUICK: usize = 4_000_000;

/// How long there is for a single publication.
const PAUSE: Duration = Duration::from_millis(3);

/// Publications in flight, if they come in bursts.
const IN_FLIGHT: usize = 64;

/// About 120 bytes.
const SHORT: &str = "73,210 of 180,000 files at 1,520.4 a second, of which the last was src/shard/socket.rs, and no error so far";

/// More bytes than the last message has, and fewer than any other.
const COMPRESS_ABOVE: usize = 140;

/// How many such lines make 10 KiB.
const LINES: usize = 90;

/// What is delivered to whom.
struct Load {
    name: &'static str,
    topics: usize,
    /// Connections that are subscribed to each topic.
    subscribers: usize,
    /// Publications in flight at a time. A single one leaves by itself, because there is time for it.
    in_flight: usize,
    /// Lines of each publication.
    lines: usize,
    cases: &'static [Case],
}

/// How a hub is set up.
struct Case {
    name: &'static str,
    shards: usize,
    compresses: bool,
}

const SHARDS: &[Case] = &[
    Case {
        name: "1 shard",
        shards: 1,
        compresses: false,
    },
    Case {
        name: "2 shards",
        shards: 2,
        compresses: false,
    },
];

const COMPRESSION: &[Case] = &[
    Case {
        name: "as it is",
        shards: 1,
        compresses: false,
    },
    Case {
        name: "compressed",
        shards: 1,
        compresses: true,
    },
];

const LOADS: [Load; 6] = [
    Load {
        name: "shards/many_topics: 400 topics, a connection each",
        topics: 400,
        subscribers: 1,
        in_flight: IN_FLIGHT,
        lines: 1,
        cases: SHARDS,
    },
    Load {
        name: "shards/some_topics: 20 topics, 20 connections each",
        topics: 20,
        subscribers: 20,
        in_flight: IN_FLIGHT,
        lines: 1,
        cases: SHARDS,
    },
    Load {
        name: "shards/one_topic: 400 connections on one topic, one by one",
        topics: 1,
        subscribers: 400,
        in_flight: 1,
        lines: 1,
        cases: SHARDS,
    },
    Load {
        name: "shards/one_topic_burst: 400 connections on one topic, 64 in flight",
        topics: 1,
        subscribers: 400,
        in_flight: IN_FLIGHT,
        lines: 1,
        cases: SHARDS,
    },
    Load {
        name: "compression/short: 120 bytes to 1,000 connections",
        topics: 1,
        subscribers: 1_000,
        in_flight: 1,
        lines: 1,
        cases: COMPRESSION,
    },
    Load {
        name: "compression/long: 10 KiB to 1,000 connections",
        topics: 1,
        subscribers: 1_000,
        in_flight: 1,
        lines: LINES,
        cases: COMPRESSION,
    },
];

fn main() {
    let bench = Bench::from_args();
    allow_many_sockets();
    for load in LOADS {
        if bench.wants(load.name) {
            compare(&bench, &load);
        }
    }
}

/// Raises the limit on open files, because both ends of every connection are in this process.
fn allow_many_sockets() {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let limit = Rlimit {
        current: maximum,
        maximum,
    };
    setrlimit(Resource::Nofile, limit).expect("up to the maximum anybody may");
}

/// The cost of a round.
#[derive(Clone, Copy, Default)]
struct Taken {
    passed: Duration,
    /// By all shards together, and by the one with the most.
    all: Duration,
    busiest: Duration,
    /// What clients were sent.
    bytes: usize,
}

fn compare(bench: &Bench, load: &Load) {
    let (rounds, bytes) = match bench.is_quick() {
        true => (ROUNDS_QUICK, BYTES_QUICK),
        false => (ROUNDS, BYTES),
    };
    let connections = load.topics * load.subscribers;
    let publications = bytes.div_ceil(connections * load.lines * SHORT.len());
    let mut taken: Vec<Vec<Taken>> = load.cases.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for (taken, case) in taken.iter_mut().zip(load.cases) {
            taken.push(round(load, case, publications));
        }
    }
    println!("{}", load.name);
    let deliveries = (publications * connections) as f64;
    let base = median(&taken[0]);
    for (taken, case) in taken.iter().zip(load.cases) {
        let taken = median(taken);
        let micros = |time: Duration| time.as_secs_f64() * 1e6 / deliveries;
        let ratio = |of: fn(&Taken) -> Duration| of(&base).as_secs_f64() / of(&taken).as_secs_f64();
        println!(
            "  {:10}  {:.3} us of processor time a delivery, {:.3} us by the busiest shard: {:.0} k/s, x {:.2}; passed: {:.0} k/s, x {:.2}; {:.0} bytes",
            case.name,
            micros(taken.all),
            micros(taken.busiest),
            1e3 / micros(taken.busiest),
            ratio(|taken| taken.busiest),
            1e3 / micros(taken.passed),
            ratio(|taken| taken.passed),
            taken.bytes as f64 / deliveries,
        );
    }
}

/// The median of each figure separately.
fn median(rounds: &[Taken]) -> Taken {
    fn of<T: Ord + Copy>(rounds: &[Taken], figure: impl Fn(&Taken) -> T) -> T {
        let mut figures: Vec<T> = rounds.iter().map(figure).collect();
        figures.sort();
        figures[figures.len() / 2]
    }
    Taken {
        passed: of(rounds, |taken| taken.passed),
        all: of(rounds, |taken| taken.all),
        busiest: of(rounds, |taken| taken.busiest),
        bytes: of(rounds, |taken| taken.bytes),
    }
}

/// Publishes `publications` times to every topic, on a hub of its own.
fn round(load: &Load, case: &Case, publications: usize) -> Taken {
    let runtime = Runtime::new().expect("a runtime");
    let config = Config {
        shards: NonZeroUsize::new(case.shards).expect("at least one"),
        // The last publication must not be compressed, so that clients recognise it.
        compress_above: case.compresses.then_some(COMPRESS_ABOVE),
        ..Config::default()
    };
    let hub = Hub::new(config).expect("threads");
    let address = runtime.block_on(serve(&hub));
    let topic = |number: usize| format!("bench:{number}");
    let topics: Vec<String> = (0..load.topics).map(topic).collect();
    let each = topics.iter().cycle().take(load.topics * load.subscribers);
    let sockets = Sockets::subscribe(&address, case.compresses, each);
    let line = |number: usize| format!("{number}: {SHORT}");
    let payload = (0..load.lines).map(line).collect::<Vec<_>>().join("\n");
    let before = shard_times();
    let started = Instant::now();
    runtime.block_on(async {
        let mut all = (0..publications).flat_map(|_| &topics).peekable();
        while all.peek().is_some() {
            let some = all.by_ref().take(load.in_flight);
            publish(&hub, some, &payload).await;
            if load.in_flight == 1 {
                tokio::time::sleep(PAUSE).await;
            }
        }
        publish(&hub, topics.iter(), sockets::LAST).await;
    });
    let bytes = sockets.wait_for_last();
    let passed = started.elapsed();
    // Each round has its own threads. Those of earlier rounds have ended, or use no more time.
    let used = |(thread, time): (String, Duration)| {
        time - before.get(&thread).copied().unwrap_or_default()
    };
    let used: Vec<Duration> = shard_times().into_iter().map(used).collect();
    hub.stop();
    runtime.block_on(hub.stopped());
    Taken {
        passed,
        all: used.iter().sum(),
        busiest: used.into_iter().max().unwrap_or_default(),
        bytes,
    }
}

async fn publish(hub: &Hub, topics: impl Iterator<Item = &String>, text: &str) {
    let published = topics.map(|topic| hub.publish(topic, &text));
    for position in join_all(published).await {
        position.expect("the topics are live");
    }
}

/// Serves the hub until the runtime ends, and returns the address.
async fn serve(hub: &Hub) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound").to_string();
    let app = tidegate::axum::router(hub.clone());
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The processor time of each shard of this process, by the number of its thread.
fn shard_times() -> HashMap<String, Duration> {
    let threads = fs::read_dir("/proc/self/task").expect("Linux tells of threads");
    let time = |thread: fs::DirEntry| {
        let name = fs::read_to_string(thread.path().join("comm")).ok()?;
        let used = fs::read_to_string(thread.path().join("schedstat")).ok()?;
        let nanos = used.split(' ').next()?.parse().ok()?;
        let number = thread.file_name().to_string_lossy().into_owned();
        (name.trim() == "tidegate-shard").then_some((number, Duration::from_nanos(nanos)))
    };
    threads.flatten().filter_map(time).collect()
}
