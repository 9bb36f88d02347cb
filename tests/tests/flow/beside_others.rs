//! What it costs a subscriber that others of its client want the same topic at another pace: no publication, and no more time than
//! is promised in `core/src/hub/relay/pace.rs`.

use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;
use tidegate_core::flow::{Conflate, Flow, Pace};
use tidegate_core::time::Instant;
use tidegate_tests::network::{Network, Quality};
use tidegate_tests::{ms, secs};

/// The delay of a frame.
const DELAY: u64 = 10;

/// When something is published, in milliseconds since the publication before.
type Gaps = [u64];

fn network(flows: &[Flow]) -> Network {
    let mut net = Network::new(1);
    let peer = net.connected_peer(Quality::delayed(ms(DELAY)));
    for flow in flows {
        net.subscribe(peer, "job:1", *flow);
    }
    net.run_for(ms(100));
    net
}

fn publish_all(net: &mut Network, gaps: &Gaps) {
    for (number, gap) in gaps.iter().enumerate() {
        net.run_for(ms(*gap));
        net.publish("job:1", number as u64)
            .expect("the topic is open");
    }
    net.run_for(secs(60));
    net.check_converged();
}

/// What subscribers with these flows get of the same publications.
fn shared(flows: &[Flow], gaps: &Gaps) -> Network {
    let mut net = network(flows);
    publish_all(&mut net, gaps);
    net
}

/// A subscriber's emissions: when, and the numbers of what it was given.
fn emissions(net: &Network, record: usize) -> Vec<(Instant, Vec<u64>)> {
    let mut emissions: Vec<(Instant, Vec<u64>)> = Vec::new();
    for (at, publication) in net.records[record].publications() {
        let number = publication.payload.0.as_u64().expect("a number");
        match emissions.last_mut() {
            Some((last, numbers)) if *last == at => numbers.push(number),
            _ => emissions.push((at, vec![number])),
        }
    }
    emissions
}

/// The longest that anything took, from its publication until a subscriber had it or something newer.
fn longest(net: &Network, record: usize) -> Duration {
    let emissions = emissions(net, record);
    let delays = net.truth.iter().map(|(published, publication)| {
        let number = publication.payload.0.as_u64().expect("a number");
        let shown = emissions
            .iter()
            .find(|(_, numbers)| numbers.iter().any(|shown| *shown >= number));
        let (shown, _) = shown.expect("everything is shown, or something newer");
        shown.saturating_since(*published)
    });
    delays.max().unwrap_or_default()
}

fn throttle(every: u64, leading: bool) -> Flow {
    Flow {
        pace: Pace::Throttle {
            every: ms(every),
            leading,
            trailing: true,
        },
        ..Flow::IMMEDIATE
    }
}

fn window(flow: Flow) -> Duration {
    match flow.pace {
        Pace::Throttle { every, .. } => every,
        Pace::Immediate | Pace::Debounce { .. } => Duration::ZERO,
    }
}

fn collect(every: u64, max: u32) -> Flow {
    let max = NonZeroU32::new(max).expect("a batch holds at least one");
    throttle(every, true).with_conflate(Conflate::Collect { max })
}

/// What a subscriber is promised beside others: its own window, one of the uplink's, what is waited for that, and the way.
fn promised(flow: Flow, flows: &[Flow]) -> Duration {
    let uplink = window(Flow::finest(flows).expect("there are some"));
    window(flow) + uplink + (uplink / 8).min(ms(50)) + ms(DELAY)
}

/// Paces as people write them, and others.
fn any_window() -> impl Strategy<Value = u64> {
    prop_oneof![
        prop::sample::select(vec![100, 200, 250, 300, 500, 750, 1_000, 1_500, 2_000]),
        20..2_000_u64,
    ]
}

fn any_gaps() -> impl Strategy<Value = Vec<u64>> {
    let gap = prop_oneof![6 => 0..60_u64, 2 => 50..700_u64, 1 => 500..4_000_u64];
    prop::collection::vec(gap, 1..80)
}

