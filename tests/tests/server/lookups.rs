//! Looking topics up in the backend, without subscribing.

use core::time::Duration;

use tidegate_core::flow::Flow;
use tidegate_core::hub::{ServerConfig, ServerHub};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::uplink::{
    Found, Lookup, LookupError, UplinkAnswer, UplinkCall, UplinkConfig, UplinkFailure,
};
use tidegate_tests::backend_model::Store;
use tidegate_tests::json::{Json, report};
use tidegate_tests::{ms, pattern, secs, topic};

pub(crate) type Answer = (u64, Result<Vec<(String, u64)>, LookupError>);

/// A server whose topics live beyond an uplink, whose calls the test answers.
pub(crate) struct Asked {
    server: ServerHub<Json>,
    store: Store,
    pub(crate) now: Instant,
    calls: Vec<(u64, UplinkCall<Json>)>,
}

impl Asked {
    fn new(change: impl FnOnce(&mut UplinkConfig)) -> Self {
        let mut uplink = UplinkConfig::new(1);
        change(&mut uplink);
        let mut asked = Self {
            server: ServerHub::with_uplink(ServerConfig::new(1), uplink),
            store: Store::new(5),
            now: Instant::from_millis(1),
            calls: Vec::new(),
        };
        asked.pass(Duration::ZERO);
        asked
    }

    /// The same, whose link stands.
    pub(crate) fn linked(change: impl FnOnce(&mut UplinkConfig)) -> Self {
        let mut asked = Self::new(change);
        asked.answer_all();
        asked
    }

    pub(crate) fn publish(&mut self, to: &str, count: u64) {
        for number in 1..=count {
            let request = PublishRequest::new(topic(to), report(number));
            let (stored, _) = self.store.publish(&request);
            stored.expect("the topic is open");
        }
    }

    pub(crate) fn look_up(&mut self, ticket: u64, lookup: Lookup) {
        let at_once = self.server.handle_lookup(self.now, ticket, lookup);
        assert!(at_once.is_none(), "topics live elsewhere");
        self.gather();
    }

    fn gather(&mut self) {
        while let Some(call) = self.server.poll_call() {
            self.calls.push(call);
        }
    }

    /// The calls, except heartbeats.
    pub(crate) fn lookups(&self) -> Vec<UplinkCall<Json>> {
        let calls = self.calls.iter().map(|(_, call)| call.clone());
        calls
            .filter(|call| !matches!(call, UplinkCall::Probe | UplinkCall::Open))
            .collect()
    }

    pub(crate) fn answer_all(&mut self) {
        while !self.calls.is_empty() {
            for (id, call) in core::mem::take(&mut self.calls) {
                let answer = match &call {
                    UplinkCall::Read { topic, since } => {
                        UplinkAnswer::Excerpt(self.store.read(topic, *since))
                    }
                    UplinkCall::List(pattern) => UplinkAnswer::Excerpts(self.store.list(pattern)),
                    UplinkCall::ListPage(page) => {
                        UplinkAnswer::Excerpts(page.of(self.store.list(&page.pattern)))
                    }
                    UplinkCall::GiveUp => continue,
                    _ => UplinkAnswer::Done,
                };
                self.server.handle_answer(self.now, id, answer);
            }
            self.gather();
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.gather();
        }
        self.now = end;
    }

    /// Every answer since the last call: the position of each topic.
    pub(crate) fn told(&mut self) -> Vec<Answer> {
        let mut told = Vec::new();
        while let Some((ticket, found)) = self.server.poll_found() {
            told.push((ticket, found.map(|found| tops(&found))));
        }
        told
    }
}

pub(crate) fn tops(found: &Found<Json>) -> Vec<(String, u64)> {
    let tops = found
        .iter()
        .map(|excerpt| (excerpt.topic.to_string(), excerpt.position.offset));
    tops.collect()
}

pub(crate) fn latest(of: &str) -> Lookup {
    Lookup::Latest(pattern(of))
}

pub(crate) fn one(of: &str, offset: u64) -> Vec<(String, u64)> {
    vec![(of.to_owned(), offset)]
}

#[test]
fn a_topic_that_nobody_follows_is_looked_up_and_nothing_is_left_of_it() {
    let mut asked = Asked::linked(|_| {});
    asked.publish("job:1", 3);
    asked.publish("job:2", 5);
    asked.look_up(1, latest("job:1"));
    asked.look_up(2, latest("job:*"));
    asked.look_up(3, latest("job:3"));
    let all = [
        UplinkCall::Read {
            topic: topic("job:1"),
            since: None,
        },
        UplinkCall::List(pattern("job:*")),
        UplinkCall::Read {
            topic: topic("job:3"),
            since: None,
        },
    ];
    assert_eq!(asked.lookups(), all, "nothing is followed for it");
    asked.answer_all();
    let both = [one("job:1", 3), one("job:2", 5)].concat();
    let due = [(1, Ok(one("job:1", 3))), (2, Ok(both)), (3, Ok(Vec::new()))];
    assert_eq!(asked.told(), due);
    let counts = asked.server.counts();
    assert_eq!((counts.topics, counts.subscriptions), (0, 0));
    assert_eq!(asked.server.uplink_counts().followed, 0);
}

