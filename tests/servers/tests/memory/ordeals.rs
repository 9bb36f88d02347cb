//! Two hubs that share a backend while nothing goes wrong.

use std::sync::Arc;

use tidegate::backend::{Keep, Memory};
use tidegate_server_tests::ordeal::{Ordeal, live_through, slow_reader};

#[tokio::test]
async fn nothing_happens() {
    let memory = Memory::new(Keep::default());
    let backend = || Arc::new(memory.share()) as _;
    let seen = live_through(Ordeal::without_loss(), backend, |_| async {}).await;
    assert_eq!((seen.resets, seen.stales), (0, 0));
}

#[tokio::test]
async fn a_reader_who_stops_reading_is_told_and_holds_up_nobody() {
    let memory = Memory::new(Keep::default());
    slow_reader(|| Arc::new(memory.share())).await;
}
