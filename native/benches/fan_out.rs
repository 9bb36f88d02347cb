//! Measures one publication to 1, 100 and 10,000 tasks of this process: through a hub, and through
//! `tokio::sync::broadcast`.
//!
//! Both serialize a value and hand its shared text to every subscriber, each a task of its own. A broadcast channel
//! knows no topics, keeps no history and loses what a slow receiver does not accept in time: it is here as the lower
//! bound of what fan-out costs on the same runtime. A hub has a thread of its own besides those of the runtime, so
//! processor time is reported beside wall-clock time.

#[path = "../../core/benches/harness/mod.rs"]
mod harness;

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use harness::{Bench, Group};
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use tidegate::{Event, Hub};
use tokio::runtime::Builder;
use tokio::sync::{Notify, broadcast};

const TOPIC: &str = "job:42";

/// Publications in flight in a burst: too few for either side to drop any.
const BURST: usize = 64;

fn main() {
    let bench = Bench::from_args();
    for subscribers in [1, 100, 10_000] {
        for (load, in_flight) in [("one_by_one", 1), ("burst", BURST)] {
            for clock in [Clock::Passing, Clock::Processor] {
                let name = format!("fan_out/{subscribers}/{load}{}", clock.suffix());
                if bench.wants(&name) {
                    fan_out(&bench, name, subscribers, in_flight, clock);
                }
            }
        }
    }
}

fn fan_out(bench: &Bench, name: String, subscribers: usize, in_flight: usize, clock: Clock) {
    let one = Builder::new_current_thread().build().expect("a runtime");
    let two = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("a runtime");
    let units = (subscribers * in_flight) as u64;
    let mut group = Group::new(name, clock.unit());
    for (threads, runtime) in [("one thread", &one), ("two threads", &two)] {
        let channel = runtime.block_on(Channel::new(subscribers));
        group.case(format!("broadcast, {threads}"), units, move |n| {
            clock.time(|| runtime.block_on(channel.rounds(n, in_flight)))
        });
        group.compare_to_last();
        let hub = runtime.block_on(HubFanOut::new(subscribers));
        group.case(format!("hub, {threads} and its own"), units, move |n| {
            clock.time(|| runtime.block_on(hub.rounds(n, in_flight)))
        });
    }
    bench.measure(group);
    // In the background, so as not to delay the next measurement.
    one.shutdown_background();
    two.shutdown_background();
}

/// What is published: serialized by either side, about 120 bytes.
#[derive(Serialize)]
struct Progress {
    done: u64,
    total: u64,
    unit: &'static str,
    rate: f64,
    status: &'static str,
    line: &'static str,
}

const PROGRESS: Progress = Progress {
    done: 73_210,
    total: 180_000,
    unit: "files",
    rate: 1520.4,
    status: "RUNNING",
    line: "src/shard/socket.rs, src/shard/websocket.rs",
};

/// Counts the deliveries of a round, and signals its end.
#[derive(Default)]
struct Round {
    missing: AtomicUsize,
    over: Notify,
}

impl Round {
    fn start(&self, deliveries: usize) {
        self.missing.store(deliveries, Ordering::Relaxed);
    }

    fn delivered(&self) {
        if self.missing.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.over.notify_one();
        }
    }
}

/// A broadcast channel with its subscribers.
struct Channel {
    sender: broadcast::Sender<Bytes>,
    round: Arc<Round>,
    subscribers: usize,
}

impl Channel {
    async fn new(subscribers: usize) -> Self {
        let (sender, _) = broadcast::channel(2 * BURST);
        let round = Arc::new(Round::default());
        for _ in 0..subscribers {
            let (mut receiver, round) = (sender.subscribe(), Arc::clone(&round));
            tokio::spawn(async move {
                loop {
                    match receiver.recv().await {
                        Ok(text) => {
                            black_box(text);
                            round.delivered();
                        }
                        Err(broadcast::error::RecvError::Closed) => return,
                        Err(broadcast::error::RecvError::Lagged(_)) => panic!("nothing is lost"),
                    }
                }
            });
        }
        Self {
            sender,
            round,
            subscribers,
        }
    }

    async fn rounds(&self, rounds: u64, in_flight: usize) {
        for _ in 0..rounds {
            self.round.start(self.subscribers * in_flight);
            for _ in 0..in_flight {
                let text = serde_json::to_vec(&PROGRESS).expect("has a JSON form");
                self.sender.send(text.into()).expect("there are receivers");
            }
            self.round.over.notified().await;
        }
    }
}

/// A hub with as many subscribers.
struct HubFanOut {
    hub: Hub,
    round: Arc<Round>,
    subscribers: usize,
}

impl HubFanOut {
    async fn new(subscribers: usize) -> Self {
        let hub = Hub::new(Default::default()).expect("the system gives a thread");
        let round = Arc::new(Round::default());
        for _ in 0..subscribers {
            let mut events = hub.subscribe(TOPIC).await.expect("within the limits");
            let round = Arc::clone(&round);
            tokio::spawn(async move {
                while let Some(event) = events.next().await {
                    assert!(matches!(event, Event::Publication(_)), "nothing is lost");
                    black_box(event);
                    round.delivered();
                }
            });
        }
        Self {
            hub,
            round,
            subscribers,
        }
    }

    async fn rounds(&self, rounds: u64, in_flight: usize) {
        for _ in 0..rounds {
            self.round.start(self.subscribers * in_flight);
            let published = (0..in_flight).map(|_| self.hub.publish(TOPIC, &PROGRESS));
            for position in join_all(published).await {
                position.expect("the topic is live");
            }
            self.round.over.notified().await;
        }
    }
}

/// Which time is measured.
#[derive(Clone, Copy)]
enum Clock {
    Passing,
    /// What all threads of this process use together.
    Processor,
}

impl Clock {
    const fn suffix(self) -> &'static str {
        match self {
            Self::Passing => "",
            Self::Processor => "/cpu",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::Passing => "delivery",
            Self::Processor => "delivery, of all processors together",
        }
    }

    fn time(self, act: impl FnOnce()) -> Duration {
        match self {
            Self::Passing => {
                let started = Instant::now();
                act();
                started.elapsed()
            }
            Self::Processor => {
                let started = processor_time();
                act();
                processor_time().saturating_sub(started)
            }
        }
    }
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.try_into().expect("is never negative")
}
