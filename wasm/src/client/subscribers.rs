//! Subscribing, publishing and tokens of a client's hub: the calls that a worker does not need.

use tidegate_core::hub::ClientOutput;
use tidegate_core::protocol::{MessageRoom, PublishRequest};
use tidegate_core::time::Instant;

use super::{CLIENTS, ClientHub, output};
use crate::clock::{deadline_ms, instant};
use crate::due::{self, PacedBy, SubscriptionIds};
use crate::errors::{bad_flow, number_or_failed};
use crate::exports::exports;
use crate::records::{self, Record, position, stated_end_of};
use crate::screen::{self, Screen};
use crate::slot::Handle;
use crate::spec::{self, Wanted};
use crate::{texts, topics};

/// All subscriptions of a page share one downlink, except those paced by frames.
const DOWNLINK: u32 = 0;

exports! { CLIENTS:
    client_handle_token = handle_token(now_ms: f64, request: u32, token: u32) -> u32;
    client_handle_subscribe = handle_subscribe(now_ms: f64, pattern: u32, start: u32) -> u32;
    client_handle_unsubscribe = handle_unsubscribe(now_ms: f64, subscription: u32) -> u32;
    client_handle_handled = handle_handled(
        now_ms: f64, subscription: u32, topic: u32, epoch: f64, offset: f64
    ) -> u32;
    client_handle_forget = handle_forget(now_ms: f64, subscription: u32) -> u32;
    client_handle_flow = handle_flow(now_ms: f64, subscription: u32) -> u32;
    client_handle_publish = handle_publish(
        now_ms: f64, topic: u32, slot: u32, end: u32, id: u32, restart: bool
    ) -> f64;
    client_handle_handed = handle_handed(heard_ms: f64, topic: u32, epoch: f64, offset: f64, slot: u32);
    client_handle_tick = handle_tick(now_ms: f64) -> u32;
    client_wants_tick = wants_tick() -> bool;
}

/// The subscriptions of a client's hub.
#[derive(Debug)]
pub(super) struct Subscribers {
    pub(super) ids: SubscriptionIds,
    pub(super) screen: Screen,
    /// The time of the last call that left its outputs to `drain`.
    now: Instant,
    /// The hub's count of changes that end licences, when it was last read.
    changes: u64,
}

impl Subscribers {
    pub(super) fn new() -> Self {
        Self {
            ids: SubscriptionIds::default(),
            screen: Screen::new(),
            now: Instant::ZERO,
            changes: 0,
        }
    }
}

impl ClientHub {
    /// Answers the request for a token with this number; an absent text means that there is none.
    fn handle_token(&mut self, now_ms: f64, request: u32, token: u32) -> u32 {
        let token = texts::take_optional(token);
        self.with(|hub| hub.handle_token(instant(now_ms), request, token))
    }

    /// Subscribes as staged, and returns the subscription's number or fails. Its outputs are left to `drain`.
    fn handle_subscribe(&mut self, now_ms: f64, pattern: u32, start: u32) -> u32 {
        let subscribed = spec::take(&texts::take(pattern), start).and_then(|wanted| {
            let Wanted { request, paced_by } = wanted;
            let id = match paced_by {
                PacedBy::Time => self
                    .hub
                    .handle_subscribe(instant(now_ms), DOWNLINK, request),
                PacedBy::Frames => self.subscribers.screen.handle_subscribe(request),
            };
            id.map(|id| self.subscribers.ids.add(id, paced_by))
                .map_err(|error| error.to_wire())
        });
        self.subscribers.now = instant(now_ms);
        number_or_failed(subscribed)
    }

    /// Ends a subscription at its subscriber's request.
    fn handle_unsubscribe(&mut self, now_ms: f64, subscription: u32) -> u32 {
        self.subscribers.now = instant(now_ms);
        match (
            self.subscribers.ids.get(subscription),
            PacedBy::of(subscription),
        ) {
            (Some(id), PacedBy::Time) => self.hub.handle_unsubscribe(self.subscribers.now, id),
            (Some(id), PacedBy::Frames) => self.subscribers.screen.handle_unsubscribe(id),
            (None, _) => {}
        }
        self.drain()
    }

