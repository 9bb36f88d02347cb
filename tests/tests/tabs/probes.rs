//! Tabs that ask whether their leader is alive: the answer comes from the server, which is not to be asked too often.

use proptest::prelude::*;
use tidegate_core::protocol::{ClientFrame, ServerFrame};
use tidegate_core::tabs::{Body, Message, TABS_VERSION, TabId, TabsOutput};
use tidegate_core::time::Instant;
use tidegate_tests::{at, ms, secs};

use crate::superseded::{leading, outputs};

proptest! {
    #[test]
    fn the_server_is_asked_once_a_second_at_most_however_many_tabs_ask(
        asks in prop::collection::vec((prop_oneof![Just(1_000), 0..1_500_u64], 10..14_u64), 1..30),
    ) {
        let mut now = at(1);
        let (mut hub, _) = leading(now);
        let mut asked: Option<Instant> = None;
        for (wait, tab) in asks {
            now = now + ms(wait);
            let probe = Message {
                version: TABS_VERSION,
                from: TabId(tab),
                to: None,
                term: hub.tabs().term(),
                body: Body::Probe { is_visible: true },
            };
            hub.handle_message(now, probe);
            let is_ping = |output: &TabsOutput<_>| matches!(output, TabsOutput::SendUplink(ClientFrame::Ping));
            let pings = outputs(&mut hub).iter().filter(|output| is_ping(output)).count();
            let is_due = asked.is_none_or(|before| now - before >= secs(1));
            prop_assert_eq!(pings, usize::from(is_due), "at {:?}", now);
            if is_due {
                asked = Some(now);
                hub.handle_uplink_frame(now, 1, ServerFrame::Pong);
                outputs(&mut hub);
            }
        }
    }
}
