//! Servers that lose touch with their backend: each client knows whether its own has.

use std::sync::Arc;

use proptest::prelude::*;
use tidegate_core::access::Grant;
use tidegate_core::protocol::{ClientFrame, ErrorCode, ServerFrame, WireError};
use tidegate_core::session::{Access, Session, SessionConfig, SessionOutput};
use tidegate_core::time::Instant;
use tidegate_tests::json::Json;
use tidegate_tests::{ms, secs};

#[derive(Clone, Debug)]
enum Step {
    /// Touch is lost, or found again.
    Turn,
    Hello,
    Ping,
    /// What its token is worth.
    Answer(bool),
    Drain,
    Pass(u64),
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Turn),
        4 => Just(Step::Hello),
        4 => Just(Step::Ping),
        4 => prop::bool::weighted(0.8).prop_map(Step::Answer),
        1 => Just(Step::Drain),
        4 => (0..15_000_u64).prop_map(Step::Pass),
    ]
}

/// What the client of a session knows.
#[derive(Default)]
struct Client {
    /// Whether its server has lost touch. Nothing before it is welcomed, or where it is sent away first.
    knows: Option<bool>,
    is_sent_away: bool,
}

impl Client {
    fn hear(&mut self, frame: &ServerFrame<Json>) {
        match frame {
            ServerFrame::Welcome { .. } if !self.is_sent_away => {
                self.knows.get_or_insert(false);
            }
            ServerFrame::Drain { .. } => self.is_sent_away = true,
            ServerFrame::Stale => self.turn(true),
            ServerFrame::Live => self.turn(false),
            _ => {}
        }
    }

    fn turn(&mut self, is_stale: bool) {
        if let Some(before) = self.knows.replace(is_stale).filter(|_| !self.is_sent_away) {
            assert_ne!(before, is_stale, "it is told twice");
        }
    }
}

proptest! {
    #[test]
    fn a_client_that_is_welcome_knows_whether_its_server_is_in_touch(
        is_known in any::<bool>(),
        steps in prop::collection::vec(any_step(), 1..40),
    ) {
        let grant = || Arc::new(Grant::everything());
        let access = if is_known { Access::known(grant()) } else { Access::asked() };
        let mut now = Instant::ZERO;
        let mut session: Session<Json> = Session::with_access(now, SessionConfig::default(), &access);
        let (mut is_stale, mut client) = (false, Client::default());
        for step in steps {
            match step {
                Step::Turn => {
                    is_stale = !is_stale;
                    session.handle_stale(is_stale);
                }
                Step::Hello => {
                    let (token, client, group) = (Some("token".to_owned()), None, None);
                    session.handle_frame(now, ClientFrame::Hello { token, client, group });
                }
                Step::Ping => session.handle_frame(now, ClientFrame::Ping),
                Step::Answer(true) => session.handle_authenticated(now, Ok(grant())),
                Step::Answer(false) => {
                    let error = WireError::new(ErrorCode::Unauthorized, "who?");
                    session.handle_authenticated(now, Err(error));
                }
                Step::Drain => session.handle_drain(now, secs(5)),
                Step::Pass(millis) => {
                    now = now + ms(millis);
                    session.handle_timeout(now);
                }
            }
            while let Some(output) = session.poll_output() {
                if let SessionOutput::Send(frame) = output {
                    client.hear(&frame);
                }
            }
            if !session.is_closed() && let Some(knows) = client.knows {
                prop_assert_eq!(knows, is_stale);
            }
        }
    }
}
