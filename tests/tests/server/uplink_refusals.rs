//! Publications that the backend refuses, beside ones that it accepts.

use std::collections::BTreeMap;

use proptest::prelude::*;
use tidegate_core::hub::{PublishError, ServerAnswer, ServerConfig, ServerHub};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkConfig, UplinkFailure};
use tidegate_tests::json::Json;
use tidegate_tests::topic;

/// What a payload that the backend does not take is made of.
const WRONG: &str = "!";

fn is_wrong(request: &PublishRequest<Json>) -> bool {
    request.payload == Json::from(WRONG)
}

/// What a server is asked for by the calls that carry publications, answered by a backend that takes all but what is wrong.
struct Backend {
    /// By their keys, in the order in which they were stored.
    stored: Vec<String>,
    refusals: usize,
    calls: usize,
}

impl Backend {
    fn answer(&mut self, batch: &[PublishRequest<Json>]) -> UplinkAnswer<Json> {
        self.calls += 1;
        if batch.iter().any(is_wrong) {
            self.refusals += 1;
            return UplinkAnswer::Failed(UplinkFailure::Refused);
        }
        for request in batch {
            self.stored.push(request.id.clone().expect("it has a key"));
        }
        UplinkAnswer::Published(vec![Ok(Position::default()); batch.len()])
    }
}

proptest! {
    #[test]
    fn what_the_backend_does_not_take_is_refused_at_once_and_keeps_nobody_else_from_being_stored(
        are_wrong in prop::collection::vec(prop::bool::weighted(0.05), 1..600),
    ) {
        let mut hub: ServerHub<Json> = ServerHub::with_uplink(ServerConfig::new(1), UplinkConfig::new(1));
        let now = Instant::ZERO;
        hub.handle_timeout(now);
        for (number, is_wrong) in (0_u64..).zip(&are_wrong) {
            let text = if *is_wrong { WRONG } else { "x" };
            let request = PublishRequest::new(topic("job:1"), Json::from(text));
            let request = PublishRequest { id: Some(format!("{number:03}")), ..request };
            hub.handle_request(now, number, request);
        }
        let mut backend = Backend { stored: Vec::new(), refusals: 0, calls: 0 };
        let mut opened = 0;
        while let Some((id, call)) = hub.poll_call() {
            let answer = match call {
                UplinkCall::Publish(batch) => backend.answer(&batch),
                call => {
                    opened += usize::from(call == UplinkCall::Open);
                    UplinkAnswer::Done
                }
            };
            hub.handle_answer(now, id, answer);
        }
        let mut answers = BTreeMap::new();
        while let Some(answer) = hub.poll_answer() {
            let ServerAnswer::Published { ticket, result } = answer else {
                panic!("nobody has subscribed: {answer:?}");
            };
            prop_assert!(answers.insert(ticket, result).is_none(), "{} is told twice", ticket);
        }
        for (number, is_wrong) in (0_u64..).zip(&are_wrong) {
            let due = if *is_wrong { Err(PublishError::Refused) } else { Ok(Position::default()) };
            prop_assert_eq!(answers.get(&number), Some(&due), "publication {}", number);
        }
        // Each once, and in their order.
        let good = (0..are_wrong.len()).filter(|at| !are_wrong[*at]).map(|number| format!("{number:03}"));
        prop_assert_eq!(&backend.stored, &good.collect::<Vec<_>>());
        prop_assert_eq!(opened, 1, "the link stands");
        // Each halving of 512 is two calls, and one that is wrong is found by ten of them.
        let wrong = are_wrong.iter().filter(|is_wrong| **is_wrong).count();
        prop_assert!(backend.calls <= 2 + 20 * wrong, "{} calls for {wrong}", backend.calls);
        prop_assert!(backend.calls <= 2 * are_wrong.len(), "{} calls", backend.calls);
        prop_assert!(backend.refusals >= wrong);
    }
}