    /// The handler of a durable subscription has processed a publication.
    fn handle_handled(
        &mut self,
        now_ms: f64,
        subscription: u32,
        topic: u32,
        epoch: f64,
        offset: f64,
    ) -> u32 {
        self.subscribers.now = instant(now_ms);
        let id = self.subscribers.ids.get(subscription);
        if let (Some(id), PacedBy::Time) = (id, PacedBy::of(subscription)) {
            let position = position(epoch, offset);
            let topic = topics::topic(topic);
            self.hub
                .handle_handled(self.subscribers.now, id, &topic, position);
        }
        self.drain()
    }

    /// Ends a durable subscription, and makes the server forget it.
    fn handle_forget(&mut self, now_ms: f64, subscription: u32) -> u32 {
        self.subscribers.now = instant(now_ms);
        let id = self.subscribers.ids.get(subscription);
        if let (Some(id), PacedBy::Time) = (id, PacedBy::of(subscription)) {
            self.hub.handle_forget(self.subscribers.now, id);
        }
        self.drain()
    }

    /// Changes a subscription's flow to the staged one, or fails. Its outputs are left to `drain`.
    fn handle_flow(&mut self, now_ms: f64, subscription: u32) -> u32 {
        self.subscribers.now = instant(now_ms);
        let paced_by = PacedBy::of(subscription);
        let changed = spec::take_flow(paced_by).and_then(|flow| {
            let changed = match (self.subscribers.ids.get(subscription), paced_by) {
                (Some(id), PacedBy::Time) => self.hub.handle_flow(self.subscribers.now, id, flow),
                (Some(id), PacedBy::Frames) => self.subscribers.screen.handle_flow(id, flow),
                (None, _) => Ok(()),
            };
            changed.map_err(|error| bad_flow(error.message()))
        });
        number_or_failed(changed.map(|()| 0))
    }

    /// Publishes the payload in `slot`, and returns the number of the request. Its outcome is recorded by a later call,
    /// or by `drain`.
    #[expect(clippy::cast_precision_loss, reason = "requests stay below 2^53")]
    fn handle_publish(
        &mut self,
        now_ms: f64,
        topic: u32,
        slot: u32,
        end: u32,
        id: u32,
        restart: bool,
    ) -> f64 {
        let request = PublishRequest {
            topic: topics::topic(topic),
            payload: Handle::new(slot, topic),
            end: stated_end_of(end),
            id: texts::take_optional(id),
            restart,
        };
        self.hub.handle_publish(instant(now_ms), request) as f64
    }

    /// Publications of a topic were handed on under its licence, up to this one. One of those handed on since the last
    /// report arrived at `heard_ms`.
    fn handle_handed(&mut self, heard_ms: f64, topic: u32, epoch: f64, offset: f64, slot: u32) {
        let publication = super::publication(topic, epoch, offset, 0, slot);
        self.hub.handle_handed(instant(heard_ms), &publication);
    }

    /// Records the licence for a topic, if there is one. There is none while a screen is used: the hub doesn't know the
    /// screen's subscriptions.
    pub(super) fn push_licence(&self, topic: u32) {
        if !self.subscribers.screen.is_used() && self.hub.has_licence(&topics::topic(topic)) {
            records::push(Record::Licensed {
                kept: 1,
                until_ms: deadline_ms(None),
            });
        }
    }

    /// A frame of the screen is drawn.
    fn handle_tick(&mut self, now_ms: f64) -> u32 {
        self.subscribers.now = instant(now_ms);
        self.subscribers.screen.handle_tick();
        self.drain()
    }

    /// Whether `handle_tick` is to be called with the next frame.
    fn wants_tick(&self) -> bool {
        self.subscribers.screen.wants_tick()
    }

    pub(super) fn push_outputs(&mut self) {
        let mut room = MessageRoom::new();
        loop {
            if let Some(output) = self.hub.poll_output() {
                match output {
                    ClientOutput::Due(due) if due::downlink(&due) == screen::DOWNLINK => {
                        self.subscribers.screen.handle_due(due);
                    }
                    output => output::push(&self.hub, output, &mut room),
                }
            } else if let Some(due) = self
                .subscribers
                .screen
                .poll_due(self.subscribers.now, &mut self.hub)
            {
                due::push(&due, PacedBy::Frames);
            } else {
                break;
            }
        }
        let changes = self.hub.changes();
        if self.subscribers.changes != changes {
            self.subscribers.changes = changes;
            records::push(Record::LicencesEnded);
        }
    }
}
