//! Pub/sub within a page or a program: a hub that owns its topics, without a server.

use tidegate_core::hub::{Hub, HubConfig};
use tidegate_core::lifecycle::{EndReason, StatedEnd, TerminalRule};
use tidegate_core::protocol::PublishRequest;
use tidegate_core::time::Instant;

use crate::clock::{deadline_ms, instant};
use crate::due::{self, PacedBy, SubscriptionIds};
use crate::errors::{bad_flow, number_or_failed, push_publish_failure};
use crate::exports::exports;
use crate::machines::Machines;
use crate::records::{self, Record, position, stated_end_of};
use crate::screen::{self, Screen};
use crate::slot::Handle;
use crate::spec::{self, Wanted};
use crate::{texts, topics};

/// All subscriptions of a page share one downlink, except those paced by frames.
const DOWNLINK: u32 = 0;

static HUBS: Machines<LocalHub> = Machines::new();

/// Makes a hub whose topics keep `kept` publications each; returns its number. `seed` is any number, different for each
/// hub.
#[unsafe(no_mangle)]
extern "C" fn hub_new(seed: f64, kept: u32) -> u32 {
    let mut config = HubConfig::new(seed.to_bits());
    config.history.count_max = kept as usize;
    let hub = LocalHub {
        hub: Hub::new(config),
        ids: SubscriptionIds::default(),
        screen: Screen::new(),
        now: Instant::ZERO,
        changes: 0,
    };
    // SAFETY: this exported function uses no hub.
    unsafe { HUBS.add(hub) }
}

/// Frees what a hub holds; its number may be given again.
#[unsafe(no_mangle)]
extern "C" fn hub_free(hub: u32) {
    // SAFETY: this exported function uses no hub.
    unsafe { HUBS.free(hub) }
}

exports! { HUBS:
    hub_terminal_field = terminal_field();
    hub_handle_publish = handle_publish(
        now_ms: f64, topic: u32, slot: u32, end: u32, status: u32, id: u32, restart: bool
    ) -> u32;
    hub_handle_handed = handle_handed(at_ms: f64, topic: u32, offset: f64, slot: u32, is_last: bool);
    hub_handle_subscribe = handle_subscribe(now_ms: f64, pattern: u32, start: u32) -> u32;
    hub_handle_unsubscribe = handle_unsubscribe(subscription: u32) -> u32;
    hub_handle_flow = handle_flow(now_ms: f64, subscription: u32) -> u32;
    hub_handle_tick = handle_tick(now_ms: f64) -> u32;
    hub_wants_tick = wants_tick() -> bool;
    hub_handle_timeout = handle_timeout(now_ms: f64) -> u32;
    hub_drain = drain() -> u32;
    hub_poll_timeout = poll_timeout() -> f64;
    hub_is_holding = is_holding() -> bool;
}

/// A hub that owns its topics.
#[derive(Debug)]
struct LocalHub {
    hub: Hub<Handle>,
    ids: SubscriptionIds,
    screen: Screen,
    /// The time of the last call.
    now: Instant,
    /// The hub's count of changes that end licences, when JavaScript was last told.
    changes: u64,
}

impl LocalHub {
    /// Leaves the name of the payload's member that the terminal rule reads as text; nothing if there is no rule.
    fn terminal_field(&self) {
        records::begin();
        let rule = self.hub.config().terminal_rule.as_ref();
        if let Some(field) = rule.map(TerminalRule::field) {
            records::add_text(field);
        }
    }

