//! A process that publishes on request: this program, started once more.

use std::io::{BufRead as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tidegate::Json;
use tidegate::backend::Feed;
use tidegate::core::protocol::PublishRequest;
use tidegate::core::topic::Topic;
use tokio::runtime::Runtime;

use crate::pair::backend_at;

/// The variable that makes this program the publisher, with the address to publish to.
const PLACE: &str = "TIDEGATE_BENCH_PUBLISHES_TO";

/// What the publisher publishes to.
pub(crate) const TOPIC: &str = "bench:delivered";

/// The other process.
pub(crate) struct Publisher {
    process: Child,
    orders: ChildStdin,
}

impl Publisher {
    /// Starts it.
    pub(crate) fn start(address: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().expect("this program"))
            .env(PLACE, address)
            .stdin(Stdio::piped())
            .spawn()
            .expect("this program runs again");
        let orders = process.stdin.take().expect("piped");
        Self { process, orders }
    }

    /// Has it publish the time.
    pub(crate) fn publish(&mut self) {
        self.orders.write_all(b"\n").expect("it waits for orders");
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether this process is to be the publisher.
pub(crate) fn is_asked_for() -> bool {
    std::env::var_os(PLACE).is_some()
}

/// Publishes the time for every line that is read.
pub(crate) fn run() {
    let address = std::env::var(PLACE).expect("an address");
    let runtime = Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let backend = backend_at(&address);
        backend
            .open(Feed::new(|_| ()))
            .await
            .expect("it can be reached");
        for _ in std::io::stdin().lock().lines().map_while(Result::ok) {
            let text = clock().as_nanos().to_string();
            let payload = Json::from_text(&text).expect("a number");
            let request = PublishRequest::new(Topic::new(TOPIC).expect("a topic"), payload);
            let stored = backend
                .publish(&[request])
                .await
                .expect("it can be reached");
            assert!(stored[0].is_ok(), "nothing has ended");
        }
        backend.close().await.expect("nothing was lost");
    });
}

/// A time that all processes of a machine share.
pub(crate) fn clock() -> Duration {
    let time = clock_gettime(ClockId::Monotonic);
    Duration::try_from(time).expect("after the start of the machine")
}
