//! What subscriptions, topics, gates and connections weigh.
//!
//! Bytes are those that the code asks its allocator for. What an allocator adds to each block, and what it keeps
//! for later, differs between allocators; blocks are counted so that it can be told.

mod harness;

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use harness::Bench;
use tidegate_core::flow::Flow;
use tidegate_core::hub::{Hub, HubConfig, ServerConfig, ServerHub, ServerOutput};
use tidegate_core::protocol::{ClientFrame, PublishRequest, SubscribeRequest};
use tidegate_core::router::Router;
use tidegate_core::time::Instant;
use tidegate_core::topic::Pattern;

const SUBSCRIPTIONS: usize = 1_000_000;
const TOPICS: usize = 100_000;
const SESSIONS: usize = 10_000;
const SEED: u64 = 7;

fn main() {
    let bench = Bench::from_args();
    if bench.wants("memory") {
        println!("\nmemory: bytes and blocks for each");
        router();
        hub();
        topics();
        sessions();
    }
}

/// 10 subscribers to each of 100,000 topics.
fn router() {
    let patterns = patterns();
    let (router, used) = measure(|| {
        let mut router = Router::new(SEED);
        for i in 0..SUBSCRIPTIONS {
            router.subscribe(&patterns[i % TOPICS], i as u32);
        }
        router
    });
    report("router: subscription, 10 to a topic", used, SUBSCRIPTIONS);
    let own = router.memory_bytes() / SUBSCRIPTIONS;
    println!("  … by Router::memory_bytes, which counts texts that are shared: {own}");
    drop(router);

    let (_router, used) = measure(|| {
        let mut router = Router::new(SEED);
        for i in 0..TOPICS {
            router.subscribe(&pattern(&format!("tenant:{i}:*")), i as u32);
        }
        router
    });
    report("router: pattern with one subscription", used, TOPICS);
}

/// The whole hub: what a subscription costs, and what a gate adds while it holds something back.
fn hub() {
    let patterns = patterns();
    let (mut hub, used) = measure(|| {
        let mut hub: Hub<()> = Hub::new(HubConfig::new(SEED));
        let flow = Flow::throttle(Duration::from_secs(60));
        for i in 0..SUBSCRIPTIONS {
            let request = SubscribeRequest::new(patterns[i % TOPICS].clone(), flow);
            hub.handle_subscribe(Instant::ZERO, i as u32, &request)
                .expect("within the limits");
        }
        hub
    });
    report("hub: subscription, 10 to a topic", used, SUBSCRIPTIONS);

    let ((), used) = measure(|| {
        for i in 0..2 * TOPICS {
            publish(&mut hub, &patterns[i % TOPICS]);
            while hub.poll_output().is_some() {}
        }
    });
    report(
        "hub: gate that holds a value back, beside it",
        used,
        SUBSCRIPTIONS,
    );
}

/// Topics that nobody watches, with their latest value.
fn topics() {
    let patterns = patterns();
    let (mut hub, used) = measure(|| {
        let mut hub: Hub<()> = Hub::new(HubConfig::new(SEED));
        patterns
            .iter()
            .for_each(|pattern| publish(&mut hub, pattern));
        hub
    });
    report("hub: topic with one publication", used, TOPICS);
    let ((), used) = measure(|| {
        for _ in 1..16 {
            patterns
                .iter()
                .for_each(|pattern| publish(&mut hub, pattern));
        }
    });
    report("hub: further publication that is kept", used, TOPICS * 15);
}

/// Connections of clients that have each said hello and subscribed: to a topic of their own, and all to the same one.
fn sessions() {
    let patterns = patterns();
    let (_server, used) = measure(|| server(patterns[..SESSIONS].iter()));
    report(
        "server hub: idle session, its own topic included",
        used,
        SESSIONS,
    );
    let (_server, used) = measure(|| server(std::iter::repeat_n(&patterns[0], SESSIONS)));
    report(
        "server hub: idle session, subscribed to a shared topic",
        used,
        SESSIONS,
    );
}

fn server<'a>(patterns: impl Iterator<Item = &'a Pattern>) -> ServerHub<()> {
    let mut server: ServerHub<()> = ServerHub::new(ServerConfig::new(SEED));
    for pattern in patterns {
        let id = server.handle_open(Instant::ZERO);
        let request = SubscribeRequest::new(pattern.clone(), Flow::IMMEDIATE);
        server.handle_frame(Instant::ZERO, id, ClientFrame::Subscribe(request));
        while let Some(output) = server.poll_output() {
            if let ServerOutput::Ready(id) = output {
                while server.poll_frame(id).is_some() {}
            }
        }
    }
    server
}

fn publish(hub: &mut Hub<()>, pattern: &Pattern) {
    let topic = pattern.exact().expect("no wildcards");
    hub.handle_publish(Instant::ZERO, PublishRequest::new(topic, ()))
        .expect("within the limits");
}

fn patterns() -> Vec<Pattern> {
    (0..TOPICS).map(|i| pattern(&format!("job:{i}"))).collect()
}

fn pattern(text: &str) -> Pattern {
    Pattern::new(text).expect("a valid pattern")
}

/// What is in use.
#[derive(Clone, Copy)]
struct Usage {
    bytes: i64,
    blocks: i64,
}

/// What `make` leaves behind.
fn measure<T>(make: impl FnOnce() -> T) -> (T, Usage) {
    let before = usage();
    let made = make();
    let after = usage();
    let used = Usage {
        bytes: after.bytes - before.bytes,
        blocks: after.blocks - before.blocks,
    };
    (made, used)
}

fn report(what: &str, used: Usage, count: usize) {
    let each = |total: i64| total as f64 / count as f64;
    println!(
        "  {what:54} {:>7.1} B {:>6.2} blocks",
        each(used.bytes),
        each(used.blocks)
    );
}

fn usage() -> Usage {
    Usage {
        bytes: BYTES.load(Ordering::Relaxed),
        blocks: BLOCKS.load(Ordering::Relaxed),
    }
}

static BYTES: AtomicI64 = AtomicI64::new(0);
static BLOCKS: AtomicI64 = AtomicI64::new(0);

/// The system's allocator, counting what is in use. It is here alone and in no other benchmark: counting takes time.
struct Counting;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes to the system's allocator as it came, and its answer back; counting touches no memory of it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        BLOCKS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        BLOCKS.fetch_sub(1, Ordering::Relaxed);
        // SAFETY: the caller keeps the contract of `dealloc`, and `block` came from the same allocator.
        unsafe { System.dealloc(block, layout) }
    }
}
