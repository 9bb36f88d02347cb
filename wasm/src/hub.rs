//! Pub/sub within a page or a program: a hub that owns its topics, without a server.

use alloc::borrow::ToOwned;
use alloc::string::{String, ToString};

use tidegate_core::hub::{Hub, HubConfig};
use tidegate_core::lifecycle::{EndReason, TerminalRule};
use tidegate_core::protocol::PublishRequest;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::clock::{deadline_ms, instant};
use crate::due::{self, SubscriptionIds};
use crate::errors::{bad_flow, number_or_failed, push_publish_failure};
use crate::records::{self, Record, end_of};
use crate::slot::Handle;
use crate::{spec, topics};

/// Everything in a page subscribes as one downlink.
const DOWNLINK: u32 = 0;

/// A hub that owns its topics.
#[wasm_bindgen]
#[derive(Debug)]
pub struct LocalHub {
    hub: Hub<Handle>,
    ids: SubscriptionIds,
}

#[wasm_bindgen]
impl LocalHub {
    /// An empty hub. `seed` is any number; give each hub another one.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: f64) -> Self {
        Self {
            hub: Hub::new(HubConfig::new(seed.to_bits())),
            ids: SubscriptionIds::default(),
        }
    }

    /// The member of payloads that the terminal rule reads; absent where there is no rule.
    pub fn terminal_field(&self) -> Option<String> {
        let rule = self.hub.config().terminal_rule.as_ref();
        rule.map(TerminalRule::field).map(ToOwned::to_owned)
    }

    /// Publishes what is in `slot`. The first record is the position, or the note of a failure.
    ///
    /// `status` is what the terminal rule reads, where the payload has it.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    pub fn handle_publish(
        &mut self,
        now_ms: f64,
        topic: u32,
        slot: u32,
        end: u32,
        status: Option<String>,
        id: Option<String>,
        restart: bool,
    ) -> u32 {
        records::begin();
        let request = PublishRequest {
            topic: topics::topic(topic),
            payload: Handle::new(slot, topic),
            end: end_of(end).or_else(|| self.end_by_rule(&status?)),
            id,
            restart,
        };
        match self.hub.handle_publish(instant(now_ms), request) {
            Ok(position) => records::push(Record::Published {
                request: 0,
                position,
            }),
            Err(error) => push_publish_failure(0, &error.to_wire()),
        }
        self.finish()
    }

    fn end_by_rule(&self, status: &str) -> Option<EndReason> {
        self.hub.config().terminal_rule.as_ref()?.reason(status)
    }

    /// Subscribes as was staged, and returns the subscription's number or fails. What it starts with comes by
    /// `drain`.
    pub fn handle_subscribe(&mut self, now_ms: f64, pattern: &str, start: u32) -> u32 {
        let subscribed = spec::take(pattern, start).and_then(|(pattern, flow, start)| {
            self.hub
                .handle_subscribe(instant(now_ms), DOWNLINK, &pattern, flow, &start)
                .map_err(|error| error.to_wire())
        });
        number_or_failed(subscribed.map(|subscribed| self.ids.add(subscribed.id)))
    }

    /// Ends a subscription at its subscriber's request.
    pub fn handle_unsubscribe(&mut self, subscription: u32) -> u32 {
        records::begin();
        if let Some(id) = self.ids.get(subscription) {
            self.hub.handle_unsubscribe(id);
        }
        self.finish()
    }

    /// Changes a subscription's flow to the staged one, or fails. What becomes due by that comes by `drain`.
    pub fn handle_flow(&mut self, now_ms: f64, subscription: u32) -> u32 {
        let changed = spec::take_flow().and_then(|flow| match self.ids.get(subscription) {
            Some(id) => self
                .hub
                .handle_flow(instant(now_ms), id, flow)
                .map_err(|error| bad_flow(error.to_string())),
            None => Ok(()),
        });
        number_or_failed(changed.map(|()| 0))
    }

    /// Emits what is due.
    pub fn handle_timeout(&mut self, now_ms: f64) -> u32 {
        records::begin();
        self.hub.handle_timeout(instant(now_ms));
        self.finish()
    }

    /// Records what is due after a call that returns something else.
    pub fn drain(&mut self) -> u32 {
        records::begin();
        self.finish()
    }

    /// When to call `handle_timeout`, in the host's milliseconds; infinity for never.
    pub fn poll_timeout(&self) -> f64 {
        deadline_ms(self.hub.poll_timeout())
    }

    /// Whether something is held back that a subscriber waits for.
    pub fn is_holding(&self) -> bool {
        self.hub.counts().gates > 0
    }

    fn finish(&mut self) -> u32 {
        while let Some(due) = self.hub.poll_output() {
            due::push(&due);
        }
        records::finish()
    }
}