#[test]
fn what_is_followed_is_looked_up_all_the_same_because_the_copy_may_be_behind() {
    let mut asked = Asked::linked(|_| {});
    asked.publish("job:1", 1);
    let id = asked.server.handle_open_local(1 << 20);
    let request = tidegate_core::protocol::SubscribeRequest::new(pattern("job:1"), Flow::IMMEDIATE);
    asked
        .server
        .handle_subscribe(asked.now, id, request)
        .unwrap();
    asked.gather();
    asked.answer_all();
    // The server is not told of these.
    asked.publish("job:1", 2);
    asked.look_up(1, latest("job:1"));
    asked.answer_all();
    assert_eq!(asked.told(), [(1, Ok(one("job:1", 3)))]);
}

#[test]
fn the_same_lookup_is_made_once_for_all_who_wait_for_it_and_again_for_whoever_comes_later() {
    let mut asked = Asked::new(|_| {});
    asked.publish("job:1", 1);
    for ticket in 1..=3 {
        asked.look_up(ticket, latest("job:1"));
    }
    asked.look_up(
        4,
        Lookup::History {
            topic: topic("job:1"),
            since: Position::default(),
        },
    );
    assert_eq!(asked.lookups(), [], "the link is not open yet");
    let open = asked.calls.remove(0);
    asked
        .server
        .handle_answer(asked.now, open.0, UplinkAnswer::Done);
    asked.gather();
    assert_eq!(asked.lookups().len(), 2, "{:?}", asked.calls);
    // One that is under way may have been carried out already.
    asked.look_up(5, latest("job:1"));
    assert_eq!(asked.lookups().len(), 3, "{:?}", asked.calls);
    asked.answer_all();
    let tickets: Vec<u64> = asked.told().into_iter().map(|(ticket, _)| ticket).collect();
    assert_eq!(tickets, [1, 2, 3, 4, 5]);
}

#[test]
fn no_more_are_under_way_or_wait_than_may_and_they_go_in_their_order() {
    let mut asked = Asked::linked(|uplink| {
        uplink.lookups_at_once = 2;
        uplink.lookups_max = 4;
    });
    for ticket in 1..=5 {
        asked.look_up(ticket, latest(&format!("job:{ticket}")));
    }
    assert_eq!(asked.told(), [(5, Err(LookupError::Unavailable))]);
    for due in [["job:1", "job:2"], ["job:3", "job:4"]] {
        let due = due.map(|of| UplinkCall::Read {
            topic: topic(of),
            since: None,
        });
        assert_eq!(asked.lookups(), due);
        let calls = core::mem::take(&mut asked.calls);
        for (id, call) in calls {
            let UplinkCall::Read { topic, since } = call else {
                panic!("{call:?}");
            };
            let excerpt = asked.store.read(&topic, since);
            let answer = UplinkAnswer::Excerpt(excerpt);
            asked.server.handle_answer(asked.now, id, answer);
        }
        asked.gather();
    }
    assert_eq!(asked.told().len(), 4);
}

#[test]
fn listings_leave_room_to_one_another_and_to_lookups_of_one_topic() {
    let mut asked = Asked::linked(|uplink| {
        uplink.lookups_at_once = 1;
        uplink.listings_at_once = 2;
    });
    for (ticket, of) in ["a:*", "b:*", "c:*", "d:1", "d:2"].into_iter().enumerate() {
        asked.look_up(ticket as u64, latest(of));
    }
    let list = |of| UplinkCall::List(pattern(of));
    let read = |of| UplinkCall::Read {
        topic: topic(of),
        since: None,
    };
    assert_eq!(asked.lookups(), [list("a:*"), list("b:*"), read("d:1")]);
    let (id, _) = asked.calls.remove(0);
    let found = UplinkAnswer::Excerpts(Vec::new());
    asked.server.handle_answer(asked.now, id, found);
    asked.gather();
    assert_eq!(asked.lookups(), [list("b:*"), read("d:1"), list("c:*")]);
    asked.answer_all();
    assert_eq!(asked.told().len(), 5);
}

