//! The way to topics in this process: no thread, no waiting.

use std::sync::Arc;

use futures_util::FutureExt as _;
use tidegate_core::uplink::{UplinkAnswer, UplinkCall, UplinkFailure};
use tokio::sync::watch;

use super::calls::carry_out;
use super::heard::Heard;
use super::reach::{Reach, Siblings};
use super::{Uplink, Way};
use crate::backend::{Backend as _, BackendError, Memory};
use crate::json::Json;
use crate::shard::{CommandSender, PresenceCommand};

pub(super) struct Here {
    topics: Memory,
    heard: Arc<Heard>,
    commands: CommandSender,
    _alive: watch::Sender<()>,
}

impl Uplink {
    /// The way from the shard behind `commands` to topics of the same process. `alive` goes with it.
    pub(crate) fn here(topics: Memory, commands: CommandSender, alive: watch::Sender<()>) -> Self {
        let siblings = Arc::new(Siblings::new(topics.describe(), 1));
        let heard = Arc::new(Heard::new(Reach::of(&siblings)));
        let here = Here {
            topics,
            heard: Arc::clone(&heard),
            commands,
            _alive: alive,
        };
        Self {
            way: Way::Here(here),
            heard,
        }
    }
}

impl Here {
    pub(super) fn answer(&self, call: UplinkCall<Json>) -> UplinkAnswer<Json> {
        let is_opening = matches!(call, UplinkCall::Open);
        let feed = || {
            // Nothing is ever given up: there is no waiting.
            let given_up = || BackendError::Closed {
                backend: self.topics.describe(),
            };
            let link = self.heard.reach.opening(given_up);
            self.heard.feed(link, self.commands.clone(), true)
        };
        let answer = carry_out(&self.topics, call, feed).now_or_never();
        if is_opening {
            // The shard itself asks.
            let _ = self.commands.send(PresenceCommand::Linked.into());
        }
        match answer {
            Some(Ok(answer)) => answer,
            // Neither happens: memory answers at once, and is open from the first call on.
            Some(Err(_)) | None => UplinkAnswer::Failed(UplinkFailure::Lost),
        }
    }

    pub(super) fn broadcast(&self, message: &str) {
        // What is lost is asked for again.
        let _ = self.topics.broadcast(message).now_or_never();
    }
}
