//! An intake by itself: which lease an answer is about, what is taken in next, and when it has to be woken.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn outputs(intake: &mut Intake<u64>) -> Vec<IntakeOutput<u64>> {
    core::iter::from_fn(|| intake.poll_output()).collect()
}

/// An intake that keeps messages for half a second and has requested the lease, with the token of the request.
fn asking(now: Instant) -> (Intake<u64>, u64) {
    let mut intake = Intake::new(IntakeConfig {
        age_max: SECOND / 2,
        ..IntakeConfig::default()
    });
    intake.handle_timeout(now);
    match outputs(&mut intake)[..] {
        [IntakeOutput::Acquire { token }] => (intake, token),
        ref other => panic!("{other:?}"),
    }
}

fn holding(now: Instant) -> (Intake<u64>, u64) {
    let (mut intake, token) = asking(now);
    intake.handle_leased(now, token);
    intake.handle_lease(now, token, true);
    assert_eq!(intake.holding(), Some(token));
    (intake, token)
}

#[test]
fn who_was_refused_a_lease_does_not_hold_it_because_it_is_announced() {
    let now = Instant::from_millis(1);
    let (mut intake, token) = asking(now);
    intake.handle_lease(now, token, false);
    intake.handle_leased(now, token);
    assert_eq!(intake.holding(), None);
}

#[test]
fn an_answer_about_an_earlier_lease_grants_none() {
    let now = Instant::from_millis(1);
    let (mut intake, early) = asking(now);
    intake.handle_lease(now, early, false);
    intake.handle_timeout(now + SECOND);
    let late = early + 1;
    assert_eq!(
        outputs(&mut intake),
        [IntakeOutput::Acquire { token: late }]
    );
    intake.handle_lease(now + SECOND, early, true);
    intake.handle_leased(now + SECOND, early);
    assert_eq!(intake.holding(), None);
}

#[test]
fn a_lease_is_lost_by_an_answer_about_it_and_by_no_other() {
    let now = Instant::from_millis(1);
    let (mut intake, token) = holding(now);
    intake.handle_lease(now, token - 1, false);
    assert_eq!(intake.holding(), Some(token));
    intake.handle_lease(now, token, false);
    assert_eq!(intake.holding(), None);
}

#[test]
fn a_message_is_to_be_given_up_in_time_but_while_it_is_offered() {
    let now = Instant::from_millis(1);
    let (mut waiting, token) = asking(now);
    waiting.handle_lease(now, token, false);
    waiting.handle_raw(now, 1, 10, 1);
    assert_eq!(outputs(&mut waiting), []);
    assert_eq!(waiting.poll_timeout(), Some(now + SECOND / 2));
    assert!(!waiting.is_empty());

    let (mut taking, token) = holding(now);
    taking.handle_raw(now, 1, 10, 1);
    let messages = vec![(1, 1)];
    assert_eq!(
        outputs(&mut taking),
        [IntakeOutput::Take { token, messages }]
    );
    assert_eq!(taking.poll_timeout(), Some(now + SECOND));
    taking.handle_took(now, token, &[Took::Done]);
    assert!(taking.is_empty());
}

#[test]
fn what_another_server_took_while_ones_own_was_under_way_is_not_taken_again() {
    let now = Instant::from_millis(1);
    let (mut intake, token) = holding(now);
    // The same message twice. The store takes the first one in for this server, whose lease ends before it learns of
    // that, and the second one for another server.
    for number in [1, 2] {
        intake.handle_raw(now, 7, 1, number);
    }
    let messages = vec![(7, 1)];
    assert_eq!(
        outputs(&mut intake),
        [IntakeOutput::Take { token, messages }]
    );
    intake.handle_taken(7);
    intake.handle_took(now, token, &[Took::Done]);
    assert_eq!(outputs(&mut intake), []);
    assert!(intake.is_empty());
}

#[test]
fn a_holder_takes_one_batch_after_the_other_and_asks_for_its_lease_in_time() {
    let now = Instant::from_millis(1);
    let mut intake = Intake::new(IntakeConfig {
        batch_max: 2,
        ..IntakeConfig::default()
    });
    for number in 0..4 {
        intake.handle_raw(now, number, 1, number);
    }
    intake.handle_timeout(now);
    let token = match outputs(&mut intake)[..] {
        [IntakeOutput::Acquire { token }] => token,
        ref other => panic!("{other:?}"),
    };
    intake.handle_lease(now, token, true);
    intake.handle_leased(now, token);
    for first in [0, 2] {
        let messages = vec![(first, first), (first + 1, first + 1)];
        assert_eq!(
            outputs(&mut intake),
            [IntakeOutput::Take { token, messages }]
        );
        intake.handle_took(now, token, &[Took::Done; 2]);
    }
    intake.handle_timeout(now);
    assert_eq!(outputs(&mut intake), []);
    assert_eq!(intake.poll_timeout(), Some(now + SECOND));
    intake.handle_timeout(now + SECOND);
    assert_eq!(outputs(&mut intake), [IntakeOutput::Prolong { token }]);
}

#[test]
fn who_is_refused_under_its_token_holds_the_lease_no_more_and_keeps_what_it_heard() {
    let now = Instant::from_millis(1);
    let (mut intake, token) = holding(now);
    intake.handle_raw(now, 1, 1, 1);
    let messages = vec![(1, 1)];
    let take = [IntakeOutput::Take { token, messages }];
    assert_eq!(outputs(&mut intake), take);
    intake.handle_took(now, token - 1, &[Took::Fenced]);
    assert_eq!(intake.holding(), Some(token));
    assert_eq!(outputs(&mut intake), take);
    intake.handle_took(now, token, &[Took::Fenced]);
    assert_eq!(intake.holding(), None);
    assert_eq!(outputs(&mut intake), []);
    assert!(!intake.is_empty());
}
