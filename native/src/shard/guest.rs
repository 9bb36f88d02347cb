//! Clients that connect to a shard: what is known of them, and what is found out through their first frame.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Instant as HostInstant, SystemTime};

use futures_util::FutureExt as _;
use tidegate_core::access::Grant;
use tidegate_core::durable::DurableName;
use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::session::Access;
use tidegate_core::time::Instant;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;

use super::{Command, EndpointKind, Shard};
use crate::access::{Known, Pass, Refused};
use crate::auth::{AuthError, Authenticating, Credentials, Identity};

/// A client that connects.
pub(crate) struct Guest {
    pub(crate) known: Known,
    /// When it was asked who the client is.
    pub(crate) asked: HostInstant,
    pub(crate) pass: Pass,
    /// Whether the client supports compressed messages.
    pub(crate) deflates: bool,
    /// Whether the client is welcomed before it has sent anything.
    pub(crate) is_welcome: bool,
    /// The name under which the server remembers what the client has of its own room.
    pub(crate) device: Option<DurableName>,
    /// The runtime for questions about the client that take time.
    pub(crate) runtime: Handle,
}

/// Questions about clients that are being answered elsewhere. A question is dropped when its client has gone.
#[derive(Default)]
pub(super) struct Questions {
    asked: u64,
    open: BTreeMap<(ConnectionId, u64), AbortHandle>,
}

impl Questions {
    /// The name of the next question.
    const fn name(&mut self) -> u64 {
        self.asked += 1;
        self.asked
    }

    fn close(&mut self, id: ConnectionId, question: u64) {
        self.open.remove(&(id, question));
    }

    /// Drops the questions about a client that has gone.
    pub(super) fn drop_of(&mut self, id: ConnectionId) {
        let open = self.open.range((id, 0)..=(id, u64::MAX));
        let names: Vec<(ConnectionId, u64)> = open.map(|(name, _)| *name).collect();
        for name in names {
            if let Some(task) = self.open.remove(&name) {
                task.abort();
            }
        }
    }
}

impl Drop for Questions {
    fn drop(&mut self) {
        self.open.values().for_each(AbortHandle::abort);
    }
}

impl Guest {
    /// The access that follows from what has been known of the client since `asked`.
    pub(super) fn access(&self, now: Instant, asked: Instant) -> Access {
        match &self.known {
            Known::Anyone(grant) => Access::open(grant.clone()),
            Known::Someone(identity) => Access::known_since(grant(now, identity.clone()), asked),
            Known::Nobody => Access::asked(),
        }
    }
}

fn grant(now: Instant, identity: Identity) -> Arc<Grant> {
    Arc::new(identity.into_grant((now, SystemTime::now())))
}

impl Shard {
    /// Asks about the tokens that clients have presented. Some answers are there at once; returns whether any was.
    pub(super) fn look_at_tokens(&mut self) -> bool {
        let mut is_answered = false;
        while let Some((id, token)) = self.hub.poll_token() {
            let Some(pass) = self.pass(id) else {
                continue;
            };
            let shown = Credentials {
                token: Some(token),
                address: pass.address,
                ..Credentials::default()
            };
            let is_quick = pass.door().answers_at_once();
            if let Some(answer) = pass.door().ask(shown) {
                is_answered |= self.wait_for(id, answer, is_quick);
            }
        }
        is_answered
    }

    /// Takes the answer if it is there at once; otherwise a task waits for it. An application's own rule must not hold up this thread, which
    /// all its clients share.
    fn wait_for(
        &mut self,
        id: ConnectionId,
        mut answer: Authenticating<'static>,
        is_quick: bool,
    ) -> bool {
        let Some(runtime) = &self.runtime else {
            return false;
        };
        let _entered = runtime.enter();
        let mut at_once = Context::from_waker(Waker::noop());
        if is_quick && let Poll::Ready(known) = answer.poll_unpin(&mut at_once) {
            self.handle_known(id, known);
            return true;
        }
        let sender = self.sender.clone();
        let question = self.questions.name();
        let task = runtime.spawn(async move {
            let known = answer.await;
            // If the shard has stopped, the answer is of no use.
            let _ = sender.send(Command::Authenticated {
                id,
                question,
                known,
            });
        });
        let task = task.abort_handle();
        self.questions.open.insert((id, question), task);
        false
    }

    /// A question is answered that was not answered at once.
    pub(super) fn handle_answered(
        &mut self,
        id: ConnectionId,
        question: u64,
        known: Result<Identity, AuthError>,
    ) {
        self.questions.close(id, question);
        self.handle_known(id, known);
    }

    /// It is now known who a client is, or that it is refused.
    fn handle_known(&mut self, id: ConnectionId, known: Result<Identity, AuthError>) {
        let now = self.now();
        let result = match known {
            Ok(identity) => {
                if let Some(EndpointKind::Socket(socket)) =
                    self.endpoint(id).map(|endpoint| &mut endpoint.kind)
                {
                    socket.note_stranger(false);
                }
                self.identified(id, grant(now, identity))
            }
            Err(error) => {
                tracing::debug!(%error, "a client is not let in");
                if let Some(pass) = self.pass(id) {
                    pass.door().count_refusal(Refused::Token);
                }
                Err(error.to_wire())
            }
        };
        self.hub.handle_authenticated(now, id, result);
        // Nothing was read from the client meanwhile.
        self.unread.push(id);
    }

    fn identified(&mut self, id: ConnectionId, grant: Arc<Grant>) -> Result<Arc<Grant>, WireError> {
        let Some(pass) = self.pass(id) else {
            return Ok(grant);
        };
        match pass.identify(grant.user.as_ref()) {
            Ok(()) => Ok(grant),
            Err(refusal) => Err(WireError::new(
                ErrorCode::TooManyConnections,
                refusal.to_string(),
            )),
        }
    }

    fn pass(&mut self, id: ConnectionId) -> Option<&mut Pass> {
        match &mut self.endpoint(id)?.kind {
            EndpointKind::Socket(socket) => Some(socket.pass()),
            EndpointKind::Events(_) | EndpointKind::Local(_) => None,
        }
    }
}
