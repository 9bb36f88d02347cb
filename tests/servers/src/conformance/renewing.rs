//! New epochs for topics that have lost a part of their history.

use tidegate_core::hub::PublishError;
use tidegate_core::lifecycle::EndReason;
use tidegate_core::publication::{Position, first_epoch_of};

use super::{Peer, Place, request};

/// Followers hear of it, and readers with positions of the old epoch begin with the latest.
pub async fn a_renewed_topic_keeps_its_latest_in_a_new_epoch<P: Place>() {
    let (_place, [here, mut there]) = Peer::start::<P, 2>().await;
    there.follow(&["job:1"]).await;
    let old = *here
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    here.renew("job:1", old.epoch).await;
    let kept = there.read("job:1", Some(Position::default())).await;
    assert_ne!(kept.position.epoch, old.epoch);
    assert_ne!(first_epoch_of(kept.position.epoch), kept.position.epoch);
    assert_eq!(kept.position.offset, 1);
    assert_eq!(kept.publications[0].payload.as_str(), "3");
    assert_eq!(there.read("job:1", Some(old)).await, kept);
    assert_eq!(there.list("job:*").await, std::slice::from_ref(&kept));
    assert_eq!(
        there.hear("job:1", &[kept.position]).await,
        kept.publications
    );
    let next = here.publish("job:1", "4").await;
    assert_eq!(
        next,
        Position {
            offset: 2,
            ..kept.position
        }
    );
    there.hear("job:1", &[next]).await;
}

/// Another process has already renewed it.
pub async fn another_epoch_is_not_renewed<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let top = *here
        .publish_numbers("job:1", 3)
        .await
        .last()
        .expect("three");
    here.renew("job:1", top.epoch ^ 1).await;
    here.renew("job:1", 0).await;
    assert_eq!(here.read("job:1", None).await.position, top);
}

/// There is nothing to renew.
pub async fn what_nobody_published_to_is_not_renewed<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    here.renew("job:1", 0).await;
    here.renew("job:1", 7).await;
    assert_eq!(here.read("job:1", None).await.position, Position::default());
    assert_eq!(here.list("**").await, []);
}

/// An ended topic stays ended.
pub async fn a_renewed_end_is_still_an_end<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    here.publish("job:1", "1").await;
    let end = here.end("job:1", EndReason::Failed).await;
    here.renew("job:1", end.epoch).await;
    let kept = there.read("job:1", None).await;
    assert_ne!(kept.position.epoch, end.epoch);
    assert_eq!(kept.publications[0].end, Some(EndReason::Failed));
    let refused = there.try_publish(request("job:1", "2")).await;
    assert_eq!(refused, Err(PublishError::Ended(EndReason::Failed)));
}

/// Servers that notice the same loss agree on one new epoch.
pub async fn of_two_renewals_at_the_same_time_one_counts<P: Place>() {
    let (_place, [here, there, mut listener]) = Peer::start::<P, 3>().await;
    listener.follow(&["job:*"]).await;
    for number in 0..10 {
        let topic = format!("job:{number}");
        let old = here.publish(&topic, "1").await;
        tokio::join!(
            here.renew(&topic, old.epoch),
            there.renew(&topic, old.epoch)
        );
        let first = here.publish(&topic, "2").await;
        assert_eq!(first.offset, 2);
        assert_ne!(first.epoch, old.epoch);
        let renewed = Position { offset: 1, ..first };
        listener.hear(&topic, &[old, renewed, first]).await;
        let heard = listener.heard().iter();
        assert_eq!(
            heard.filter(|heard| heard.topic.as_str() == topic).count(),
            3
        );
    }
}