fn any_flow() -> impl Strategy<Value = Flow> {
    let debounce =
        (20..500_u64, prop::option::of(20..900_u64)).prop_map(|(quiet, max_wait)| Flow {
            pace: Pace::Debounce {
                quiet: ms(quiet),
                max_wait: max_wait.map(ms),
                leading: false,
                trailing: true,
            },
            ..Flow::IMMEDIATE
        });
    prop_oneof![
        2 => Just(Flow::IMMEDIATE),
        4 => (any_window(), any::<bool>()).prop_map(|(every, leading)| throttle(every, leading)),
        2 => debounce,
        2 => (any_window(), 1..40_u32).prop_map(|(every, max)| collect(every, max)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Alone, whatever is published is shown within the window; beside other throttles, within one of the uplink's more.
    #[test]
    fn throttles_of_one_topic_are_late_by_no_more_than_is_promised(
        flows in prop::collection::vec((any_window(), any::<bool>()).prop_map(|(every, leading)| throttle(every, leading)), 2..5),
        gaps in any_gaps(),
    ) {
        let net = shared(&flows, &gaps);
        for (record, flow) in flows.iter().enumerate() {
            let longest = longest(&net, record);
            prop_assert!(longest <= promised(*flow, &flows), "{longest:?} for {flow:?} of {flows:?}");
        }
    }

    /// Where the uplink is asked for everything, each has what it has alone, when it has it alone.
    #[test]
    fn beside_one_who_wants_everything_nobody_can_tell(
        flows in prop::collection::vec(any_flow(), 1..4),
        gaps in any_gaps(),
    ) {
        let mut flows = flows;
        flows.push(Flow::IMMEDIATE);
        let net = shared(&flows, &gaps);
        for (record, flow) in flows.iter().enumerate() {
            let alone = shared(&[*flow], &gaps);
            prop_assert_eq!(emissions(&net, record), emissions(&alone, 0), "{:?}", flow);
        }
    }

    /// While publications keep coming, windows that end together give the same at the same times as alone.
    #[test]
    fn windows_that_are_made_of_the_uplinks_are_as_if_alone_while_publications_keep_coming(
        unit in prop::sample::select(vec![100_u64, 250, 500]),
        times in prop::collection::vec(1..7_u64, 1..4),
        gaps in prop::collection::vec(1..25_u64, 50..200),
    ) {
        let windows = [1].into_iter().chain(times).map(|times| unit * times);
        let flows: Vec<Flow> = windows.map(|every| throttle(every, true)).collect();
        let net = shared(&flows, &gaps);
        let (last, _) = net.truth.last().expect("something was published");
        for (record, flow) in flows.iter().enumerate() {
            let until_last = |net: &Network, record| {
                let mut emissions = emissions(net, record);
                emissions.retain(|(at, _)| at <= last);
                emissions
            };
            let alone = shared(&[*flow], &gaps);
            prop_assert_eq!(until_last(&net, record), until_last(&alone, 0), "{:?}", flow);
        }
    }

    /// A subscriber that collects gets every publication, once and in order, within the promised time. A full batch opens a
    /// window in the middle of one of the uplink's, so it may have to wait for the second half of that one, too.
    #[test]
    fn collections_of_one_topic_are_complete_and_late_by_no_more_than_is_promised(
        flows in prop::collection::vec((any_window(), 1..40_u32).prop_map(|(every, max)| collect(every, max)), 2..4),
        gaps in any_gaps(),
    ) {
        let net = shared(&flows, &gaps);
        for (record, flow) in flows.iter().enumerate() {
            let numbers = emissions(&net, record).into_iter().flat_map(|(_, numbers)| numbers);
            prop_assert_eq!(numbers.collect::<Vec<_>>(), Vec::from_iter(0..gaps.len() as u64));
            let longest = longest(&net, record);
            let amid = window(Flow::finest(&flows).expect("there are some")) / 2;
            prop_assert!(longest <= promised(*flow, &flows) + amid, "{longest:?} for {flow:?} of {flows:?}");
        }
    }

    /// Others come and go with any flow: a subscriber that collects gets everything, and one that throttles is not far
    /// behind.
    #[test]
    fn others_may_come_and_go(
        every in any_window(),
        others in prop::collection::vec((any_flow(), 0..60_usize, 1..40_usize), 0..4),
        gaps in any_gaps(),
    ) {
        let own = [throttle(every, true), collect(every, 1_000), Flow::IMMEDIATE];
        for flow in own {
            let mut net = network(&[flow]);
            let mut here = Vec::new();
            for (number, gap) in gaps.iter().enumerate() {
                for (other, comes, stays) in &others {
                    if *comes == number {
                        here.push((net.subscribe(0, "job:1", *other), number + stays));
                    }
                }
                here.retain(|(record, until)| {
                    let stays = *until > number;
                    if !stays {
                        net.unsubscribe(*record);
                    }
                    stays
                });
                net.run_for(ms(*gap));
                net.publish("job:1", number as u64).expect("the topic is open");
            }
            net.run_for(secs(60));
            net.check_converged();
            let late = window(flow) * 5 / 2 + ms(50) + ms(DELAY);
            prop_assert!(longest(&net, 0) <= late, "{:?} for {flow:?}", longest(&net, 0));
            if !flow.conflates() {
                let numbers = emissions(&net, 0).into_iter().flat_map(|(_, numbers)| numbers);
                prop_assert_eq!(numbers.collect::<Vec<_>>(), Vec::from_iter(0..gaps.len() as u64));
            }
        }
    }
}
