//! Histories are limited. Backends may trim late and in batches, but they must keep what was promised, and not more
//! than a bounded amount.

use tidegate::backend::Keep;
use tidegate_core::history::HistoryLimits;
use tidegate_core::publication::Position;

use super::peer::offsets;
use super::{Peer, Place};

/// How many publications a backend that trims lazily may keep beyond its limit.
const LATE_MAX: usize = 2_000;

fn keeping(count_max: usize, bytes_max: usize) -> Keep {
    Keep {
        history: HistoryLimits {
            count_max,
            bytes_max,
            ..HistoryLimits::default()
        },
        ..Keep::default()
    }
}

/// Publishes numbers until the first of them can't be recovered any more. Returns the top.
async fn publish_until_trimmed(peer: &Peer, to: &str, count_at_once: usize) -> Position {
    for _ in 0..LATE_MAX.div_ceil(count_at_once) {
        let positions = peer.publish_numbers(to, count_at_once).await;
        let top = *positions.last().expect("some were published");
        let beginning = Position { offset: 0, ..top };
        let kept = peer.offsets(to, Some(beginning)).await;
        if kept == [top.offset] {
            return top;
        }
        assert_eq!(
            kept,
            (1..=top.offset).collect::<Vec<u64>>(),
            "all of them or the latest"
        );
    }
    panic!("{LATE_MAX} publications of {to} are kept");
}

/// The promised number can always be recovered; the first publication, at some point, can't.
pub async fn history_is_kept_up_to_its_count_and_trimmed_beyond<P: Place>() {
    const COUNT_MAX: usize = 16;
    let keep = keeping(COUNT_MAX, 1024 * 1024);
    let (_place, [here]) = Peer::start_keeping::<P, 1>(keep).await;
    let count_max = u64::try_from(COUNT_MAX).expect("few");
    let top = publish_until_trimmed(&here, "job:1", 50).await;
    let kept = Position {
        offset: top.offset - count_max,
        ..top
    };
    let expected: Vec<u64> = (kept.offset + 1..=top.offset).collect();
    assert_eq!(here.offsets("job:1", Some(kept)).await, expected);
    let first = Position { offset: 1, ..top };
    assert_eq!(here.offsets("job:1", Some(first)).await, [top.offset]);
    let kept = here.offsets("job:1", Some(Position::default())).await;
    assert!(kept.ends_with(&expected), "all that is kept: {kept:?}");
}

/// Large payloads are trimmed sooner.
pub async fn history_is_trimmed_beyond_its_bytes<P: Place>() {
    let keep = keeping(1_000_000, 100);
    let (_place, [here]) = Peer::start_keeping::<P, 1>(keep).await;
    publish_until_trimmed(&here, "job:1", 100).await;
}

/// The latest is kept, whatever its size.
pub async fn a_latest_that_exceeds_the_limits_is_kept<P: Place>() {
    let keep = keeping(1, 10);
    let (_place, [here]) = Peer::start_keeping::<P, 1>(keep).await;
    let large = format!("\"{}\"", "x".repeat(1_000));
    for offset in 1..10 {
        let position = here.publish("job:1", &large).await;
        let excerpt = here.read("job:1", None).await;
        assert_eq!(excerpt.position, position);
        assert_eq!(offsets(&excerpt.publications), [offset]);
        assert_eq!(excerpt.publications[0].payload.as_str(), large);
        assert_eq!(here.list("job:*").await, [excerpt]);
    }
}

/// The limits hold for each topic separately.
pub async fn one_topic_does_not_trim_another<P: Place>() {
    let (_place, [here]) = Peer::start_keeping::<P, 1>(keeping(16, 1024 * 1024)).await;
    let quiet = here.publish_numbers("job:quiet", 10).await;
    publish_until_trimmed(&here, "job:busy", 50).await;
    let kept = here.offsets("job:quiet", Some(Position::default())).await;
    assert_eq!(kept, (1..=10).collect::<Vec<u64>>());
    assert_eq!(here.offsets("job:quiet", Some(quiet[8])).await, [10]);
}
