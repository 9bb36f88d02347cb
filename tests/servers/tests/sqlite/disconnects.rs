//! Servers that tell each other through a file which users to disconnect.

use std::sync::Arc;

use tidegate_server_tests::disconnects::end_at_all_servers;

use crate::place::File;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_connections_of_a_user_end_at_all_servers() {
    let file = File::new();
    end_at_all_servers([Arc::new(file.backend()), Arc::new(file.backend())]).await;
}
