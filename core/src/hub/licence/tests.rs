pub(super) mod host;

use alloc::string::ToString;
use alloc::sync::Arc;
use core::time::Duration;

use proptest::prelude::*;

use crate::flow::Flow;
use crate::lifecycle::EndReason;
use crate::protocol::ServerFrame;
use crate::publication::{Position, Publication};
use crate::topic::{Pattern, Topic};
use host::{Host, Text};

const PATTERNS: [&str; 3] = ["a:1", "a:2", "a:*"];
const TOPICS: [&str; 2] = ["a:1", "a:2"];

/// What the server sends next about a topic.
#[derive(Clone, Copy, Debug)]
enum Next {
    Continues,
    Skips,
    Repeats,
    BeginsAnew,
    Ends,
}

#[derive(Clone, Debug)]
enum Step {
    Subscribe {
        pattern: usize,
        paced: bool,
        late: bool,
    },
    Unsubscribe {
        which: usize,
    },
    Reflow {
        which: usize,
        paced: bool,
    },
    Says {
        topic: usize,
        next: Next,
        by_wildcard: bool,
    },
    Resets {
        topic: usize,
    },
    Lags {
        pattern: usize,
    },
    Breaks,
    Wait {
        ms: u64,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let next = prop_oneof![
        16 => Just(Next::Continues),
        1 => Just(Next::Skips),
        1 => Just(Next::Repeats),
        1 => Just(Next::BeginsAnew),
        1 => Just(Next::Ends),
    ];
    prop_oneof![
        2 => (0..PATTERNS.len(), prop::bool::weighted(0.2), any::<bool>())
            .prop_map(|(pattern, paced, late)| Step::Subscribe { pattern, paced, late }),
        1 => (0..8usize).prop_map(|which| Step::Unsubscribe { which }),
        1 => (0..8usize, any::<bool>()).prop_map(|(which, paced)| Step::Reflow { which, paced }),
        12 => (0..TOPICS.len(), next, prop::bool::weighted(0.2))
            .prop_map(|(topic, next, by_wildcard)| Step::Says { topic, next, by_wildcard }),
        1 => (0..TOPICS.len()).prop_map(|topic| Step::Resets { topic }),
        1 => (0..PATTERNS.len()).prop_map(|pattern| Step::Lags { pattern }),
        1 => Just(Step::Breaks),
        3 => prop_oneof![0..150u64, 0..3000u64].prop_map(|ms| Step::Wait { ms }),
    ]
}

fn flow(paced: bool) -> Flow {
    if paced {
        Flow::throttle(Duration::from_millis(100))
    } else {
        Flow::IMMEDIATE
    }
}

/// What the server sends, the same for both hosts.
struct Server {
    positions: [Position; 2],
    said: usize,
}

impl Server {
    fn frame(&mut self, step: &Step) -> Option<ServerFrame<Text>> {
        match *step {
            Step::Says {
                topic,
                next,
                by_wildcard,
            } => {
                self.said += 1;
                let position = &mut self.positions[topic];
                match next {
                    Next::Continues | Next::Ends => position.offset += 1,
                    Next::Skips => position.offset += 3,
                    Next::Repeats => {}
                    Next::BeginsAnew => {
                        position.epoch += 1;
                        position.offset = 1;
                    }
                }
                let publication = Arc::new(Publication {
                    topic: Topic::new(TOPICS[topic]).expect("a topic"),
                    position: *position,
                    payload: Text(self.said.to_string()),
                    end: matches!(next, Next::Ends).then_some(EndReason::Complete),
                });
                let via = by_wildcard.then(|| Pattern::new(PATTERNS[2]).expect("a pattern"));
                Some(ServerFrame::Publication { publication, via })
            }
            Step::Resets { topic } => Some(ServerFrame::Reset {
                topic: Topic::new(TOPICS[topic]).expect("a topic"),
                position: self.positions[topic],
                via: None,
            }),
            Step::Lags { pattern } => Some(ServerFrame::Lagged {
                pattern: Pattern::new(PATTERNS[pattern]).expect("a pattern"),
                missed: 2,
            }),
            _ => None,
        }
    }
}

fn run(steps: &[Step]) -> [Host; 2] {
    let mut hosts = [Host::new(true), Host::new(false)];
    let begun = Position {
        epoch: 1,
        offset: 0,
    };
    let mut server = Server {
        positions: [begun; 2],
        said: 0,
    };
    for (number, step) in steps.iter().enumerate() {
        let said = server.frame(step);
        for host in &mut hosts {
            host.take(step, said.as_ref());
        }
        let [handing, told] = &hosts;
        assert_eq!(handing.log, told.log, "after step {number}");
    }
    hosts
}

proptest! {
    #[test]
    fn who_hands_on_by_licence_does_what_others_are_told_to(
        steps in prop::collection::vec(step(), 1..if cfg!(miri) { 20 } else { 200 }),
    ) {
        run(&steps);
    }
}

/// A subscriber to the first topic, and a publication there that continues the previous one.
const SUBSCRIBE: Step = Step::Subscribe {
    pattern: 0,
    paced: false,
    late: true,
};
const SAYS: Step = Step::Says {
    topic: 0,
    next: Next::Continues,
    by_wildcard: false,
};

#[test]
fn what_continues_a_publication_is_spared_until_something_changes() {
    let steps = [SUBSCRIBE, SAYS, SAYS, SAYS, SUBSCRIBE, SAYS, SAYS];
    assert_eq!(run(&steps)[0].spared, 3);
}

#[test]
fn what_was_handed_on_is_where_a_new_connection_resumes_and_what_latecomers_start_with() {
    let steps = [
        SUBSCRIBE,
        SAYS,
        SAYS,
        SAYS,
        SUBSCRIBE,
        Step::Breaks,
        Step::Wait { ms: 3000 },
    ];
    let [handing, _] = run(&steps);
    assert_eq!(handing.spared, 2);
    let resumed = handing
        .log
        .iter()
        .rev()
        .find(|line| line.starts_with("Subscribe"));
    assert!(
        resumed.is_some_and(|line| line.contains("offset: 3")),
        "{resumed:?}"
    );
}
