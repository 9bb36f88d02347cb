//! How publications reach the backend: in order, in batches and within limits. Each gets exactly one answer, and a true
//! one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use core::time::Duration;

use proptest::prelude::*;
use tidegate_core::hub::{PublishError, ServerAnswer, ServerConfig, ServerHub};
use tidegate_core::payload::Payload;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall, UplinkConfig, UplinkFailure};
use tidegate_tests::json::Json;
use tidegate_tests::{ms, secs, topic};

#[derive(Clone, Debug)]
enum Step {
    /// A publication with this many bytes.
    Publish(usize),
    /// A publication whose content the backend refuses.
    PublishWrong(usize),
    /// The backend stores the batch in flight, or refuses it because of one of its publications.
    Store,
    /// The host answers with this many results too many, or too few.
    MixUp {
        is_more: bool,
    },
    /// The backend has no room for the batch.
    Full,
    /// The link is lost. The batch may have been stored.
    Lose,
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (3..40_usize).prop_map(Step::Publish),
        2 => (3..40_usize).prop_map(Step::PublishWrong),
        6 => Just(Step::Store),
        1 => any::<bool>().prop_map(|is_more| Step::MixUp { is_more }),
        1 => Just(Step::Full),
        2 => Just(Step::Lose),
        4 => (0..9_000_u64).prop_map(Step::Pass),
        1 => (0..70_000_u64).prop_map(Step::Pass),
    ]
}

/// A publication that the server has accepted and may still send to the backend.
#[derive(Debug)]
struct Waiting {
    ticket: u64,
    request: PublishRequest<Json>,
    until: Instant,
    is_answered: bool,
    was_sent: bool,
    /// Whether a call that contained it was never answered.
    is_uncertain: bool,
    /// The size of the last batch that was refused with it.
    refused_with: Option<usize>,
}

/// A server with a link, and a model of what happens to its publications.
struct Scene {
    hub: ServerHub<Json>,
    config: UplinkConfig,
    now: Instant,
    is_up: bool,
    queue: VecDeque<Waiting>,
    /// The call in flight, and the number of its publications.
    under_way: Option<(CallId, usize)>,
    /// The expected answers, by ticket.
    due: BTreeMap<u64, Result<Position, PublishError>>,
    tickets: u64,
    keys: BTreeSet<String>,
}

impl Scene {
    fn new(config: UplinkConfig) -> Self {
        let mut scene = Self {
            hub: ServerHub::with_uplink(ServerConfig::new(1), config.clone()),
            config,
            now: Instant::ZERO,
            is_up: false,
            queue: VecDeque::new(),
            under_way: None,
            due: BTreeMap::new(),
            tickets: 0,
            keys: BTreeSet::new(),
        };
        scene.hub.handle_timeout(scene.now);
        scene.settle();
        scene
    }

    fn take(&mut self, step: &Step) {
        match *step {
            Step::Publish(bytes) => self.publish("x", bytes),
            Step::PublishWrong(bytes) => self.publish(WRONG, bytes),
            Step::Store => self.answer_truly(),
            Step::MixUp { is_more: true } => self.answer(|count| stored(count + 1)),
            Step::MixUp { is_more: false } => self.answer(|count| stored(count - 1)),
            Step::Full => self.answer(|_| UplinkAnswer::Failed(UplinkFailure::Full)),
            Step::Lose => {
                self.lose();
                self.hub.handle_lost(self.now);
            }
            Step::Pass(millis) => self.pass(ms(millis)),
        }
        self.settle();
    }

    fn publish(&mut self, letter: &str, bytes: usize) {
        // The JSON of a text includes its quotes.
        let payload = Json::from(letter.repeat(bytes - 2).as_str());
        let request = PublishRequest::new(topic("job:1"), payload);
        self.tickets += 1;
        let waiting: usize = self.queue.iter().map(bytes_of).sum();
        if self.queue.len() >= self.config.publishes_max
            || waiting + bytes > self.config.publish_bytes_max
        {
            self.due
                .insert(self.tickets, Err(PublishError::Unavailable));
        } else {
            self.queue.push_back(Waiting {
                ticket: self.tickets,
                request: request.clone(),
                until: self.now + self.config.publish_patience,
                is_answered: false,
                was_sent: false,
                is_uncertain: false,
                refused_with: None,
            });
        }
        self.hub.handle_request(self.now, self.tickets, request);
    }

    /// The backend stores the batch in flight, unless it refuses something in it.
    fn answer_truly(&mut self) {
        let count = self.under_way.map_or(0, |(_, count)| count);
        if self.queue.iter().take(count).any(is_wrong) {
            self.refuse();
        } else {
            self.answer(stored);
        }
    }

    /// A single publication is answered with the refusal. Of several, nobody knows which one it was, and none is stored.
    fn refuse(&mut self) {
        let Some((call, count)) = self.under_way else {
            return;
        };
        if count == 1 {
            self.finish(|_| Err(PublishError::Refused));
        } else {
            self.under_way = None;
            for waiting in self.queue.iter_mut().take(count) {
                waiting.refused_with = Some(count);
            }
            self.forget();
        }
        let failed = UplinkAnswer::Failed(UplinkFailure::Refused);
        self.hub.handle_answer(self.now, call, failed);
    }

    /// The host answers the batch in flight, if there is one.
    fn answer(&mut self, of: impl FnOnce(usize) -> UplinkAnswer<Json>) {
        let Some((call, count)) = self.under_way else {
            return;
        };
        let answer = of(count);
        match &answer {
            UplinkAnswer::Failed(_) => self.finish(|waiting| {
                Err(if waiting.is_uncertain {
                    PublishError::Unconfirmed
                } else {
                    PublishError::BackendFull
                })
            }),
            answer if *answer == stored(count) => self.finish(|_| Ok(Position::default())),
            _ => self.lose(),
        }
        self.hub.handle_answer(self.now, call, answer);
    }

