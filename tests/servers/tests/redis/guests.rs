//! Programs that use the Redis without being a server.

use tidegate::backend::{Keep, Redis};
use tidegate_server_tests::guests::Inside;
use tidegate_server_tests::servers::redis::RedisServer;

fn inside(
    server: &RedisServer,
) -> Inside<impl Fn(Keep) -> Redis, impl Fn(&str) -> usize, impl Fn()> {
    let url = server.url();
    Inside {
        backend: move |keep| Redis::new(&url, keep).expect("an address"),
        count: |name: &str| {
            let key = server.cli(&["--scan", "--pattern", &format!("*log:{name}")]);
            server
                .cli(&["XLEN", key.trim()])
                .trim()
                .parse()
                .expect("a number")
        },
        make_old: || {
            let key = server.cli(&["--scan", "--pattern", "tidegate:*:keep"]);
            assert_eq!(server.cli(&["DEL", key.trim()]).trim(), "1", "{key}");
        },
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_keep_what_a_server_kept() {
    let server = RedisServer::start();
    inside(&server).guests_keep_what_a_server_kept().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn they_bound_what_no_server_has_said_anything_of() {
    let server = RedisServer::start();
    inside(&server)
        .guests_bound_what_no_server_has_said_anything_of()
        .await;
}
