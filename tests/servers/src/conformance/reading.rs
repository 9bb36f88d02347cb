//! Reading what a topic keeps after a position.

use tidegate_core::publication::{POSITION_MAX, Position};

use super::peer::offsets;
use super::{Peer, Place};

/// It is at offset 0 of epoch 0, whatever position is given.
pub async fn what_nobody_published_to_is_empty<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let somewhere = Position {
        epoch: 7,
        offset: 3,
    };
    for since in [None, Some(Position::default()), Some(somewhere)] {
        let excerpt = here.read("job:1", since).await;
        assert_eq!(excerpt.position, Position::default());
        assert_eq!(excerpt.publications, []);
    }
    assert_eq!(here.list("job:*").await, []);
}

/// A reader without a position begins with the latest.
pub async fn the_latest_alone_where_no_position_is_given<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    for offset in 1..4 {
        let position = here.publish("job:1", &offset.to_string()).await;
        let excerpt = there.read("job:1", None).await;
        assert_eq!(excerpt.position, position);
        assert_eq!(offsets(&excerpt.publications), [offset]);
    }
}

/// A reader with a position gets everything after it.
pub async fn everything_after_a_position<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let positions = here.publish_numbers("job:1", 20).await;
    for (known, position) in positions.iter().enumerate() {
        let excerpt = there.read("job:1", Some(*position)).await;
        assert_eq!(excerpt.position, positions[19]);
        let texts: Vec<String> = excerpt
            .publications
            .iter()
            .map(|p| p.payload.to_string())
            .collect();
        let expected: Vec<String> = (known + 2..=20).map(|number| number.to_string()).collect();
        assert_eq!(texts, expected);
    }
}

/// A reader that has everything gets nothing, and learns that it is at the top.
pub async fn nothing_at_the_top<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let top = *here
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    for peer in [&here, &there] {
        let excerpt = peer.read("job:1", Some(top)).await;
        assert_eq!(excerpt.position, top);
        assert_eq!(excerpt.publications, []);
    }
}

/// Offset 0 is before the first publication: in the topic's epoch, and in epoch 0, which is before everything.
pub async fn everything_since_the_beginning<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let top = *here
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    let beginning = Position { offset: 0, ..top };
    for since in [beginning, Position::default()] {
        let excerpt = here.read("job:1", Some(since)).await;
        assert_eq!(excerpt.position, top);
        assert_eq!(offsets(&excerpt.publications), [1, 2, 3]);
    }
}

/// What was published between two epochs is unknown.
pub async fn the_latest_alone_since_another_epoch<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let top = *here
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    let other = if top.epoch == 1 { 2 } else { top.epoch - 1 };
    for (epoch, offset) in [
        (other, 0),
        (other, 2),
        (other, 3),
        (other, 9),
        (0, 2),
        (POSITION_MAX, POSITION_MAX),
    ] {
        let excerpt = here.read("job:1", Some(Position { epoch, offset })).await;
        assert_eq!(excerpt.position, top, "since {epoch}:{offset}");
        assert_eq!(
            offsets(&excerpt.publications),
            [3],
            "since {epoch}:{offset}"
        );
    }
}

/// A position that the topic has not reached belongs to a lost history.
pub async fn the_latest_alone_since_beyond_the_top<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let top = *here
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    for offset in [4, 5, 1_000, POSITION_MAX] {
        let excerpt = here.read("job:1", Some(Position { offset, ..top })).await;
        assert_eq!(excerpt.position, top, "since offset {offset}");
        assert_eq!(offsets(&excerpt.publications), [3], "since offset {offset}");
    }
}

/// A reader beside a publisher sees everything up to some point, without gaps.
pub async fn what_is_read_while_it_is_published_has_no_gap<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let first = here.publish("job:1", "0").await;
    let publisher = tokio::spawn(async move {
        for _ in 0..10 {
            here.publish_numbers("job:1", 5).await;
        }
    });
    let mut known = first;
    while known.offset < 51 {
        // `read` fails at a gap, or at a publication beyond the position.
        let excerpt = there.read("job:1", Some(known)).await;
        let missed = excerpt.position.offset - known.offset;
        assert_eq!(u64::try_from(excerpt.publications.len()), Ok(missed));
        known = excerpt.position;
    }
    publisher.await.expect("the publisher succeeds");
}
