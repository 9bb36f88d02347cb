//! A page's or a program's hub whose uplink is one connection to a server.
//!
//! JavaScript opens and closes the transport when told, and hands over what comes: publications as
//! numbers, all other frames as their members. Everything else is decided here.

mod output;

use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;

use slab::Slab;
use tidegate_core::client::ClientConfig;
use tidegate_core::hub::ClientOutput;
use tidegate_core::protocol::{PublishRequest, ServerFrame};
use tidegate_core::publication::Publication;
use tidegate_core::time::Instant;
use tidegate_core::topic::Pattern;

use crate::AnyHub;
use crate::clock::{deadline_ms, instant};
use crate::due::{self, PacedBy, SubscriptionIds};
use crate::errors::{bad_flow, number_or_failed};
use crate::exports::exports;
use crate::frames::{self, Incoming};
use crate::records::{self, end_of, position};
use crate::screen::{self, Screen};
use crate::single::Single;
use crate::slot::Handle;
use crate::spec::{self, Wanted};
use crate::{presence, texts, topics};

/// Everything in a page subscribes as one downlink, but for what is paced by frames.
const DOWNLINK: u32 = 0;

pub(crate) static CLIENTS: Single<Slab<ClientHub>> = Single::new(Slab::new());

/// A hub that has not been asked to connect; returns its number. `seed` is any number; give each hub another one.
#[unsafe(no_mangle)]
extern "C" fn client_new(seed: f64, token: u32, name: u32) -> u32 {
    add(AnyHub::new(config(seed, token, name)))
}

pub(crate) fn config(seed: f64, token: u32, name: u32) -> ClientConfig {
    ClientConfig {
        token: texts::take_optional(token),
        name: texts::take_optional(name),
        ..ClientConfig::new(seed.to_bits())
    }
}

pub(crate) fn add(hub: AnyHub) -> u32 {
    let client = CLIENTS.borrow().insert(ClientHub::with_hub(hub));
    u32::try_from(client).expect("fewer than 2^32 hubs fit into this memory")
}

/// Frees what a hub holds; its number may be given again.
#[unsafe(no_mangle)]
extern "C" fn client_free(client: u32) {
    CLIENTS.borrow().try_remove(client as usize);
}

exports! { CLIENTS:
    client_handle_connect = handle_connect(now_ms: f64) -> u32;
    client_handle_disconnect = handle_disconnect(now_ms: f64) -> u32;
    client_handle_opened = handle_opened(now_ms: f64, link: u32) -> u32;
    client_handle_closed = handle_closed(now_ms: f64, link: u32) -> u32;
    client_handle_frame = handle_frame(
        now_ms: f64, link: u32, kind: u32, about: u32, via: u32, message: u32,
        epoch: f64, offset: f64, number: f64, is_set: bool
    ) -> u32;
    client_intern_pattern = intern_pattern(text: u32) -> u32;
    client_forget_patterns = forget_patterns();
    client_handle_publication = handle_publication(
        now_ms: f64, link: u32, via: u32, topic: u32, epoch: f64, offset: f64, end: u32, slot: u32
    ) -> u32;
    client_add_to_batch = add_to_batch(topic: u32, epoch: f64, offset: f64, end: u32, slot: u32);
    client_drop_batch = drop_batch();
    client_handle_batch = handle_batch(now_ms: f64, link: u32, via: u32) -> u32;
    client_handle_subscribe = handle_subscribe(now_ms: f64, pattern: u32, start: u32) -> u32;
    client_handle_unsubscribe = handle_unsubscribe(now_ms: f64, subscription: u32) -> u32;
    client_handle_flow = handle_flow(now_ms: f64, subscription: u32) -> u32;
    client_handle_publish = handle_publish(
        now_ms: f64, topic: u32, slot: u32, end: u32, id: u32, restart: bool
    ) -> f64;
    client_handle_timeout = handle_timeout(now_ms: f64) -> u32;
    client_drain = drain() -> u32;
    client_poll_timeout = poll_timeout() -> f64;
    client_handle_tick = handle_tick(now_ms: f64) -> u32;
    client_wants_tick = wants_tick() -> bool;
}

