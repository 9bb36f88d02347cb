//! A Redis Cluster of six nodes: everything that works with a single server, moving slots, and failing primaries.

use std::time::Duration;

use crate::rig::Rig;
use tidegate::backend::{Backend, BackendError, Keep, Redis};
use tidegate::core::publication::Position;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::heard::Heard;
use tidegate_server_tests::proxy::Proxy;
use tidegate_server_tests::servers::redis::RedisCluster;
use tidegate_tests::pattern;

/// Topics that are spread over many partitions.
fn topics() -> Vec<String> {
    (0..200).map(|n| format!("job:{n}")).collect()
}

/// The slot of a topic's keys.
fn slot_of(cluster: &RedisCluster, topic: &str) -> u16 {
    let meta = format!(":meta:{topic}");
    for node in cluster.running() {
        let keys = node.cli(&["keys", &format!("*{meta}")]);
        if let Some(key) = keys.lines().find(|key| key.ends_with(&meta)) {
            let slot = node.cli(&["cluster", "keyslot", key]);
            return slot.parse().expect("a slot");
        }
    }
    panic!("{topic} was not published to");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_of_all_partitions_are_stored_followed_and_listed() {
    let cluster = RedisCluster::start();
    let mut rig = Rig::open(&cluster.url()).await;
    rig.backend
        .follow(&[pattern("job:7"), pattern("job:*")])
        .await
        .unwrap();
    let batch: Vec<_> = topics()
        .iter()
        .flat_map(|topic| [request(topic, "1"), request(topic, "2")])
        .collect();
    let positions = rig.publish(&batch).await;
    for (n, position) in (0_u64..).zip(&positions) {
        assert_eq!(position.offset, n % 2 + 1);
    }
    let mut heard = std::collections::BTreeMap::<_, Vec<_>>::new();
    for _ in 0..batch.len() {
        let publication = rig.publication().await;
        let payloads = heard.entry(publication.topic.clone()).or_default();
        payloads.push(publication.payload.as_str().to_owned());
    }
    assert_eq!(heard.len(), 200);
    assert!(heard.values().all(|payloads| payloads == &["1", "2"]));
    assert_eq!(rig.backend.list(&pattern("**")).await.unwrap().len(), 200);
    rig.backend.unfollow(&[pattern("job:*")]).await.unwrap();
    rig.publish(&[request("job:8", "3"), request("job:7", "3")])
        .await;
    assert_eq!(rig.publication().await.topic.as_str(), "job:7");
    rig.backend.probe().await.unwrap();
    // Every primary has a share of the keys.
    for node in cluster.running() {
        let is_primary = node.cli(&["role"]).starts_with("master");
        assert!(!is_primary || node.cli(&["keys", "*:meta:*"]).lines().count() > 30);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_raw_message_on_any_node_arrives_once_everywhere() {
    let cluster = RedisCluster::start();
    let mut rigs = [
        Rig::open(&cluster.url()).await,
        Rig::open(&cluster.url()).await,
    ];
    for rig in &rigs {
        rig.backend.follow(&[pattern("job:*")]).await.unwrap();
    }
    for (n, node) in cluster.running().enumerate() {
        node.cli(&["publish", "tidegate:job:1", &n.to_string()]);
        for rig in &mut rigs {
            let publication = rig.publication().await;
            assert_eq!(publication.payload.as_str(), n.to_string());
            assert_eq!(publication.position.offset, n as u64 + 1);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slot_that_moves_takes_its_topics_along() {
    let cluster = RedisCluster::start();
    let mut follower = Rig::open(&cluster.url()).await;
    let backend = Redis::new(&cluster.url(), Keep::default())
        .unwrap()
        .takes_in(false);
    let (feed, _heard) = Heard::new();
    backend.open(feed).await.unwrap();
    let publish = async |text: &str| {
        let answers = backend.publish(&[request("job:1", text)]).await.unwrap();
        answers[0].unwrap()
    };
    publish("1").await;
    follower.backend.follow(&[pattern("job:1")]).await.unwrap();
    let slot = slot_of(&cluster, "job:1");
    let from = cluster.owner(slot);
    let to = (0..6)
        .find(|node| *node != from && cluster.is_primary(*node))
        .unwrap();
    cluster.move_slot(slot, to);
    // Publishes are redirected, but followed channels must be followed again.
    let second = publish("2").await;
    assert_eq!(second.offset, 2);
    follower.lost().await;
    cluster.wait_until_owned(slot, to);
    follower.reopen().await;
    follower.backend.follow(&[pattern("job:1")]).await.unwrap();
    publish("3").await;
    assert_eq!(follower.publication().await.position.offset, 3);
    let read = follower.read("job:1", Some(Position::default())).await;
    assert_eq!(read.publications.len(), 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn topics_are_published_to_while_their_slot_is_on_its_way() {
    let cluster = RedisCluster::start();
    let rig = Rig::open(&cluster.url()).await;
    rig.publish(&[request("job:1", "1")]).await;
    let slot = slot_of(&cluster, "job:1");
    let from = cluster.owner(slot);
    let to = (0..6)
        .find(|node| *node != from && cluster.is_primary(*node))
        .unwrap();
    cluster.begin_move(slot, from, to);
    // While all keys are still here, the old owner answers; once all have moved, it redirects.
    let refused = match rig.backend.publish(&[request("job:1", "2")]).await {
        Ok(answers) => {
            assert_eq!(answers[0].unwrap().offset, 2);
            0
        }
        Err(error) => {
            assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
            1
        }
    };
    cluster.finish_move(slot, from, to);
    let answers = rig.backend.publish(&[request("job:1", "3")]).await;
    if let Ok(answers) = answers {
        assert_eq!(answers[0].unwrap().offset, 3 - refused);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_primary_failed_its_replica_goes_on() {
    let mut cluster = RedisCluster::start();
    let mut rig = Rig::open(&cluster.url()).await;
    let batch: Vec<_> = topics().iter().map(|topic| request(topic, "1")).collect();
    rig.publish(&batch).await;
    rig.backend.follow(&[pattern("job:*")]).await.unwrap();
    let slot = slot_of(&cluster, "job:1");
    let failed = cluster.owner(slot);
    cluster.wait_until_replicated();
    cluster.nodes()[failed].kill();
    let error = rig.lost().await;
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    cluster.wait_until_taken_over(slot, failed);
    rig.reopen().await;
    rig.backend.follow(&[pattern("job:*")]).await.unwrap();
    assert_eq!(rig.publish(&[request("job:1", "2")]).await[0].offset, 2);
    assert_eq!(rig.publication().await.payload.as_str(), "2");
    assert_eq!(
        rig.backend.list(&pattern("job:*")).await.unwrap().len(),
        200
    );
}

/// The core's timeout for opening.
const OPENING_MAX: Duration = Duration::from_secs(10);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn silent_nodes_of_the_address_keep_nobody_from_the_cluster() {
    let mut cluster = RedisCluster::start();
    let port = cluster.nodes()[0].port();
    let mut seeds = Vec::new();
    for _ in 0..5 {
        seeds.push(Proxy::to(([127, 0, 0, 1], port).into()).await);
    }
    let others: String = seeds[1..]
        .iter()
        .map(|seed| format!("&node={}", seed.address()))
        .collect();
    let url = format!("redis://{}?cluster=true{others}", seeds[0].address());
    // The one that answers is found among them,
    for seed in &seeds[..4] {
        seed.stall();
    }
    let backend = Redis::new(&url, Keep::default()).unwrap();
    let open = async || {
        let (feed, heard) = Heard::new();
        let opened = tokio::time::timeout(OPENING_MAX, backend.open(feed)).await;
        opened.expect("in time").expect("opened");
        heard
    };
    let _heard = open().await;
    // and once the Cluster is known, none of them is needed.
    seeds[4].stall();
    let _heard = open().await;
    let answers = backend.publish(&[request("job:1", "1")]).await.unwrap();
    assert_eq!(answers[0].unwrap().offset, 1);
}
