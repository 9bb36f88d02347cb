//! Clients that read too slowly, and others beside them.

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::socket::Socket;
use support::{end, eventually, until_counts, within};
use tidegate::Hub;
use tidegate::serve::{ServeConfig, Server};
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{Mutex, watch};

const OUTBOX_BYTES_MAX: usize = 256 * 1024;

/// The size of a publication's filling: large, so that few publications fill the kernel's buffers.
const FILLING_BYTES: usize = 16 * 1024;

/// More than the kernel's buffers and the outbox hold together.
const PUBLICATIONS: u64 = 2_000;

/// One test at a time, also where they share a process: one of them measures its memory.
static ALONE: Mutex<()> = Mutex::const_new(());

/// By how many publications a reader may lag behind its publisher: less than its queue holds.
const BEHIND_MAX: u64 = 4;

/// Longer than any test takes.
const LONG: Duration = Duration::from_secs(3_600);

/// A hub that lets this number of bytes wait for a connection, and its address.
async fn served_hub(outbox_bytes_max: usize) -> (Hub, String) {
    let hub = support::hub_with(|config| {
        config.outbox_bytes_max = outbox_bytes_max;
        // A client that doesn't read doesn't answer pings either, and must not be closed for that.
        config.session.heartbeat = LONG;
    });
    let patient = ServeConfig {
        write_timeout: LONG,
        ..ServeConfig::default()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = Server::new(patient).listen(listener);
    let app = tidegate::axum::router(hub.clone());
    tokio::spawn(server.run(app, std::future::pending()));
    (hub, address)
}

/// Connects with a small buffer, so that the server soon notices that nothing is read.
async fn small_socket(address: &str) -> Socket {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4 * 1024).unwrap();
    let stream = socket.connect(address.parse().unwrap()).await.unwrap();
    Socket::over(stream).await
}

async fn publish_all(hub: &Hub, topic: &str) {
    for number in 1..=PUBLICATIONS {
        publish_number(hub, topic, number).await;
    }
}

async fn publish_number(hub: &Hub, topic: &str, number: u64) {
    let filling = "x".repeat(FILLING_BYTES);
    let data = json!({"n": number, "filling": filling});
    hub.publish(topic, &data).await.unwrap();
}

/// The memory that this process has resident, in bytes.
#[cfg(target_os = "linux")]
fn resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kib * 1024
}

#[tokio::test]
async fn who_does_not_read_delays_nobody_and_comes_to_the_end_all_the_same() {
    let _alone = ALONE.lock().await;
    let (hub, address) = served_hub(OUTBOX_BYTES_MAX).await;
    let mut slow = small_socket(&address).await;
    slow.subscribe("a", json!({})).await;
    let mut quick = Socket::open(&address).await;
    quick.subscribe("a", json!({})).await;
    let (has_read, mut read) = watch::channel(0);
    let reader = tokio::spawn(async move {
        for number in 1..=PUBLICATIONS {
            let frame = quick.expect("pub").await;
            assert_eq!(frame["data"]["n"], number, "the quick one misses nothing");
            has_read.send_replace(number);
        }
        quick
    });
    for number in 1..=PUBLICATIONS {
        // However busy the machine is, it keeps up.
        let keeps_up = read.wait_for(|read| read + BEHIND_MAX >= number);
        within("the quick reader", keeps_up).await.unwrap();
        publish_number(&hub, "a", number).await;
    }
    let mut quick = within("the quick reader", reader).await.unwrap();
    end(&hub, "a").await;
    assert_eq!(quick.expect("pub").await["data"], "end");
    quick.expect("end").await;

    let (mut expected, mut missed_in_all, mut last) = (1, 0, Value::Null);
    loop {
        let frame = slow.next().await;
        match frame["type"].as_str().unwrap() {
            "pub" => {
                assert_eq!(frame["offset"], expected, "what is missed is told before");
                expected += 1;
                last = frame["data"].get("n").unwrap_or(&frame["data"]).clone();
            }
            "lagged" => {
                let missed = frame["missed"].as_u64().unwrap();
                expected += missed;
                missed_in_all += missed;
            }
            "end" => break,
            other => panic!("{other}"),
        }
    }
    assert_eq!((expected, last), (PUBLICATIONS + 2, json!("end")));
    assert!(
        missed_in_all > 0,
        "32 MB cannot have waited within the limit"
    );
}