/// A hub that follows one server.
#[derive(Debug)]
pub(crate) struct ClientHub {
    pub(crate) hub: AnyHub,
    ids: SubscriptionIds,
    /// Wildcard patterns that the server named, under their numbers from 1.
    patterns: Vec<Pattern>,
    batch: Vec<Arc<Publication<Handle>>>,
    pub(crate) staged: presence::Staged,
    screen: Screen,
    /// When something was last asked of the hub by a call that leaves what is due to `drain`.
    now: Instant,
}

impl ClientHub {
    /// A connection is wanted.
    fn handle_connect(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_connect(instant(now_ms)))
    }

    /// No connection is wanted any more.
    fn handle_disconnect(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_disconnect(instant(now_ms)))
    }

    /// The transport `link` is open.
    fn handle_opened(&mut self, now_ms: f64, link: u32) -> u32 {
        self.with(|hub| hub.handle_opened(instant(now_ms), link))
    }

    /// The transport `link` is closed, or could not be opened.
    fn handle_closed(&mut self, now_ms: f64, link: u32) -> u32 {
        self.with(|hub| hub.handle_closed(instant(now_ms), link))
    }

    /// A frame that carries no publication, or fails with what is wrong with it. Its members are those of
    /// [`Incoming`].
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    fn handle_frame(
        &mut self,
        now_ms: f64,
        link: u32,
        kind: u32,
        about: u32,
        via: u32,
        message: u32,
        epoch: f64,
        offset: f64,
        number: f64,
        is_set: bool,
    ) -> u32 {
        let frame = frames::server_frame(&Incoming {
            kind,
            about: &texts::take(about),
            via: &texts::take(via),
            message: &texts::take(message),
            epoch,
            offset,
            number,
            is_set,
        });
        number_or_failed(
            frame.map(|frame| self.with(|hub| hub.handle_frame(instant(now_ms), link, frame))),
        )
    }

    /// The number of a wildcard pattern that the server named and JavaScript knows no number for. Fails where the
    /// text is no pattern.
    fn intern_pattern(&mut self, text: u32) -> u32 {
        number_or_failed(spec::pattern(&texts::take(text)).map(|pattern| {
            self.patterns.push(pattern);
            u32::try_from(self.patterns.len()).expect("patterns fit into this memory")
        }))
    }

    /// Forgets the numbers of all patterns.
    fn forget_patterns(&mut self) {
        self.patterns.clear();
    }

    /// A publication came; `via` is the number of its wildcard pattern, or 0.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    fn handle_publication(
        &mut self,
        now_ms: f64,
        link: u32,
        via: u32,
        topic: u32,
        epoch: f64,
        offset: f64,
        end: u32,
        slot: u32,
    ) -> u32 {
        let frame = ServerFrame::Publication {
            publication: publication(topic, epoch, offset, end, slot),
            via: self.pattern(via),
        };
        self.with(|hub| hub.handle_frame(instant(now_ms), link, frame))
    }

    /// Adds a publication to the batch that the next `handle_batch` hands over.
    fn add_to_batch(&mut self, topic: u32, epoch: f64, offset: f64, end: u32, slot: u32) {
        self.batch
            .push(publication(topic, epoch, offset, end, slot));
    }

    /// Forgets the batch that is being added to: one of its publications was not sound.
    fn drop_batch(&mut self) {
        self.batch.clear();
    }

    /// A batch came, by the wildcard pattern with the number `via`, or by a topic's own subscription if that is 0.
    fn handle_batch(&mut self, now_ms: f64, link: u32, via: u32) -> u32 {
        let frame = ServerFrame::Batch {
            items: core::mem::take(&mut self.batch),
            via: self.pattern(via),
        };
        self.with(|hub| hub.handle_frame(instant(now_ms), link, frame))
    }

    fn pattern(&self, number: u32) -> Option<Pattern> {
        let index = (number as usize).checked_sub(1)?;
        self.patterns.get(index).cloned()
    }

    /// Subscribes as was staged, and returns the subscription's number or fails. What becomes due by that comes by
    /// `drain`.
    fn handle_subscribe(&mut self, now_ms: f64, pattern: u32, start: u32) -> u32 {
        let subscribed = spec::take(&texts::take(pattern), start).and_then(|wanted| {
            let Wanted {
                pattern,
                flow,
                paced_by,
                start,
            } = wanted;
            let id = match paced_by {
                PacedBy::Time => {
                    self.hub
                        .handle_subscribe(instant(now_ms), DOWNLINK, &pattern, flow, start)
                }
                PacedBy::Frames => self.screen.handle_subscribe(&pattern, flow, start),
            };
            id.map(|id| self.ids.add(id, paced_by))
                .map_err(|error| error.to_wire())
        });
        self.now = instant(now_ms);
        number_or_failed(subscribed)
    }

    /// Ends a subscription at its subscriber's request.
    fn handle_unsubscribe(&mut self, now_ms: f64, subscription: u32) -> u32 {
        self.now = instant(now_ms);
        match (self.ids.get(subscription), PacedBy::of(subscription)) {
            (Some(id), PacedBy::Time) => self.hub.handle_unsubscribe(self.now, id),
            (Some(id), PacedBy::Frames) => self.screen.handle_unsubscribe(id),
            (None, _) => {}
        }
        self.drain()
    }

    /// Changes a subscription's flow to the staged one, or fails. What becomes due by that comes by `drain`.
    fn handle_flow(&mut self, now_ms: f64, subscription: u32) -> u32 {
        self.now = instant(now_ms);
        let paced_by = PacedBy::of(subscription);
        let changed = spec::take_flow(paced_by).and_then(|flow| {
            let changed = match (self.ids.get(subscription), paced_by) {
                (Some(id), PacedBy::Time) => self.hub.handle_flow(self.now, id, flow),
                (Some(id), PacedBy::Frames) => self.screen.handle_flow(id, flow),
                (None, _) => Ok(()),
            };
            changed.map_err(|error| bad_flow(error.to_string()))
        });
        number_or_failed(changed.map(|()| 0))
    }

    /// Publishes what is in `slot`, and returns the number of the request. Its outcome is among the records
    /// of a later call, or of `drain`.
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
            end: end_of(end),
            id: texts::take_optional(id),
            restart,
        };
        self.hub.handle_publish(instant(now_ms), request) as f64
    }

    /// Emits what is due.
    fn handle_timeout(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_timeout(instant(now_ms)))
    }

    /// Records what is due after a call that returns something else.
    fn drain(&mut self) -> u32 {
        records::begin();
        self.push_outputs();
        records::finish()
    }

    /// When to call `handle_timeout`, in the host's milliseconds; infinity for never.
    fn poll_timeout(&self) -> f64 {
        deadline_ms(self.hub.poll_timeout())
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

    pub(crate) fn with(&mut self, handle: impl FnOnce(&mut AnyHub)) -> u32 {
        handle(&mut self.hub);
        self.drain()
    }

    fn push_outputs(&mut self) {
        loop {
            if let Some(output) = self.hub.poll_output() {
                match output {
                    ClientOutput::Due(due) if due::downlink(&due) == screen::DOWNLINK => {
                        self.screen.handle_due(due);
                    }
                    output => output::push(&self.hub, output),
                }
            } else if let Some(due) = self.screen.poll_due(self.now, &mut self.hub) {
                due::push(&due, PacedBy::Frames);
            } else {
                return;
            }
        }
    }
}

impl ClientHub {
    pub(crate) fn with_hub(hub: AnyHub) -> Self {
        Self {
            hub,
            ids: SubscriptionIds::default(),
            patterns: Vec::new(),
            batch: Vec::new(),
            staged: presence::Staged::default(),
            screen: Screen::new(),
            now: Instant::ZERO,
        }
    }
}

fn publication(
    topic: u32,
    epoch: f64,
    offset: f64,
    end: u32,
    slot: u32,
) -> Arc<Publication<Handle>> {
    Arc::new(Publication {
        topic: topics::topic(topic),
        position: position(epoch, offset),
        payload: Handle::new(slot, topic),
        end: end_of(end),
    })
}
