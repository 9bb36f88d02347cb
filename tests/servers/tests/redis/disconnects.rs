//! Servers that tell each other through a Redis which users to disconnect.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate::backend::{Backend, Keep, Redis};
use tidegate_server_tests::disconnects::{end_at_all_servers, end_where_there_was_no_link};
use tidegate_server_tests::proxy::Proxy;
use tidegate_server_tests::servers::redis::RedisServer;

fn backend(url: &str) -> Arc<dyn Backend> {
    Arc::new(Redis::new(url, Keep::default()).expect("an address"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connections_of_a_user_end_at_all_servers() {
    let server = RedisServer::start();
    let url = server.url();
    end_at_all_servers([backend(&url), backend(&url)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_link_hears_of_it_once_it_has_one() {
    let server = RedisServer::start();
    let place = SocketAddr::from(([127, 0, 0, 1], server.port()));
    let proxy = Proxy::to(place).await;
    let through = format!("redis://{}", proxy.address());
    let lose = async {
        proxy.refuse();
        proxy.cut().await;
    };
    let backends = [backend(&server.url()), backend(&through)];
    end_where_there_was_no_link(backends, lose, || proxy.heal()).await;
}