#[tokio::test]
async fn who_conflates_comes_to_the_last_value_without_a_word_of_loss() {
    let _alone = ALONE.lock().await;
    let (hub, address) = served_hub(OUTBOX_BYTES_MAX).await;
    let mut slow = small_socket(&address).await;
    slow.subscribe("a", json!({"throttle_ms": 1})).await;
    publish_all(&hub, "a").await;
    let (mut offset, mut received) = (0, 0);
    while offset < PUBLICATIONS {
        let frame = slow.expect("pub").await;
        assert!(frame["offset"].as_u64().unwrap() > offset, "{frame}");
        offset = frame["offset"].as_u64().unwrap();
        received += 1;
    }
    assert!(received < PUBLICATIONS, "nothing was conflated");
    end(&hub, "a").await;
    assert_eq!(slow.expect("pub").await["data"], "end");
    slow.expect("end").await;
}

#[tokio::test]
async fn each_topic_of_a_pattern_keeps_its_newest_value_for_a_slow_reader() {
    let _alone = ALONE.lock().await;
    let (hub, address) = served_hub(OUTBOX_BYTES_MAX).await;
    let mut slow = small_socket(&address).await;
    slow.subscribe("job:*", json!({})).await;
    hub.publish("job:quiet", &json!({"n": "only"}))
        .await
        .unwrap();
    publish_all(&hub, "job:busy").await;
    end(&hub, "job:ended").await;
    hub.publish("job:last", &json!({"n": "last"}))
        .await
        .unwrap();
    let mut newest = std::collections::BTreeMap::new();
    while !newest.contains_key("job:last") {
        let frame = slow.next().await;
        if frame["type"] == "pub" {
            let topic = frame["topic"].as_str().unwrap().to_owned();
            newest.insert(
                topic,
                frame["data"].get("n").unwrap_or(&frame["data"]).clone(),
            );
        }
    }
    let newest: Vec<(String, Value)> = newest.into_iter().collect();
    let expected = [
        ("job:busy", json!(PUBLICATIONS)),
        ("job:ended", json!("end")),
        ("job:last", json!("last")),
        ("job:quiet", json!("only")),
    ];
    assert_eq!(newest, expected.map(|(topic, n)| (topic.to_owned(), n)));
}

#[tokio::test]
async fn many_that_do_not_read_cost_no_more_than_their_limit() {
    let _alone = ALONE.lock().await;
    const READERS: usize = 20;
    let (hub, address) = served_hub(64 * 1024).await;
    let mut slow = Vec::new();
    for _ in 0..READERS {
        let mut socket = small_socket(&address).await;
        socket.subscribe("a", json!({})).await;
        slow.push(socket);
    }
    publish_all(&hub, "a").await;
    #[cfg(target_os = "linux")]
    let before = resident_bytes();
    for _ in 0..3 {
        publish_all(&hub, "a").await;
    }
    #[cfg(target_os = "linux")]
    {
        let grown = resident_bytes().saturating_sub(before);
        assert!(
            grown < 40 * 1024 * 1024,
            "grown by {grown} bytes, but the queues were full before"
        );
    }
    until_counts(&hub, READERS, READERS).await;
    drop(slow);
    until_counts(&hub, 0, 0).await;
}

#[tokio::test]
async fn who_cannot_be_served_within_twice_the_limit_is_let_go() {
    let _alone = ALONE.lock().await;
    let (hub, address) = served_hub(64 * 1024).await;
    let mut slow = small_socket(&address).await;
    slow.subscribe("job:*", json!({})).await;
    // The newest of each topic must stay, and there are ever more topics.
    let filling = "x".repeat(FILLING_BYTES);
    let mut number = 0;
    while hub.counts().await.unwrap().connections > 0 {
        number += 1;
        assert!(number < 10_000, "the queue grows for ever");
        hub.publish(&format!("job:{number}"), &filling)
            .await
            .unwrap();
    }
    eventually("the connection to be forgotten", async || {
        hub.counts().await.unwrap().hub.subscriptions == 0
    })
    .await;
}