    /// Publishes the payload in `slot`. The first record is its position, or the note of a failure; the last one before
    /// the freed slots may be a licence to publish the ones that follow without asking.
    ///
    /// `status` is the member that the terminal rule reads, if the payload has it.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    fn handle_publish(
        &mut self,
        now_ms: f64,
        topic: u32,
        slot: u32,
        end: u32,
        status: u32,
        id: u32,
        restart: bool,
    ) -> u32 {
        let status = texts::take_optional(status);
        let request = PublishRequest {
            topic: topics::topic(topic),
            payload: Handle::new(slot, topic),
            end: stated_end_of(end).or_else(|| self.end_by_rule(&status?).map(StatedEnd::from)),
            id: texts::take_optional(id),
            restart,
        };
        let mut may_continue = request.id.is_none();
        records::begin();
        match self.hub.handle_publish(instant(now_ms), request) {
            Ok(position) => records::push(Record::Stored { position }),
            Err(error) => {
                may_continue = false;
                push_publish_failure(0, &error.to_wire());
            }
        }
        self.push_due();
        if may_continue {
            self.push_licence(topic);
        }
        records::finish()
    }

    /// Records the licence for a topic, if there is one. There is none while a screen is used: the hub doesn't know the
    /// screen's subscriptions.
    fn push_licence(&self, topic: u32) {
        if !self.screen.is_used()
            && let Some(licence) = self.hub.licence(&topics::topic(topic))
        {
            records::push(Record::Licensed {
                kept: licence.kept,
                until_ms: deadline_ms(licence.until),
            });
        }
    }

    /// The payload in `slot` was published under a licence at `at_ms`; with `is_last`, it was the last one.
    fn handle_handed(&mut self, at_ms: f64, topic: u32, offset: f64, slot: u32, is_last: bool) {
        let payload = Handle::new(slot, topic);
        let offset = position(0.0, offset).offset;
        let topic = topics::topic(topic);
        self.hub
            .handle_handed(instant(at_ms), &topic, offset, payload, is_last);
    }

    fn end_by_rule(&self, status: &str) -> Option<EndReason> {
        self.hub.config().terminal_rule.as_ref()?.reason(status)
    }

    /// Subscribes as staged, and returns the subscription's number or fails. Its outputs are left to `drain`.
    fn handle_subscribe(&mut self, now_ms: f64, pattern: u32, start: u32) -> u32 {
        self.now = instant(now_ms);
        let subscribed = spec::take(&texts::take(pattern), start).and_then(|wanted| {
            let Wanted { request, paced_by } = wanted;
            let id = match paced_by {
                PacedBy::Time => self
                    .hub
                    .handle_subscribe(self.now, DOWNLINK, &request)
                    .map(|subscribed| subscribed.id),
                PacedBy::Frames => self.screen.handle_subscribe(request),
            };
            id.map(|id| self.ids.add(id, paced_by))
                .map_err(|error| error.to_wire())
        });
        number_or_failed(subscribed)
    }

    /// Ends a subscription at its subscriber's request.
    fn handle_unsubscribe(&mut self, subscription: u32) -> u32 {
        match (self.ids.get(subscription), PacedBy::of(subscription)) {
            (Some(id), PacedBy::Time) => self.hub.handle_unsubscribe(id),
            (Some(id), PacedBy::Frames) => self.screen.handle_unsubscribe(id),
            (None, _) => {}
        }
        self.drain()
    }

    /// Changes a subscription's flow to the staged one, or fails. Its outputs are left to `drain`.
    fn handle_flow(&mut self, now_ms: f64, subscription: u32) -> u32 {
        self.now = instant(now_ms);
        let paced_by = PacedBy::of(subscription);
        let changed = spec::take_flow(paced_by).and_then(|flow| {
            let changed = match (self.ids.get(subscription), paced_by) {
                (Some(id), PacedBy::Time) => self.hub.handle_flow(self.now, id, flow),
                (Some(id), PacedBy::Frames) => self.screen.handle_flow(id, flow),
                (None, _) => Ok(()),
            };
            changed.map_err(|error| bad_flow(error.message()))
        });
        number_or_failed(changed.map(|()| 0))
    }

    /// A frame of the screen is drawn.
    fn handle_tick(&mut self, now_ms: f64) -> u32 {
        self.now = instant(now_ms);
        self.screen.handle_tick();
        self.drain()
    }

    /// Whether `handle_tick` is to be called with the next frame.
    fn wants_tick(&self) -> bool {
        self.screen.wants_tick()
    }

    /// Emits what is due.
    fn handle_timeout(&mut self, now_ms: f64) -> u32 {
        records::begin();
        self.hub.handle_timeout(instant(now_ms));
        self.finish()
    }

    /// Records the outputs of a call that returns something else.
    fn drain(&mut self) -> u32 {
        records::begin();
        self.finish()
    }

    /// When to call `handle_timeout`, in the host's milliseconds; infinity for never.
    fn poll_timeout(&self) -> f64 {
        deadline_ms(self.hub.poll_timeout())
    }

    /// Whether an update is held back for a subscriber.
    fn is_holding(&self) -> bool {
        self.hub.counts().gates > 0 || self.screen.wants_tick()
    }

    fn finish(&mut self) -> u32 {
        self.push_due();
        records::finish()
    }

    fn push_due(&mut self) {
        loop {
            if let Some(due) = self.hub.poll_output() {
                if due::downlink(&due) == screen::DOWNLINK {
                    self.screen.handle_due(due);
                } else {
                    due::push(&due, PacedBy::Time);
                }
            } else if let Some(due) = self.screen.poll_due(self.now, &mut self.hub) {
                due::push(&due, PacedBy::Frames);
            } else {
                break;
            }
        }
        let changes = self.hub.changes();
        if self.changes != changes {
            self.changes = changes;
            records::push(Record::LicencesEnded);
        }
    }
}
