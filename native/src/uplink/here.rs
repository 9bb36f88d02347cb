//! The uplink to topics in this process, without a thread and without waiting.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkFailure};
use tokio::sync::watch;

use super::calls::carry_out;
use super::inbox::Inbox;
use super::reach::{Reach, Siblings};
use super::{Uplink, Way};
use crate::backend::{Backend as _, BackendError, Memory};
use crate::json::Json;
use crate::shard::{CommandSender, PresenceCommand};

pub(super) struct Here {
    topics: Memory,
    inbox: Arc<Inbox>,
    commands: CommandSender,
    _alive: watch::Sender<()>,
}

impl Uplink {
    /// An uplink from the shard behind `commands` to topics in the same process. `alive` is dropped with it.
    pub(crate) fn here(topics: Memory, commands: CommandSender, alive: watch::Sender<()>) -> Self {
        let siblings = Arc::new(Siblings::new(topics.describe(), 1));
        let inbox = Arc::new(Inbox::new(Reach::of(&siblings)));
        let here = Here {
            topics,
            inbox: Arc::clone(&inbox),
            commands,
            _alive: alive,
        };
        Self {
            way: Way::Here(here),
            inbox,
        }
    }
}

impl Here {
    pub(super) fn answer(&self, call: UplinkCall<Json>) -> UplinkAnswer<Json> {
        let is_opening = matches!(call, UplinkCall::Open);
        let feed = || {
            // Never called: nothing waits, so nothing is given up.
            let given_up = || BackendError::Closed {
                backend: self.topics.describe(),
            };
            let link = self.inbox.reach.opening(given_up);
            self.inbox.feed(link, self.commands.clone(), true)
        };
        let answer = carry_out(&self.topics, call, feed).now_or_never();
        if is_opening {
            // The shard itself makes this call, so it is there.
            let _ = self.commands.send(PresenceCommand::Linked.into());
        }
        match answer {
            Some(Ok(answer)) => answer,
            // Neither happens: the memory backend answers at once, and is open from the first call on.
            Some(Err(_)) | None => UplinkAnswer::Failed(UplinkFailure::Lost),
        }
    }

    pub(super) fn broadcast(&self, message: &str) {
        // What is lost is requested again.
        let _ = self.topics.broadcast(message).now_or_never();
    }
}
