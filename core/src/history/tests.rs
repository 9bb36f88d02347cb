use proptest::prelude::*;

use super::*;
use crate::payload::opaque::Opaque;

/// A payload that has only a number and a size.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Sized {
    number: u64,
    bytes: usize,
}

impl Opaque for Sized {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

const EPOCH: u64 = 7;

fn topic() -> Topic {
    Topic::new("job:42").unwrap()
}

fn at(offset: u64) -> Position {
    Position {
        epoch: EPOCH,
        offset,
    }
}

fn limits(count_max: usize, bytes_max: usize, age_max_ms: u64) -> HistoryLimits {
    HistoryLimits {
        count_max,
        bytes_max,
        age_max: Duration::from_millis(age_max_ms),
    }
}

/// A history of `count` publications of 10 bytes, one each millisecond, under `limits`.
fn filled(count: u64, limits: &HistoryLimits) -> History<Sized> {
    let mut history = History::new(EPOCH);
    for number in 1..=count {
        let payload = Sized { number, bytes: 10 };
        history.append(
            Instant::from_millis(number),
            &topic(),
            payload,
            None,
            limits,
        );
    }
    history
}

/// The offsets that a subscriber at `position` recovers; `None` if they are lost.
fn recovered(history: &History<Sized>, position: Position) -> Option<Vec<u64>> {
    match history.since(position) {
        Recovery::Whole(missed) => Some(missed.iter().map(|item| item.position.offset).collect()),
        Recovery::Lost(_) => None,
    }
}

/// A naive model of the limits: how many of `published` are kept at `now`.
fn kept(published: &[(Instant, usize)], now: Instant, limits: &HistoryLimits) -> usize {
    (1..=published.len())
        .rev()
        .find(|count| {
            let kept = &published[published.len() - count..];
            let bytes: usize = kept.iter().map(|(_, bytes)| bytes).sum();
            let is_within = *count <= limits.count_max
                && bytes <= limits.bytes_max
                && now - kept[0].0 <= limits.age_max;
            is_within || *count == 1
        })
        .unwrap_or(0)
}

#[derive(Clone, Debug)]
enum Step {
    Append { wait_ms: u64, bytes: usize },
    Trim { wait_ms: u64 },
}

fn any_limits() -> impl Strategy<Value = HistoryLimits> {
    (0..8_usize, 0..60_usize, 0..40_u64)
        .prop_map(|(count_max, bytes_max, age_max_ms)| limits(count_max, bytes_max, age_max_ms))
}

fn any_steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..15_u64, 0..30_usize).prop_map(|(wait_ms, bytes)| Step::Append { wait_ms, bytes }),
        1 => (0..60_u64).prop_map(|wait_ms| Step::Trim { wait_ms }),
    ];
    prop::collection::vec(step, 0..if cfg!(miri) { 12 } else { 40 })
}

proptest! {
    #[test]
    fn exactly_the_missed_are_recovered_or_the_loss_is_told(limits in any_limits(), steps in any_steps()) {
        let mut now = Instant::ZERO;
        let mut history = History::new(EPOCH);
        let mut published: Vec<(Instant, usize)> = Vec::new();
        for step in steps {
            match step {
                Step::Append { wait_ms, bytes } => {
                    now = now + Duration::from_millis(wait_ms);
                    published.push((now, bytes));
                    let number = published.len() as u64;
                    let appended = history.append(now, &topic(), Sized { number, bytes }, None, &limits);
                    prop_assert_eq!(appended.position, at(number));
                }
                Step::Trim { wait_ms } => {
                    now = now + Duration::from_millis(wait_ms);
                    history.trim(now, &limits);
                }
            }
            let kept = kept(&published, now, &limits) as u64;
            let top = published.len() as u64;
            prop_assert_eq!(history.len() as u64, kept);
            prop_assert_eq!(history.position(), at(top));
            prop_assert_eq!(history.latest().map(|latest| latest.position.offset), (top > 0).then_some(top));
            for offset in 0..top + 3 {
                let missed = (offset <= top && top - offset <= kept)
                    .then(|| (offset + 1..=top).collect::<Vec<_>>());
                prop_assert_eq!(recovered(&history, at(offset)), missed, "since {}", offset);
            }
            for payload in history.ring.iter().map(|kept| &kept.publication) {
                prop_assert_eq!(payload.payload.number, payload.position.offset);
            }
        }
    }
}

