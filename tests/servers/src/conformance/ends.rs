//! Terminal publications and restarts.

use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::{EndReason, StatedEnd};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::{Position, epoch_after, first_epoch_of};

use super::{Peer, Place, publication_of, request};

/// Nothing can follow an end, from any process, and each reason is reported as it was given.
pub async fn an_ended_topic_refuses_and_says_why<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    for reason in EndReason::ALL {
        let topic = format!("job:{reason}");
        here.publish(&topic, "1").await;
        assert_eq!(here.end(&topic, reason).await.offset, 2);
        for peer in [&here, &there] {
            let refused = peer.try_publish(request(&topic, "3")).await;
            assert_eq!(refused, Err(PublishError::Ended(reason)));
        }
        assert_eq!(
            here.offsets(&topic, Some(Position::default())).await,
            [1, 2]
        );
    }
}

/// The reason travels with the publication.
pub async fn an_end_is_read_listed_and_heard<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    for reason in EndReason::ALL {
        let topic = format!("job:{reason}");
        there.follow(&[&topic]).await;
        let mut end = request(&topic, "{\"error\":\"disk full\"}");
        end.end = Some(reason.into());
        let position = here
            .try_publish(end.clone())
            .await
            .expect("not ended before");
        let kept = [publication_of(&end, position)];
        assert_eq!(there.hear(&topic, &[position]).await, kept);
        assert_eq!(there.read(&topic, None).await.publications, kept);
        assert_eq!(there.list(&topic).await[0].publications, kept);
    }
}

/// Nobody can recover from the old history. The new epoch is the next number, so that a process that missed one
/// notices.
pub async fn a_restart_begins_a_new_epoch<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let first = here.publish("job:1", "1").await;
    here.end("job:1", EndReason::Cancelled).await;
    let restart = PublishRequest {
        restart: true,
        ..request("job:1", "3")
    };
    let anew = there.try_publish(restart).await.expect("restarted");
    assert_eq!(anew.offset, 1);
    assert_eq!(anew.epoch, epoch_after(first.epoch));
    assert_eq!(first_epoch_of(first.epoch), first.epoch);
    let next = here.publish("job:1", "4").await;
    assert_eq!(next, Position { offset: 2, ..anew });
    assert_eq!(
        here.offsets("job:1", Some(Position::default())).await,
        [1, 2]
    );
    assert_eq!(here.offsets("job:1", Some(anew)).await, [2]);
    let since_before = here.read("job:1", Some(first)).await;
    assert_eq!(since_before.position, next);
    assert_eq!(since_before.publications.len(), 1);
}

/// Restarts are only for topics that have ended.
pub async fn a_restart_of_a_topic_that_goes_on_changes_nothing<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let restart = PublishRequest {
        restart: true,
        ..request("job:1", "1")
    };
    let first = here.try_publish(restart.clone()).await.expect("stored");
    let second = here.try_publish(restart).await.expect("stored");
    assert_eq!(second, Position { offset: 2, ..first });
}

/// The caller decides whether a publication is terminal.
pub async fn a_payload_alone_ends_nothing<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let first = here.publish("job:1", "{\"status\":\"COMPLETE\"}").await;
    assert_eq!(here.read("job:1", None).await.publications[0].end, None);
    let second = here.publish("job:1", "2").await;
    assert_eq!(second, Position { offset: 2, ..first });
}

/// Readers must not decide by the payload either.
pub async fn what_is_said_to_be_no_end_stays_none<P: Place>() {
    let (place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.follow(&["job:1"]).await;
    let no_end = PublishRequest {
        end: Some(StatedEnd::None),
        ..request("job:1", "{\"status\":\"FAILED\"}")
    };
    let first = here.try_publish(no_end.clone()).await.expect("stored");
    let kept = [publication_of(&no_end, first)];
    assert_eq!(kept[0].end, None);
    assert_eq!(there.hear("job:1", &[first]).await, kept);
    assert_eq!(there.read("job:1", None).await.publications, kept);
    assert_eq!(there.list("job:1").await[0].publications, kept);
    let second = there.try_publish(no_end).await.expect("stored");
    assert_eq!(second, Position { offset: 2, ..first });
    // A backend that is opened later knows only what is stored.
    let later = Peer::open(&place).await;
    let since_first = later.read("job:1", Some(first)).await.publications;
    assert_eq!(since_first[0].end, None);
}

/// The other one is refused.
pub async fn of_two_ends_at_the_same_time_one_is_stored<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    for number in 0..10 {
        let topic = format!("job:{number}");
        let end = |reason| PublishRequest {
            end: Some(StatedEnd::from(reason)),
            ..request(&topic, "1")
        };
        let results = tokio::join!(
            here.try_publish(end(EndReason::Complete)),
            there.try_publish(end(EndReason::Cancelled)),
        );
        let stored = match results {
            (Ok(_), Err(PublishError::Ended(EndReason::Complete))) => EndReason::Complete,
            (Err(PublishError::Ended(EndReason::Cancelled)), Ok(_)) => EndReason::Cancelled,
            both => panic!("one is stored, and the other one told of it: {both:?}"),
        };
        let kept = here.read(&topic, Some(Position::default())).await;
        let ends: Vec<_> = kept.publications.iter().map(|kept| kept.end).collect();
        assert_eq!(ends, [Some(stored)]);
    }
}
