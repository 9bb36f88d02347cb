//! A page's or a program's hub whose uplink is one connection to a server.
//!
//! JavaScript opens and closes the transport when told, and passes on what it receives: publications as numbers, all
//! other frames as their members. Everything else is decided here.

#[cfg(not(feature = "worker"))]
mod moving;
mod output;
#[cfg(not(feature = "worker"))]
mod subscribers;

use alloc::sync::Arc;
use alloc::vec::Vec;

use tidegate_core::client::{ClientConfig, TokenSource};
#[cfg(feature = "worker")]
use tidegate_core::protocol::MessageRoom;
use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::Publication;
#[cfg(not(feature = "worker"))]
use tidegate_core::time::Instant;
use tidegate_core::topic::Pattern;

use crate::AnyHub;
use crate::clock::{deadline_ms, instant};
use crate::errors::number_or_failed;
use crate::exports::exports;
use crate::frames::{self, Incoming};
use crate::machines::Machines;
use crate::records::{self, end_of, position};
use crate::slot::Handle;
use crate::{presence, spec, texts, topics};
#[cfg(not(feature = "worker"))]
use subscribers::Subscribers;

pub(crate) static CLIENTS: Machines<ClientHub> = Machines::new();

/// Makes a hub that does not connect until asked to; returns its number. `seed` is any number, different for each hub.
/// With `asks`, it asks for tokens.
#[cfg(not(any(feature = "follower", feature = "worker")))]
#[unsafe(no_mangle)]
extern "C" fn client_new(seed: f64, token: u32, asks: bool, name: u32) -> u32 {
    add(AnyHub::new(config(seed, token, asks, name)))
}

pub(crate) fn config(seed: f64, token: u32, asks: bool, name: u32) -> ClientConfig {
    let token = match texts::take_optional(token) {
        _ if asks => TokenSource::Asked,
        Some(token) => TokenSource::Fixed(token),
        None => TokenSource::None,
    };
    ClientConfig {
        token,
        name: texts::take_optional(name),
        ..ClientConfig::new(seed.to_bits())
    }
}

/// How long a page may take to get a token, in milliseconds, for pages that need one before they have a hub.
#[cfg(not(feature = "worker"))]
#[unsafe(no_mangle)]
extern "C" fn token_timeout_ms() -> f64 {
    deadline_ms(Some(Instant::ZERO + ClientConfig::new(0).token_timeout))
}

pub(crate) fn add(hub: AnyHub) -> u32 {
    // SAFETY: hubs are made by exported functions that use no other.
    unsafe { CLIENTS.add(ClientHub::with_hub(hub)) }
}

/// Frees what a hub holds; its number may be given again.
#[unsafe(no_mangle)]
extern "C" fn client_free(client: u32) {
    // SAFETY: this exported function uses no hub.
    unsafe { CLIENTS.free(client) }
}

#[cfg(not(feature = "worker"))]
exports! { CLIENTS:
    client_handle_pause = handle_pause(now_ms: f64) -> u32;
}

exports! { CLIENTS:
    client_handle_connect = handle_connect(now_ms: f64) -> u32;
    client_handle_disconnect = handle_disconnect(now_ms: f64) -> u32;
    client_handle_hurry = handle_hurry(now_ms: f64) -> u32;
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
    client_handle_delta = handle_delta(
        now_ms: f64, link: u32, via: u32, topic: u32, epoch: f64, offset: f64, base: f64, slot: u32
    ) -> u32;
    client_add_to_batch = add_to_batch(topic: u32, epoch: f64, offset: f64, end: u32, slot: u32);
    client_drop_batch = drop_batch();
    client_handle_batch = handle_batch(now_ms: f64, link: u32, via: u32) -> u32;
    client_handle_timeout = handle_timeout(now_ms: f64) -> u32;
    client_drain = drain() -> u32;
    client_poll_timeout = poll_timeout() -> f64;
}

