//! What happens to the publications of a subscriber while it, or its connection, lags: its choice.

use crate::support::{publish_range, served_hub, until_counts, within};
use futures_util::{FutureExt as _, StreamExt as _};
use tidegate::client::{ClientError, ClientSubscription};
use tidegate::core::durable::DurableName;
use tidegate::core::flow::Slow;
use tidegate::core::hub::SubscribeError;
use tidegate::{Client, Event, Subscribe};

/// How many publications there are, and how many bytes may wait: far fewer than they have.
const PUBLICATIONS: u32 = 200;
const BYTES_MAX: usize = 4 * 1024;

fn wanting(slow: Option<Slow>) -> Subscribe {
    Subscribe {
        slow,
        outbox_bytes_max: Some(BYTES_MAX),
        ..Subscribe::default()
    }
}

/// What waits for a reader that has read nothing: numbers, and how many it is told that it has missed.
fn waiting(events: &mut ClientSubscription) -> (Vec<u32>, u64) {
    let (mut numbers, mut missed) = (Vec::new(), 0);
    while let Some(Some(event)) = events.next().now_or_never() {
        match event {
            Event::Publication(publication) => {
                numbers.push(publication.payload.as_str().parse().unwrap());
            }
            Event::Lagged { missed: more } => missed += more,
            other => panic!("{other:?}"),
        }
    }
    (numbers, missed)
}

#[tokio::test]
async fn a_reader_who_reads_nothing_is_left_with_what_it_wants() {
    for (slow, is_told) in [
        (Some(Slow::Conflate), false),
        (Some(Slow::Drop), true),
        (None, true),
    ] {
        let (hub, address) = served_hub().await;
        let client = Client::connect(&address).await.unwrap();
        let mut events = client.subscribe_with("a", wanting(slow)).await.unwrap();
        let mut last = client.subscribe("last").await.unwrap();
        until_counts(&hub, 1, 2).await;
        publish_range(&hub, "a", 1..=PUBLICATIONS).await;
        hub.publish("last", &0).await.unwrap();
        // One connection delivers in order, so everything has arrived by then.
        within("the last one", last.next()).await;
        let (numbers, missed) = waiting(&mut events);
        assert_eq!(numbers.last(), Some(&PUBLICATIONS), "{slow:?}");
        if is_told {
            let got = u64::try_from(numbers.len()).unwrap();
            assert_eq!(got + missed, u64::from(PUBLICATIONS), "{slow:?}");
            assert!(got > 1 && missed > 0, "{slow:?}: {got} and {missed}");
        } else {
            assert_eq!((numbers.len(), missed), (1, 0), "{slow:?}");
        }
    }
}

#[tokio::test]
async fn a_durable_subscription_has_no_such_wish() {
    let (_hub, address) = served_hub().await;
    let client = Client::connect(&address).await.unwrap();
    let options = Subscribe {
        slow: Some(Slow::Drop),
        ..Subscribe::durable(DurableName::new("phone").unwrap())
    };
    let refused = client.subscribe_with("a", options).await;
    let error = refused.map(|_| ()).unwrap_err();
    assert!(
        matches!(error, ClientError::Subscribe(SubscribeError::SlowDurable)),
        "{error:?}"
    );
}
