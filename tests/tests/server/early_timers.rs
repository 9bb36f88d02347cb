//! A session whose host wakes it at any time: it acts at its deadlines, and never before.

use std::sync::Arc;

use proptest::prelude::*;
use tidegate_core::access::Grant;
use tidegate_core::flow::Flow;
use tidegate_core::hub::SubscribeError;
use tidegate_core::protocol::{
    ClientFrame, ErrorCode, PublishRequest, SubscribeRequest, WireError,
};
use tidegate_core::session::{Access, Session, SessionConfig, SessionOutput};
use tidegate_core::time::Instant;
use tidegate_tests::json::Json;
use tidegate_tests::restless::wake_early;
use tidegate_tests::{ms, pattern, secs, topic};

#[derive(Clone, Debug)]
enum Step {
    Pass(u64),
    Say(ClientFrame<Json>),
    SayNonsense { is_fatal: bool },
    Answer { seconds: Option<u64> },
    Drain,
    Stale(bool),
    Supersede,
    Disconnect,
}

fn any_frame() -> impl Strategy<Value = ClientFrame<Json>> {
    let hello = any::<bool>().prop_map(|shows| ClientFrame::Hello {
        token: shows.then(|| "token".to_owned()),
        client: None,
        group: None,
    });
    let request = SubscribeRequest::new(pattern("job:*"), Flow::IMMEDIATE);
    let subscribe = ClientFrame::Subscribe(request);
    let publish = PublishRequest::new(topic("job:1"), Json::from(1));
    let watch = ClientFrame::Watch {
        request: 2,
        topic: topic("job:1"),
    };
    prop_oneof![
        2 => hello,
        1 => Just(subscribe),
        1 => Just(ClientFrame::Unsubscribe { pattern: pattern("job:*") }),
        1 => Just(ClientFrame::Publish { request: 1, publish }),
        1 => Just(watch),
        1 => Just(ClientFrame::Ping),
        2 => Just(ClientFrame::Pong),
    ]
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        30 => (0..30_000_u64).prop_map(Step::Pass),
        30 => any_frame().prop_map(Step::Say),
        5 => prop::bool::weighted(0.2).prop_map(|is_fatal| Step::SayNonsense { is_fatal }),
        10 => prop::option::of(1..60_u64).prop_map(|seconds| Step::Answer { seconds }),
        4 => Just(Step::Drain),
        5 => any::<bool>().prop_map(Step::Stale),
        1 => Just(Step::Supersede),
        1 => Just(Step::Disconnect),
    ]
}

/// A session, its host's clock, and all its outputs.
struct Scene {
    session: Session<Json>,
    now: Instant,
    is_restless: bool,
    told: Vec<String>,
}

impl Scene {
    fn new(access: &Access, is_restless: bool) -> Self {
        let now = Instant::ZERO;
        Self {
            session: Session::with_access(now, SessionConfig::default(), access),
            now,
            is_restless,
            told: Vec::new(),
        }
    }

    fn take(&mut self, step: Step) {
        let (now, session) = (self.now, &mut self.session);
        match step {
            Step::Pass(millis) => self.pass(millis),
            Step::Say(frame) => session.handle_frame(now, frame),
            Step::SayNonsense { is_fatal } => {
                let mut error = WireError::new(ErrorCode::BadFrame, "nonsense");
                error.fatal = is_fatal;
                session.handle_bad_frame(now, error);
            }
            Step::Answer { seconds } => {
                let grant = Grant {
                    expires: seconds.map(|seconds| now + secs(seconds)),
                    ..Grant::everything()
                };
                session.handle_authenticated(now, Ok(Arc::new(grant)));
            }
            Step::Drain => session.handle_drain(now, secs(5)),
            Step::Stale(is_stale) => session.handle_stale(is_stale),
            Step::Supersede => session.handle_superseded(),
            Step::Disconnect => session.handle_disconnected(),
        }
        self.settle();
    }

    fn pass(&mut self, millis: u64) {
        let end = self.now + ms(millis);
        while let Some(due) = self.session.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.session.handle_timeout(self.now);
            let next = self.session.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "it would spin");
            self.settle();
        }
        self.now = end;
    }

    fn settle(&mut self) {
        while let Some(output) = self.session.poll_output() {
            self.told.push(format!("{:?} {output:?}", self.now));
            if let SessionOutput::Subscribe(SubscribeRequest { pattern, flow, .. }) = output {
                let refusal = Err(SubscribeError::NoDurables);
                self.session.handle_subscribed(pattern, flow, refusal);
            }
        }
        if self.is_restless {
            wake_early(&mut self.session, self.now, |session| session.poll_output());
        }
    }
}

proptest! {
    #[test]
    fn who_wakes_a_session_before_its_time_changes_nothing(
        is_known in any::<bool>(),
        steps in prop::collection::vec(any_step(), 0..40),
    ) {
        let access = if is_known {
            Access::known(Arc::new(Grant::everything()))
        } else {
            Access::asked()
        };
        let mut calm = Scene::new(&access, false);
        let mut restless = Scene::new(&access, true);
        for step in steps {
            calm.take(step.clone());
            restless.take(step);
        }
        prop_assert_eq!(&calm.told, &restless.told);
        let closes = calm.told.iter().filter(|told| told.contains(" Close("));
        prop_assert_eq!(closes.count(), usize::from(calm.session.is_closed()));
        let last = calm.told.last();
        prop_assert!(!calm.session.is_closed() || last.is_some_and(|told| told.contains(" Close(")));
    }
}
