//! Faults of a Redis Cluster, and what hubs, jobs and watchers notice of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Redis};
use tidegate_server_tests::ordeal::{Ordeal, live_through};
use tidegate_server_tests::servers::redis::RedisCluster;

/// The number of slots of a Cluster.
const SLOTS: u16 = 16_384;

fn at(cluster: &RedisCluster) -> impl Fn() -> Arc<dyn Backend> + use<> {
    let url = format!("{}&timeout_ms=500", cluster.url());
    move || Arc::new(Redis::new(&url, Keep::default()).expect("an address"))
}

/// The slots that have keys: those of the partitions in use.
fn used_slots(cluster: &mut RedisCluster) -> BTreeSet<u16> {
    let nodes = cluster.nodes();
    let mut slots = BTreeSet::new();
    for node in nodes.iter() {
        for key in node.cli(&["keys", "*"]).lines() {
            let slot = node.cli(&["cluster", "keyslot", key]);
            slots.insert(slot.trim().parse().expect("a slot"));
        }
    }
    slots
}

#[tokio::test]
async fn its_slots_move_to_other_nodes() {
    let mut cluster = RedisCluster::start();
    let backend = at(&cluster);
    live_through(Ordeal::default(), backend, async |mut progress| {
        progress.reaches(20).await;
        let slots = used_slots(&mut cluster);
        assert!(!slots.is_empty());
        for slot in slots {
            let owner = cluster.owner(slot);
            let to = (0..SLOTS)
                .step_by(usize::from(SLOTS / 3))
                .map(|slot| cluster.owner(slot))
                .find(|node| *node != owner)
                .expect("another primary");
            cluster.move_slot(slot, to);
        }
    })
    .await;
}

#[tokio::test]
async fn a_primary_fails_and_its_replica_takes_over() {
    let mut cluster = RedisCluster::start();
    let backend = at(&cluster);
    // Replication lags behind the primary: the last confirmed publications may be lost with it, which is reported.
    let ordeal = Ordeal {
        may_forget: true,
        jobs: 12,
        ..Ordeal::default()
    };
    live_through(ordeal, backend, async |mut progress| {
        progress.reaches(30).await;
        let failed = cluster.owner(0);
        cluster.nodes()[failed].kill();
        cluster.wait_until_up();
    })
    .await;
}
