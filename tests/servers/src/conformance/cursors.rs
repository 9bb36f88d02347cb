//! The cursors of durable subscriptions: they are claimed, moved only by the latest claimant, and shared by all
//! processes.

use std::sync::Arc;

use tidegate::backend::Keep;
use tidegate_core::durable::{
    Cursor, CursorAnswer, CursorCall, CursorKey, CursorLimits, DurableName,
};
use tidegate_core::protocol::TopicPosition;
use tidegate_core::publication::Position;

use super::peer::in_time;
use super::{Peer, Place};
use tidegate_tests::{pattern, topic};

fn key(user: Option<&str>, name: &str, to: &str) -> CursorKey {
    CursorKey {
        user: user.map(Arc::from),
        name: DurableName::new(name).expect("a name"),
        pattern: pattern(to),
    }
}

fn phone() -> CursorKey {
    key(Some("ada"), "phone", "user:7")
}

fn at(offset: u64) -> Vec<TopicPosition> {
    let position = Position { epoch: 77, offset };
    let topic = topic("user:7");
    Vec::from([TopicPosition { topic, position }])
}

async fn ask(peer: &Peer, calls: &[CursorCall]) -> Vec<CursorAnswer> {
    let answers = in_time("asking about cursors", peer.backend.cursors(calls)).await;
    let answers = answers.expect("the backend answers");
    assert_eq!(answers.len(), calls.len(), "one answer for each call");
    answers
}

fn claim(key: CursorKey, term: u64) -> CursorCall {
    let positions = at(0);
    let beginning = Cursor { term, positions };
    CursorCall::Claim { key, beginning }
}

async fn claimed(peer: &Peer, key: CursorKey) -> Cursor {
    match ask(peer, &[claim(key, 500)]).await.pop() {
        Some(CursorAnswer::Claimed { cursor, .. }) => cursor,
        other => panic!("no cursor, but {other:?}"),
    }
}

async fn store(peer: &Peer, key: CursorKey, term: u64, offset: u64) {
    let positions = at(offset);
    let cursor = Cursor { term, positions };
    let answers = ask(peer, &[CursorCall::Store { key, cursor }]).await;
    assert_eq!(answers, [CursorAnswer::Done]);
}

/// The first claim gets its own initial positions, each further one what is stored, in a higher term.
pub async fn a_claim_gives_the_cursor_in_a_new_term<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let first = claimed(&here, phone()).await;
    assert_eq!((first.term, &first.positions), (500, &at(0)));
    let again = claimed(&there, phone()).await;
    assert_eq!((again.term, &again.positions), (501, &at(0)));
}

/// Whichever process stored it.
pub async fn what_is_stored_is_claimed_elsewhere<P: Place>() {
    let (place, [here, there]) = Peer::start::<P, 2>().await;
    let term = claimed(&here, phone()).await.term;
    store(&here, phone(), term, 3).await;
    assert_eq!(claimed(&there, phone()).await.positions, at(3));
    here.close().await;
    there.close().await;
    let later = Peer::open(&place).await;
    assert_eq!(claimed(&later, phone()).await.positions, at(3));
}

/// A former holder is too late.
pub async fn an_earlier_term_stores_nothing<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let before = claimed(&here, phone()).await.term;
    let now = claimed(&there, phone()).await.term;
    store(&there, phone(), now, 5).await;
    store(&here, phone(), before, 9).await;
    assert_eq!(claimed(&there, phone()).await.positions, at(5));
}

/// Another user, another device and another pattern have cursors of their own, and so have connections without a user.
pub async fn each_has_a_cursor_of_its_own<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let keys = [
        phone(),
        key(Some("bob"), "phone", "user:7"),
        key(Some("ada"), "tablet", "user:7"),
        key(Some("ada"), "phone", "user:*"),
        key(None, "phone", "user:7"),
        key(Some(""), "phone", "user:7"),
        key(Some("ada:phone"), "a b'\"%_\\é", "user:7"),
    ];
    for (offset, key) in (1..).zip(&keys) {
        let term = claimed(&here, key.clone()).await.term;
        store(&here, key.clone(), term, offset).await;
    }
    for (offset, key) in (1..).zip(&keys) {
        assert_eq!(claimed(&here, key.clone()).await.positions, at(offset));
    }
}

/// A forgotten cursor starts over, and calls that were in flight then change nothing.
pub async fn a_forgotten_cursor_begins_anew<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let term = claimed(&here, phone()).await.term;
    store(&here, phone(), term, 3).await;
    let calls = [
        CursorCall::Remove { key: phone() },
        CursorCall::Store {
            key: phone(),
            cursor: Cursor {
                term,
                positions: at(4),
            },
        },
        CursorCall::Remove { key: phone() },
        claim(phone(), 900),
    ];
    let answers = ask(&here, &calls).await;
    let positions = at(0);
    let anew = Cursor {
        term: 900,
        positions,
    };
    let done = CursorAnswer::Done;
    let expected = [
        done.clone(),
        done.clone(),
        done,
        CursorAnswer::Claimed {
            cursor: anew,
            forgotten: 0,
        },
    ];
    assert_eq!(answers, expected);
}