    fn finish(&mut self, result: impl Fn(&Waiting) -> Result<Position, PublishError>) {
        let (_, count) = self.under_way.take().expect("a batch is under way");
        let done = self.queue.drain(..count);
        let open = done.filter(|waiting| !waiting.is_answered);
        self.due
            .extend(open.map(|waiting| (waiting.ticket, result(&waiting))));
        self.forget();
    }

    fn lose(&mut self) {
        self.is_up = false;
        if let Some((_, count)) = self.under_way.take() {
            let carried = self.queue.iter_mut().take(count);
            carried.for_each(|waiting| waiting.is_uncertain = true);
        }
        self.forget();
    }

    /// Publications that were given up leave the queue once no call contains them.
    fn forget(&mut self) {
        if self.under_way.is_none() {
            self.queue.retain(|waiting| !waiting.is_answered);
        }
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.now + duration;
        while let Some(at) = self.hub.poll_timeout().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            for waiting in &mut self.queue {
                if waiting.until <= self.now && !waiting.is_answered {
                    waiting.is_answered = true;
                    let error = if waiting.was_sent {
                        PublishError::Unconfirmed
                    } else {
                        PublishError::Unavailable
                    };
                    self.due.insert(waiting.ticket, Err(error));
                }
            }
            self.forget();
            self.hub.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    /// Answers the server's calls, except for batches, which wait for the test.
    fn settle(&mut self) {
        while let Some((id, call)) = self.hub.poll_call() {
            match call {
                UplinkCall::Publish(batch) => self.check_batch(id, &batch),
                UplinkCall::Open => {
                    self.is_up = true;
                    self.hub.handle_answer(self.now, id, UplinkAnswer::Done);
                }
                _ => self.hub.handle_answer(self.now, id, UplinkAnswer::Done),
            }
        }
        while let Some(answer) = self.hub.poll_answer() {
            let ServerAnswer::Published { ticket, result } = answer else {
                panic!("nobody has subscribed: {answer:?}");
            };
            assert_eq!(self.due.remove(&ticket), Some(result), "ticket {ticket}");
        }
        assert_eq!(self.due, BTreeMap::new(), "answers are missing");
        let is_idle = self.is_up && self.under_way.is_none();
        assert!(
            !is_idle || self.queue.is_empty(),
            "something waits for no reason"
        );
        assert_eq!(self.hub.uplink_counts().publishes, self.queue.len());
    }

    /// A batch has as many publications as fit, beginning with the first that waits. After a refusal it has only some of
    /// those that were refused together, and no others.
    fn check_batch(&mut self, id: CallId, batch: &[PublishRequest<Json>]) {
        assert!(self.is_up && self.under_way.is_none(), "one at a time");
        let mut bytes = 0;
        let fits = self.queue.iter().take_while(|waiting| {
            let is_first = bytes == 0;
            bytes += bytes_of(waiting);
            is_first || bytes <= self.config.batch_bytes_max
        });
        let count = fits.take(self.config.batch_max).count();
        let refused_with = self.queue.front().and_then(|first| first.refused_with);
        match refused_with {
            None => assert_eq!(batch.len(), count),
            Some(refused) => {
                let mut doubted = self.queue.iter().take(batch.len());
                assert!(doubted.all(|waiting| waiting.refused_with.is_some()));
                assert!(
                    (1..refused.max(2)).contains(&batch.len()),
                    "nothing is learnt"
                );
            }
        }
        for (waiting, sent) in self.queue.iter_mut().zip(batch) {
            assert_eq!(sent.id.is_some(), self.config.gives_keys);
            if waiting.request.id.is_none()
                && let Some(key) = &sent.id
            {
                assert!(self.keys.insert(key.clone()), "{key} is another one's");
                waiting.request.id = Some(key.clone());
            }
            assert_eq!(*sent, waiting.request);
            waiting.was_sent = true;
        }
        self.under_way = Some((id, batch.len()));
    }
}

/// The content of payloads that the backend refuses.
const WRONG: &str = "!";

fn is_wrong(waiting: &Waiting) -> bool {
    waiting.request.payload.0.to_string().contains(WRONG)
}

fn bytes_of(waiting: &Waiting) -> usize {
    waiting.request.payload.size()
}

fn stored(count: usize) -> UplinkAnswer<Json> {
    UplinkAnswer::Published(vec![Ok(Position::default()); count])
}

proptest! {
    #[test]
    fn publications_go_up_in_order_within_limits_and_each_is_answered_for_what_became_of_it(
        publishes_max in 1..8_usize,
        publish_bytes_max in 20..200_usize,
        batch_max in 1..5_usize,
        batch_bytes_max in 20..100_usize,
        gives_keys in any::<bool>(),
        steps in prop::collection::vec(any_step(), 0..60),
    ) {
        let mut scene = Scene::new(UplinkConfig {
            publishes_max,
            publish_bytes_max,
            batch_max,
            batch_bytes_max,
            gives_keys,
            publish_patience: secs(60),
            // In this test, no call takes too long.
            call_timeout: secs(24 * 3600),
            ..UplinkConfig::new(1)
        });
        for step in &steps {
            scene.take(step);
        }
        scene.pass(secs(120));
        prop_assert!(scene.queue.iter().all(|waiting| waiting.is_answered));
    }
}