#[test]
fn a_lookup_that_takes_long_is_given_up_and_the_link_stands() {
    let mut asked = Asked::linked(|_| {});
    asked.look_up(1, latest("job:*"));
    asked.look_up(2, latest("job:1"));
    let slow = core::mem::take(&mut asked.calls);
    for _ in 0..60 {
        asked.pass(secs(1));
        asked.calls.retain(|(id, call)| {
            let is_given_up = slow.iter().any(|(slow, _)| slow == id);
            assert!(is_given_up || matches!(call, UplinkCall::Probe), "{call:?}");
            !is_given_up
        });
        asked.answer_all();
    }
    let given_up = [1, 2].map(|ticket| (ticket, Err(LookupError::Unavailable)));
    assert_eq!(asked.told(), given_up);
    // What they find after all is nobody's, and does no harm.
    asked.calls = slow;
    asked.answer_all();
    assert_eq!(asked.told(), []);
    asked.look_up(3, latest("job:1"));
    asked.answer_all();
    assert_eq!(asked.told(), [(3, Ok(Vec::new()))]);
}

#[test]
fn what_is_never_answered_leaves_its_place_to_the_next() {
    let config = UplinkConfig::new(1);
    for (of, next, time) in [
        ("job:1", "job:2", config.call_timeout),
        ("job:*", "task:*", config.call_timeout * 6),
    ] {
        let mut asked = Asked::linked(|uplink| {
            uplink.lookups_at_once = 1;
            uplink.listings_at_once = 1;
            uplink.lookup_patience = secs(3600);
        });
        asked.publish("task:1", 1);
        asked.publish("job:2", 1);
        asked.look_up(1, latest(of));
        asked.look_up(2, latest(next));
        let (silent, _) = asked.calls.remove(0);
        let due = asked.now + time;
        while asked.now + ms(1) < due {
            asked.pass(ms(999).min(due - asked.now - ms(1)));
            assert_eq!(asked.told(), [], "{of}");
            asked.answer_all();
        }
        asked.pass(ms(1));
        assert_eq!(asked.told(), [(1, Err(LookupError::Unavailable))]);
        // The host may stop what it does for it.
        assert!(asked.calls.contains(&(silent, UplinkCall::GiveUp)));
        asked.answer_all();
        assert!(matches!(&asked.told()[..], [(2, Ok(found))] if found.len() == 1));
        // The link was never lost.
        assert_eq!(
            asked
                .server
                .handle_answer(asked.now, silent, UplinkAnswer::Done),
            ()
        );
        asked.pass(ms(1));
        assert!(asked.calls.is_empty(), "{:?}", asked.calls);
    }
}

#[test]
fn a_lookup_outlives_a_loss_of_the_link_and_comes_before_later_ones() {
    let mut asked = Asked::linked(|uplink| uplink.lookups_at_once = 1);
    asked.publish("job:1", 1);
    asked.look_up(1, latest("job:1"));
    asked.look_up(2, latest("job:2"));
    asked.calls.clear();
    asked.server.handle_lost(asked.now);
    asked.pass(secs(1));
    asked.answer_all();
    let due = [(1, Ok(one("job:1", 1))), (2, Ok(Vec::new()))];
    assert_eq!(asked.told(), due);
}

#[test]
fn whoever_has_waited_for_too_long_is_told_and_nobody_asks_on_for_them() {
    let mut asked = Asked::new(|uplink| {
        uplink.lookup_patience = ms(500);
        uplink.call_timeout = secs(60);
    });
    asked.look_up(1, latest("job:1"));
    asked.pass(ms(499));
    assert_eq!(asked.told(), []);
    asked.look_up(2, latest("job:2"));
    asked.pass(ms(1));
    assert_eq!(asked.told(), [(1, Err(LookupError::Unavailable))]);
    asked.answer_all();
    assert_eq!(asked.told(), [(2, Ok(Vec::new()))]);
    assert_eq!(asked.server.uplink_counts().followed, 0);
}

#[test]
fn a_lookup_that_fails_is_a_loss_of_the_link() {
    let mut asked = Asked::linked(|_| {});
    asked.look_up(1, latest("job:1"));
    let (id, _) = asked.calls.remove(0);
    let failed = UplinkAnswer::Failed(UplinkFailure::Lost);
    asked.server.handle_answer(asked.now, id, failed);
    asked.gather();
    asked.pass(secs(1));
    asked.answer_all();
    assert_eq!(asked.told(), [(1, Ok(Vec::new()))]);
}

#[test]
fn a_lookup_that_is_refused_is_answered_and_the_link_stands() {
    let mut asked = Asked::linked(|uplink| uplink.lookups_at_once = 1);
    asked.publish("job:2", 1);
    asked.look_up(1, latest("job:1"));
    asked.look_up(2, latest("job:2"));
    let (id, _) = asked.calls.remove(0);
    let refused = UplinkAnswer::Failed(UplinkFailure::Refused);
    asked.server.handle_answer(asked.now, id, refused);
    asked.gather();
    assert_eq!(asked.lookups().len(), 1, "the next has its place");
    assert!(
        !asked
            .calls
            .iter()
            .any(|(_, call)| *call == UplinkCall::Open)
    );
    asked.answer_all();
    let due = [(1, Err(LookupError::Refused)), (2, Ok(one("job:2", 1)))];
    assert_eq!(asked.told(), due);
}
