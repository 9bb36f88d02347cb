//! Topics whose keys another program has made its own.

use std::sync::Arc;

use tidegate::backend::{Keep, Redis};
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::refusals::are_refused_alone;
use tidegate_server_tests::servers::redis::RedisServer;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_topic_whose_keys_are_damaged_is_refused_alone() {
    let server = RedisServer::start();
    let rig = Rig::open(&server.url()).await;
    rig.publish(&[request("wrong:1", "1")]).await;
    let keys = server.cli(&["--scan", "--pattern", "*wrong:1*"]);
    assert!(keys.lines().count() > 1, "{keys}");
    for key in keys.lines() {
        server.cli(&["SET", key, "of another program"]);
    }
    let backend = Redis::new(&server.url(), Keep::default()).expect("an address");
    are_refused_alone(Arc::new(backend), "wrong:1", "1").await;
}
