//! One tab's candidacy in virtual time; what others send and what the browser grants is up to the test.

use alloc::string::String;
use alloc::vec::Vec;

use super::*;
use crate::client::ClientConfig;
use crate::tabs::TabId;

const MICROSECOND: Duration = Duration::from_micros(1);

/// A tab that has entered and knows no other.
struct Scene {
    candidacy: Candidacy<true>,
    config: TabsConfig,
    now: Instant,
}

impl Scene {
    fn new(election: Election, seed: u64) -> Self {
        let config = TabsConfig::new(TabId(1), election, String::new(), ClientConfig::new(seed));
        let mut candidacy = Candidacy::new(&config);
        let now = Instant::from_millis(1);
        candidacy.handle_enter(now, &config);
        Self {
            candidacy,
            config,
            now,
        }
    }

    fn steps(&mut self) -> Vec<Step> {
        self.candidacy.steps.drain(..).collect()
    }

    /// The time until its next deadline.
    fn wait(&self) -> Duration {
        self.candidacy.poll_timeout().expect("it waits") - self.now
    }

    /// Handles its next deadline. Returns how long that took, and its next steps.
    fn wake(&mut self, is_visible: bool) -> (Duration, Vec<Step>) {
        self.steps();
        let waited = self.wait();
        self.now = self.now + waited;
        self.candidacy
            .handle_timeout(self.now, Term::default(), true, is_visible, &self.config);
        (waited, self.steps())
    }

    /// Lets it try in vain until it waits the longest for an answer. Returns its last request for the lock.
    fn try_in_vain(&mut self) -> u32 {
        for _ in 0..=DOUBLINGS_MAX {
            self.wake(true);
        }
        self.candidacy.lock.expect("it asks for one").request
    }

    /// How long it would wait for an answer if it asked now.
    fn patience(&mut self) -> Duration {
        self.candidacy.handle_superseded(self.now, &self.config);
        self.wait()
    }
}

#[test]
fn who_has_tried_of_late_waits_longer_for_an_answer() {
    for (is_long_ago, factor) in [(false, 1 << DOUBLINGS_MAX), (true, 1)] {
        let mut scene = Scene::new(Election::Lock, 1);
        let stable_after = scene.config.stable_after;
        let after = stable_after - MICROSECOND * u32::from(!is_long_ago);
        let expected = scene.config.probe_timeout * factor;

        scene.try_in_vain();
        scene.now = scene.now + after;
        let lease = scene.config.lease;
        scene.candidacy.handle_life(scene.now, lease, &scene.config);
        assert_eq!(scene.patience(), expected, "somebody leads");

        let mut scene = Scene::new(Election::Lock, 1);
        let request = scene.try_in_vain();
        scene.candidacy.handle_granted(scene.now, request);
        scene.now = scene.now + after;
        scene.candidacy.handle_vacancy(scene.now, &scene.config);
        assert_eq!(scene.patience(), expected, "it has led");
    }
}

#[test]
fn of_two_who_claim_the_better_placed_one_leads() {
    let mut scene = Scene::new(Election::Claims, 1);
    let window = scene.config.claim_window;
    scene
        .candidacy
        .handle_claim(scene.now, false, &scene.config);
    assert_eq!(scene.steps(), [], "it does not claim yet");
    assert_eq!(scene.wake(true), (window, Vec::from([Step::Claim])));
    scene.candidacy.handle_claim(scene.now, true, &scene.config);
    assert_eq!(scene.steps(), [], "it lets the other one go first");
    assert_eq!(scene.wake(true), (window * 2, Vec::from([Step::Claim])));
    scene
        .candidacy
        .handle_claim(scene.now, false, &scene.config);
    assert_eq!(scene.steps(), [Step::Claim], "it tells who is behind it");
    assert_eq!(scene.wake(true), (window, Vec::from([Step::Lead])));
}

#[test]
fn a_lock_that_is_granted_late_is_given_back() {
    let mut scene = Scene::new(Election::Lock, 1);
    let steal = false;
    assert_eq!(scene.steps(), [Step::RequestLock { request: 1, steal }]);
    let again = [
        Step::ReleaseLock { request: 1 },
        Step::RequestLock { request: 2, steal },
    ];
    let patience = scene.config.grant_patience;
    assert_eq!(scene.wake(true), (patience, Vec::from(again)));
    let (soonest, latest) = (ATTEMPT_BASE / 2, ATTEMPT_BASE / 2 + ATTEMPT_BASE);
    assert!((soonest..=latest).contains(&scene.wait()));
    scene.candidacy.handle_granted(scene.now, 1);
    assert_eq!(scene.steps(), [Step::ReleaseLock { request: 1 }]);
    scene.candidacy.handle_granted(scene.now, 2);
    assert_eq!(scene.steps(), [Step::Lead]);
    scene.candidacy.handle_leave();
    assert_eq!(scene.steps(), [Step::ReleaseLock { request: 2 }]);
    scene.candidacy.handle_granted(scene.now, 2);
    assert_eq!(scene.steps(), [Step::ReleaseLock { request: 2 }]);
}

#[test]
fn only_the_lock_that_is_held_can_be_stolen() {
    let mut scene = Scene::new(Election::Lock, 1);
    assert!(!scene.candidacy.handle_lost(1), "it could not be had");
    let request = scene.try_in_vain();
    scene.candidacy.handle_granted(scene.now, request);
    assert!(!scene.candidacy.handle_lost(request - 1), "an earlier one");
    assert!(scene.candidacy.handle_lost(request));
    assert!(!scene.candidacy.handle_lost(request), "it has gone already");
}

#[test]
fn a_worker_is_asked_for_where_a_later_one_leads_and_no_second_time() {
    let mut scene = Scene::new(Election::Worker { generation: 3 }, 1);
    assert_eq!(scene.steps(), [Step::SpawnWorker { generation: 3 }]);
    for known in [2, 3] {
        scene.candidacy.handle_generation(known);
        assert_eq!(scene.steps(), []);
    }
    scene.candidacy.handle_generation(4);
    assert_eq!(scene.steps(), [Step::SpawnWorker { generation: 4 }]);
}

#[test]
fn a_hidden_tab_steals_later_than_any_visible_one() {
    for seed in 0..20 {
        let jitter = |is_visible| {
            let mut scene = Scene::new(Election::Lock, seed);
            scene.candidacy.handle_superseded(scene.now, &scene.config);
            scene.wake(is_visible);
            scene.wait()
        };
        let longest = STEAL_JITTER + MICROSECOND;
        assert!((MICROSECOND..=longest).contains(&jitter(true)));
        assert!((STEAL_JITTER * 5..=longest + STEAL_JITTER * 5).contains(&jitter(false)));
    }
}
