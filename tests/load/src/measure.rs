//! Puts a server under load, and measures it.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::dialect::Dialect;
use crate::mark::payload;
use crate::process::Observed;
use crate::swarm::{Plan, Swarm, topic};

/// Bytes of a publication's payload.
pub(crate) const PAYLOAD_BYTES: usize = 128;

/// Publications in a burst.
pub(crate) const BURST: u64 = 64;

/// Subscribers of the calm load, and their topics.
pub(crate) const CALM: (usize, usize) = (1_000, 100);

/// Publications per second of a calm load.
pub(crate) const CALM_RATE: u32 = 200;

/// The bytes of a large payload, and of everything that is sent to fill sockets: more than the kernel buffers for one.
const FLOOD_PAYLOAD_BYTES: usize = 32 * 1024;
const FLOOD_BYTES: usize = 8 * 1024 * 1024;

/// How long a fan-out runs before it is measured.
pub(crate) const WARM_UP: Duration = Duration::from_millis(300);

/// The time from publishing to receiving.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Latency {
    pub(crate) p50_us: f64,
    pub(crate) p99_us: f64,
}

/// The cost of a fan-out, measured in one piece or in several turns.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    publications: u64,
    deliveries: u64,
    bytes: u64,
    cpu: Duration,
    passed: Duration,
}

impl Tally {
    /// CPU seconds of the server for a million deliveries.
    pub(crate) fn cpu_per_million(&self) -> f64 {
        self.cpu.as_secs_f64() / self.deliveries as f64 * 1e6
    }

    /// Deliveries per second of passing time.
    pub(crate) fn deliveries_per_second(&self) -> f64 {
        self.deliveries as f64 / self.passed.as_secs_f64()
    }

    /// Bytes per delivery, as read from the socket.
    pub(crate) fn bytes_per_delivery(&self) -> f64 {
        self.bytes as f64 / self.deliveries as f64
    }
}

/// Publishes to all subscribers, `in_flight` publications at a time: the next ones follow once all have arrived
/// everywhere.
pub(crate) fn fan_out(
    swarm: &mut Swarm,
    plan: &Plan<'_>,
    server: &Observed,
    in_flight: u64,
    time: Duration,
) -> Result<Tally> {
    let mut tally = Tally::default();
    bear(
        swarm,
        plan,
        server,
        in_flight,
        WARM_UP,
        &mut Tally::default(),
    )?;
    bear(swarm, plan, server, in_flight, time, &mut tally)?;
    Ok(tally)
}

/// The same without a warm-up, added to the earlier cost.
pub(crate) fn bear(
    swarm: &mut Swarm,
    plan: &Plan<'_>,
    server: &Observed,
    in_flight: u64,
    time: Duration,
    tally: &mut Tally,
) -> Result<()> {
    let before = swarm.received;
    let (cpu, started) = (server.cpu()?, Instant::now());
    publish_for(swarm, plan, in_flight, time, &mut tally.publications)?;
    tally.cpu += server.cpu()? - cpu;
    tally.passed += started.elapsed();
    tally.deliveries += swarm.received.deliveries - before.deliveries;
    tally.bytes += swarm.received.bytes - before.bytes;
    Ok(())
}

fn publish_for(
    swarm: &mut Swarm,
    plan: &Plan<'_>,
    in_flight: u64,
    time: Duration,
    number: &mut u64,
) -> Result<()> {
    let started = Instant::now();
    let mut bytes = Vec::new();
    while started.elapsed() < time {
        bytes.clear();
        for _ in 0..in_flight {
            *number += 1;
            publication(plan.dialect, 0, *number, &mut bytes);
        }
        let expected = swarm.received.deliveries + in_flight * plan.subscribers as u64;
        swarm.publish(&bytes)?;
        swarm.read_until(expected, |_| {})?;
    }
    Ok(())
}

/// Publishes more than sockets buffer, so that publications that subscribers don't read wait in the server, or are
/// dropped by it.
pub(crate) fn flood(swarm: &mut Swarm, plan: &Plan<'_>) -> Result<()> {
    let payload = payload(0, FLOOD_PAYLOAD_BYTES);
    for _ in 0..FLOOD_BYTES / FLOOD_PAYLOAD_BYTES {
        let mut bytes = Vec::new();
        plan.dialect.publish(&topic(0), &payload, &mut bytes);
        let expected = swarm.received.deliveries + plan.subscribers as u64;
        swarm.publish(&bytes)?;
        swarm.read_until(expected, |_| {})?;
    }
    Ok(())
}

fn publication(dialect: Dialect, index: usize, number: u64, out: &mut Vec<u8>) {
    dialect.publish(&topic(index), &payload(number, PAYLOAD_BYTES), out);
}

/// Publishes at a steady, low rate, in publications per second, to one topic after the other; adds the latency of each
/// delivery.
pub(crate) fn calm(
    swarm: &mut Swarm,
    plan: &Plan<'_>,
    rate: u32,
    time: Duration,
    latencies: &mut Vec<Duration>,
) -> Result<()> {
    let interval = Duration::from_secs(1) / rate;
    let per_topic = (plan.subscribers / plan.topics) as u64;
    let started = Instant::now();
    let mut sent: Vec<Instant> = Vec::new();
    let mut expected = swarm.received.deliveries;
    let mut bytes = Vec::new();
    while started.elapsed() < time {
        let number = sent.len();
        bytes.clear();
        publication(
            plan.dialect,
            number % plan.topics,
            number as u64,
            &mut bytes,
        );
        sent.push(Instant::now());
        swarm.publish(&bytes)?;
        expected += per_topic;
        let mut note = |number: u64| {
            if let Ok(number) = usize::try_from(number) {
                latencies.push(sent[number].elapsed());
            }
        };
        let next = started + interval * u32::try_from(number + 1)?;
        loop {
            let left = next.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            swarm.read(Some(left), &mut note)?;
        }
    }
    swarm.read_until(expected, |number| {
        if let Ok(number) = usize::try_from(number) {
            latencies.push(sent[number].elapsed());
        }
    })
}

impl Latency {
    /// Summarizes all measured latencies, of which there must be at least one.
    pub(crate) fn of(mut latencies: Vec<Duration>) -> Self {
        latencies.sort_unstable();
        let percentile = |percent: usize| {
            let index = (latencies.len() * percent / 100).min(latencies.len() - 1);
            latencies[index].as_secs_f64() * 1e6
        };
        Self {
            p50_us: percentile(50),
            p99_us: percentile(99),
        }
    }
}