/// A hub that follows one server.
#[derive(Debug)]
pub(crate) struct ClientHub {
    pub(crate) hub: AnyHub,
    #[cfg(not(feature = "worker"))]
    subscribers: Subscribers,
    /// Wildcard patterns that the server has named, numbered from 1.
    patterns: Vec<Pattern>,
    batch: Vec<Arc<Publication<Handle>>>,
    pub(crate) staged: presence::Staged,
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

    /// The network is back, or the page has woken up.
    fn handle_hurry(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_hurry(instant(now_ms)))
    }

    /// The page is left or frozen.
    #[cfg(not(feature = "worker"))]
    fn handle_pause(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_pause(instant(now_ms)))
    }

    /// The transport `link` is open.
    fn handle_opened(&mut self, now_ms: f64, link: u32) -> u32 {
        self.with(|hub| hub.handle_opened(instant(now_ms), link))
    }

    /// The transport `link` is closed, or could not be opened.
    fn handle_closed(&mut self, now_ms: f64, link: u32) -> u32 {
        self.with(|hub| hub.handle_closed(instant(now_ms), link))
    }

    /// Handles a frame that carries no publication, with the members of [`Incoming`]. Fails if the frame is invalid.
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

    /// Numbers a wildcard pattern that the server has named for the first time. Fails if the text is not a pattern.
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

    /// Handles a publication; `via` is the number of its wildcard pattern, or 0. The last record before the freed slots
    /// may be a licence to hand on the publications that follow without asking.
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
        self.hub.handle_frame(instant(now_ms), link, frame);
        records::begin();
        self.push_outputs();
        #[cfg(not(feature = "worker"))]
        if via == 0 && end == 0 {
            self.push_licence(topic);
        }
        records::finish()
    }

    /// Handles a delta: a merge patch to the publication with the offset `base`.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    fn handle_delta(
        &mut self,
        now_ms: f64,
        link: u32,
        via: u32,
        topic: u32,
        epoch: f64,
        offset: f64,
        base: f64,
        slot: u32,
    ) -> u32 {
        let frame = ServerFrame::Delta {
            publication: publication(topic, epoch, offset, 0, slot),
            base: position(epoch, base).offset,
            via: self.pattern(via),
        };
        self.with(|hub| hub.handle_frame(instant(now_ms), link, frame))
    }

    /// Adds a publication to the batch of the next `handle_batch`.
    fn add_to_batch(&mut self, topic: u32, epoch: f64, offset: f64, end: u32, slot: u32) {
        self.batch
            .push(publication(topic, epoch, offset, end, slot));
    }

    /// Drops the batch that is being collected: one of its publications was invalid.
    fn drop_batch(&mut self) {
        self.batch.clear();
    }

    /// Handles a batch, which came by the wildcard pattern with the number `via`, or by a topic's own subscription if
    /// that is 0.
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

    /// Emits what is due.
    fn handle_timeout(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_timeout(instant(now_ms)))
    }

    /// Records the outputs of a call that returns something else.
    fn drain(&mut self) -> u32 {
        records::begin();
        self.push_outputs();
        records::finish()
    }

    /// When to call `handle_timeout`, in the host's milliseconds; infinity for never.
    fn poll_timeout(&self) -> f64 {
        deadline_ms(self.hub.poll_timeout())
    }

    pub(crate) fn with(&mut self, handle: impl FnOnce(&mut AnyHub)) -> u32 {
        handle(&mut self.hub);
        self.drain()
    }

    #[cfg(feature = "worker")]
    fn push_outputs(&mut self) {
        let mut room = MessageRoom::new();
        while let Some(output) = self.hub.poll_output() {
            output::push(&self.hub, output, &mut room);
        }
    }
}

impl ClientHub {
    pub(crate) fn with_hub(hub: AnyHub) -> Self {
        Self {
            hub,
            #[cfg(not(feature = "worker"))]
            subscribers: Subscribers::new(),
            patterns: Vec::new(),
            batch: Vec::new(),
            staged: presence::Staged::default(),
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
