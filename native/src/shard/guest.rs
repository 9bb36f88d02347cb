//! Who connects to a shard: what is known of them, and what is found out by their first frame.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::SystemTime;

use futures_util::FutureExt as _;
use tidegate_core::access::Grant;
use tidegate_core::durable::DurableName;
use tidegate_core::hub::ConnectionId;
use tidegate_core::protocol::{ErrorCode, WireError};
use tidegate_core::session::Access;
use tidegate_core::time::Instant;
use tokio::runtime::Handle;

use super::{Command, EndpointKind, Shard};
use crate::access::{Known, Pass, Refused};
use crate::auth::{AuthError, Authenticating, Credentials, Identity};

/// Whoever connects.
pub(crate) struct Guest {
    pub(crate) known: Known,
    pub(crate) pass: Pass,
    /// Whether the client understands compressed messages.
    pub(crate) deflates: bool,
    /// Whether they are welcomed before they have said anything.
    pub(crate) is_welcome: bool,
    /// By which name the server remembers what they have of their room.
    pub(crate) device: Option<DurableName>,
    /// Where questions about them are asked that take time.
    pub(crate) runtime: Handle,
}

impl Guest {
    pub(super) fn access(&self, now: Instant) -> Access {
        match &self.known {
            Known::Anyone(grant) => Access::open(grant.clone()),
            Known::Someone(identity) => Access::known(grant(now, identity.clone())),
            Known::Nobody => Access::asked(),
        }
    }
}

fn grant(now: Instant, identity: Identity) -> Arc<Grant> {
    Arc::new(identity.into_grant((now, SystemTime::now())))
}

impl Shard {
    /// Asks about the tokens that clients have shown; most answers are there at once. Returns whether any was.
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
            if let Some(answer) = pass.door().ask(shown) {
                is_answered |= self.wait_for(id, answer);
            }
        }
        is_answered
    }

    /// Takes the answer if it is there, or has it waited for elsewhere. What an application's own rule does to itself
    /// must not end this thread.
    fn wait_for(&mut self, id: ConnectionId, answer: Authenticating<'static>) -> bool {
        let Some(runtime) = &self.runtime else {
            return false;
        };
        let _entered = runtime.enter();
        let mut answer = Box::pin(AssertUnwindSafe(answer).catch_unwind().map(|answer| {
            let broke = |_| {
                Err(AuthError::Unavailable(
                    "whoever was asked broke down".into(),
                ))
            };
            answer.unwrap_or_else(broke)
        }));
        match answer
            .as_mut()
            .poll_unpin(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(known) => {
                self.handle_known(id, known);
                true
            }
            Poll::Pending => {
                let sender = self.sender.clone();
                runtime.spawn(async move {
                    // A shard that has stopped has nobody left to let in.
                    let _ = sender.send(Command::Authenticated(id, answer.await));
                });
                false
            }
        }
    }

    /// It was found out who a client is, or that they are nobody.
    pub(super) fn handle_known(&mut self, id: ConnectionId, known: Result<Identity, AuthError>) {
        let now = self.now();
        let result = match known {
            Ok(identity) => self.identified(id, grant(now, identity)),
            Err(error) => {
                tracing::debug!(%error, "a client is not let in");
                if let Some(pass) = self.pass(id) {
                    pass.door().count_refusal(Refused::Token);
                }
                Err(error.to_wire())
            }
        };
        self.hub.handle_authenticated(now, id, result);
        // While it was looked at, nothing was read.
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