/// A cursor of a thousand topics, and as many calls at once as a server makes.
pub async fn large_cursors_and_many_calls_are_taken<P: Place>() {
    let (_place, [here]) = Peer::start::<P, 1>().await;
    let positions: Vec<TopicPosition> = (0..1_000)
        .map(|number| TopicPosition {
            topic: topic(&format!("user:{number}")),
            position: Position {
                epoch: (1 << 53) - 1,
                offset: number,
            },
        })
        .collect();
    let term = claimed(&here, phone()).await.term;
    let cursor = Cursor {
        term,
        positions: positions.clone(),
    };
    ask(
        &here,
        &[CursorCall::Store {
            key: phone(),
            cursor,
        }],
    )
    .await;
    let mut calls: Vec<CursorCall> = (0..255)
        .map(|number| claim(key(None, &format!("device {number}"), "user:7"), 1))
        .collect();
    calls.push(claim(phone(), 1));
    let answers = ask(&here, &calls).await;
    let CursorAnswer::Claimed { cursor: last, .. } = &answers[255] else {
        panic!("no cursor, but {:?}", answers[255]);
    };
    assert_eq!(last.positions, positions);
}

/// The limit holds for each user, and forgotten cursors make room.
pub async fn a_user_has_so_many_and_no_more<P: Place>() {
    let keep = Keep {
        cursors: CursorLimits {
            per_user_max: 2,
            ..CursorLimits::default()
        },
        ..Keep::default()
    };
    let (_place, [here]) = Peer::start_keeping::<P, 1>(keep).await;
    let device = |name| key(Some("ada"), name, "user:7");
    claimed(&here, device("phone")).await;
    claimed(&here, device("tablet")).await;
    let one_more = claim(device("watch"), 1);
    let answers = ask(&here, std::slice::from_ref(&one_more)).await;
    assert_eq!(answers, [CursorAnswer::Full]);
    claimed(&here, key(Some("bob"), "phone", "user:7")).await;
    claimed(&here, device("phone")).await;
    let remove = CursorCall::Remove {
        key: device("phone"),
    };
    let answers = ask(&here, &[remove, one_more]).await;
    assert!(
        matches!(answers[1], CursorAnswer::Claimed { .. }),
        "{answers:?}"
    );
}

/// A cursor that is unused for too long is forgotten.
pub async fn an_unused_cursor_is_forgotten<P: Place>() {
    let keep = Keep {
        cursors: CursorLimits {
            age_max: std::time::Duration::ZERO,
            ..CursorLimits::default()
        },
        ..Keep::default()
    };
    let (_place, [here]) = Peer::start_keeping::<P, 1>(keep).await;
    let term = claimed(&here, phone()).await.term;
    store(&here, phone(), term, 3).await;
    let forgotten = async {
        // The backend's clock must move on first.
        loop {
            let answer = ask(&here, &[claim(phone(), 500)]).await.pop();
            let Some(CursorAnswer::Claimed { cursor, forgotten }) = answer else {
                panic!("no cursor, but {answer:?}");
            };
            assert_eq!(forgotten == 1, cursor.term == 500, "it is told");
            if forgotten == 1 {
                return cursor;
            }
        }
    };
    let anew = in_time("forgetting it", forgotten).await;
    assert_eq!(anew.positions, at(0));
}

/// A user can list all cursors of their devices, and nobody else's.
pub async fn a_user_is_told_of_their_cursors<P: Place>() {
    let (_place, [here, there]) = Peer::start::<P, 2>().await;
    let list = |user: &str| CursorCall::List { user: user.into() };
    assert_eq!(
        ask(&here, &[list("ada")]).await,
        [CursorAnswer::Listed(Vec::new())]
    );
    let keys = [
        phone(),
        key(Some("ada"), "phone", "user:*"),
        key(Some("ada"), "tablet é", "user:7"),
        key(Some("bob"), "phone", "user:7"),
        key(None, "phone", "user:7"),
    ];
    for (offset, key) in (1..).zip(&keys) {
        let term = claimed(&here, key.clone()).await.term;
        store(&here, key.clone(), term, offset).await;
    }
    let forget = CursorCall::Remove {
        key: keys[1].clone(),
    };
    let answers = ask(&there, &[list("ada"), forget, list("ada"), list("eve")]).await;
    let told = |answer: &CursorAnswer| -> Vec<(String, String, Vec<TopicPosition>)> {
        let CursorAnswer::Listed(listed) = answer else {
            panic!("no list, but {answer:?}");
        };
        let told = listed.iter().map(|it| {
            assert!(
                it.unused_for < std::time::Duration::from_secs(600),
                "{it:?}"
            );
            let name = it.name.as_str().to_owned();
            (name, it.pattern.to_string(), it.positions.clone())
        });
        told.collect()
    };
    let is = |name: &str, to: &str, offset| (name.to_owned(), to.to_owned(), at(offset));
    let (phone, tablet) = (is("phone", "user:7", 1), is("tablet é", "user:7", 3));
    let all = [is("phone", "user:*", 2), phone.clone(), tablet.clone()];
    assert_eq!(told(&answers[0]), all);
    assert_eq!(told(&answers[2]), [phone, tablet]);
    assert_eq!(told(&answers[3]), []);
}
