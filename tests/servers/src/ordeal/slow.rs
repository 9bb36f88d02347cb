//! A reader that stops reading, beside one that goes on.

use std::sync::Arc;

use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tidegate::backend::Backend;
use tidegate::core::lifecycle::EndReason;
use tidegate::{Event, Publication, Publish, Subscribe, Subscription};
use tokio::time::timeout;

use super::{Ordeal, PATIENCE, hub};

/// How many values are published before the end.
const VALUES: u64 = 400;

/// Room for a few of them.
const OUTBOX_BYTES: usize = 16 * 1024;

/// Publishes at one hub to two readers at another, one of which reads nothing until all is over. The other one misses
/// nothing; the slow one is told how much it missed, and gets the newest value and the end.
///
/// # Panics
/// If either sees anything else.
pub async fn slow_reader(mut backend: impl FnMut() -> Arc<dyn Backend>) {
    let calm = Ordeal::without_loss();
    let (here, there) = (hub(backend(), calm), hub(backend(), calm));
    let options = Subscribe {
        outbox_bytes_max: Some(OUTBOX_BYTES),
        ..Subscribe::default()
    };
    let mut slow = there
        .subscribe_with("job:1", options)
        .await
        .expect("subscribed");
    let mut quick = there.subscribe("job:1").await.expect("subscribed");
    let filling = "x".repeat(500);
    for number in 1..=VALUES {
        let value = json!({ "number": number, "filling": filling });
        here.publish("job:1", &value).await.expect("stored");
        assert_eq!(number_of(&publication(&mut quick).await), number);
    }
    let last = Publish::end(EndReason::Complete);
    let value = json!({ "number": VALUES + 1 });
    here.publish_with("job:1", &value, last)
        .await
        .expect("stored");
    assert!(publication(&mut quick).await.is_terminal());
    let (mut next, mut missed_in_all) = (1, 0);
    loop {
        match event(&mut slow).await {
            Event::Lagged { missed } => {
                next += missed;
                missed_in_all += missed;
            }
            Event::Publication(publication) => {
                assert_eq!(number_of(&publication), next);
                next += 1;
            }
            Event::End { .. } => break,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(next, VALUES + 2, "all is received or told as missed");
    assert!(missed_in_all > VALUES / 2, "{missed_in_all} of {VALUES}");
    assert!(matches!(event(&mut quick).await, Event::End { .. }));
    here.stop();
    there.stop();
}

async fn event(events: &mut Subscription) -> Event {
    let event = timeout(PATIENCE, events.next()).await;
    event
        .expect("an event in time")
        .expect("the stream goes on")
}

async fn publication(events: &mut Subscription) -> Publication {
    match event(events).await {
        Event::Publication(publication) => publication,
        other => panic!("{other:?} instead of a publication"),
    }
}

fn number_of(publication: &Publication) -> u64 {
    let value: Value = publication.payload.parse().expect("JSON");
    value["number"].as_u64().expect("a number")
}