#[test]
fn nothing_is_missed_by_who_has_everything() {
    let history = filled(3, &HistoryLimits::default());
    assert_eq!(history.since(at(3)), Recovery::Whole(Vec::new()));
}

#[test]
fn an_idle_topic_is_resumed_from_the_position_before_its_first_publication() {
    let mut history = History::new(EPOCH);
    let idle = history.position();
    assert_eq!(history.since(idle), Recovery::Whole(Vec::new()));
    let payload = Sized {
        number: 1,
        bytes: 0,
    };
    history.append(
        Instant::ZERO,
        &topic(),
        payload,
        None,
        &HistoryLimits::default(),
    );
    assert_eq!(recovered(&history, idle), Some(Vec::from([1])));
}

#[test]
fn a_position_of_another_epoch_recovers_nothing_but_the_latest() {
    let history = filled(3, &HistoryLimits::default());
    for epoch in [0, EPOCH - 1, EPOCH + 1] {
        let other = Position { epoch, offset: 1 };
        let Recovery::Lost(Some(latest)) = history.since(other) else {
            panic!("epoch {epoch} was taken for {EPOCH}");
        };
        assert_eq!(latest.position, at(3));
    }
}

#[test]
fn a_position_that_lies_ahead_is_not_taken_for_the_top() {
    let history = filled(3, &HistoryLimits::default());
    assert_eq!(recovered(&history, at(4)), None);
    assert_eq!(recovered(&history, at(u64::MAX)), None);
}

#[test]
fn a_replay_that_lacks_its_first_publication_is_not_claimed_to_be_whole() {
    let history = filled(10, &limits(4, usize::MAX, 1000));
    assert_eq!(recovered(&history, at(6)), Some(Vec::from([7, 8, 9, 10])));
    assert_eq!(recovered(&history, at(5)), None);
}

#[test]
fn the_latest_stays_however_large_or_old() {
    let tight = limits(0, 0, 0);
    let mut history = filled(3, &tight);
    history.trim(Instant::from_millis(u64::MAX), &tight);
    assert_eq!(history.len(), 1);
    assert_eq!(recovered(&history, at(2)), Some(Vec::from([3])));
}

#[test]
fn what_is_older_than_the_limit_goes_with_the_next_publication() {
    let history = filled(10, &limits(100, usize::MAX, 3));
    assert_eq!(
        history.len(),
        4,
        "those of the last 3 ms, both ends included"
    );
}

#[test]
fn the_end_is_that_of_the_latest_publication() {
    let mut history = filled(2, &HistoryLimits::default());
    assert_eq!(history.end(), None);
    let payload = Sized {
        number: 3,
        bytes: 0,
    };
    let end = Some(EndReason::Failed);
    let limits = HistoryLimits::default();
    history.append(Instant::from_millis(9), &topic(), payload, end, &limits);
    assert_eq!(history.end(), end);
}

#[test]
fn what_is_put_before_counts_with_the_rest() {
    let now = Instant::from_millis(10);
    let whole = filled(10, &limits(10, 1_000, 1_000));
    let mut history = filled(10, &limits(5, 1_000, 1_000));
    let older: Vec<_> = whole.kept().cloned().collect();
    history.prepend(now, &older);
    assert_eq!((history.len(), history.bytes()), (10, 100));
    history.trim(now, &limits(10, 40, 1_000));
    assert_eq!((history.len(), history.bytes()), (4, 40));
}
