//! A page's or a program's hub whose uplink is one connection to a server.
//!
//! JavaScript opens and closes the transport when told, and hands over what comes: publications as
//! numbers, all other frames as objects. Everything else is decided here.

use std::sync::Arc;

use serde::Serialize;
use tidegate_core::client::{ClientConfig, ClosedReason, ConnectionState};
use tidegate_core::hub::{self, ClientOutput};
use tidegate_core::protocol::{
    ClientEnvelope, ClientFrame, PublishRequest, ServerEnvelope, ServerFrame,
};
use tidegate_core::publication::{Position, Publication};
use tidegate_core::topic::Pattern;
use wasm_bindgen::prelude::{JsValue, wasm_bindgen};

use crate::clock::{deadline_ms, instant};
use crate::due::{self, SubscriptionIds};
use crate::errors::{PlainError, PublishFailure, plain, to_js};
use crate::records::{self, Record, end_of};
use crate::slot::Handle;
use crate::{spec, topics};

/// Everything in a page subscribes as one downlink.
const DOWNLINK: u32 = 0;

/// What is told of the connection in words.
#[derive(Serialize)]
#[serde(tag = "note", rename_all = "lowercase")]
enum ConnectionNote<'a> {
    /// A frame to send. Where it carries data, that is the number of a slot.
    Send { frame: ClientEnvelope<&'a Handle> },
    State {
        state: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        attempt: Option<u32>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<PlainError<'a>>,
    },
}

/// A hub that follows one server.
#[wasm_bindgen]
#[derive(Debug)]
pub struct ClientHub {
    hub: hub::ClientHub<Handle>,
    ids: SubscriptionIds,
    /// Wildcard patterns that the server named, under their numbers from 1.
    patterns: Vec<Pattern>,
    batch: Vec<Arc<Publication<Handle>>>,
}

#[wasm_bindgen]
impl ClientHub {
    /// A hub that has not been asked to connect. `seed` is any number; give each hub another one.
    #[wasm_bindgen(constructor)]
    pub fn new(seed: f64, token: Option<String>, name: Option<String>) -> Self {
        Self {
            hub: hub::ClientHub::new(ClientConfig {
                token,
                name,
                ..ClientConfig::new(seed.to_bits())
            }),
            ids: SubscriptionIds::default(),
            patterns: Vec::new(),
            batch: Vec::new(),
        }
    }

    /// A connection is wanted.
    pub fn handle_connect(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_connect(instant(now_ms)))
    }

    /// No connection is wanted any more.
    pub fn handle_disconnect(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_disconnect(instant(now_ms)))
    }

    /// The transport `link` is open.
    pub fn handle_opened(&mut self, now_ms: f64, link: u32) -> u32 {
        self.with(|hub| hub.handle_opened(instant(now_ms), link))
    }

    /// The transport `link` is closed, or could not be opened.
    pub fn handle_closed(&mut self, now_ms: f64, link: u32) -> u32 {
        self.with(|hub| hub.handle_closed(instant(now_ms), link))
    }

    /// A frame that carries no publication.
    ///
    /// # Errors
    /// A plain error object that says what is wrong with the frame, which changed nothing.
    pub fn handle_frame(&mut self, now_ms: f64, link: u32, frame: JsValue) -> Result<u32, JsValue> {
        let envelope: ServerEnvelope<Handle> =
            serde_wasm_bindgen::from_value(frame).map_err(to_js::bad_form)?;
        let frame =
            ServerFrame::try_from(envelope).map_err(|error| to_js::error(&error.to_wire()))?;
        Ok(self.with(|hub| hub.handle_frame(instant(now_ms), link, frame)))
    }

    /// The number of a wildcard pattern that the server named and JavaScript knows no number for.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte.
    pub fn intern_pattern(&mut self, text: &str) -> Result<u32, JsValue> {
        self.patterns.push(spec::pattern(text)?);
        Ok(u32::try_from(self.patterns.len()).expect("patterns fit into this memory"))
    }

    /// Forgets the numbers of all patterns.
    pub fn forget_patterns(&mut self) {
        self.patterns.clear();
    }

    /// A publication came; `via` is the number of its wildcard pattern, or 0.
    #[expect(
        clippy::too_many_arguments,
        reason = "numbers cross faster than an object would"
    )]
    pub fn handle_publication(
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
    pub fn add_to_batch(&mut self, topic: u32, epoch: f64, offset: f64, end: u32, slot: u32) {
        self.batch
            .push(publication(topic, epoch, offset, end, slot));
    }

    /// Forgets the batch that is being added to: one of its publications was not sound.
    pub fn drop_batch(&mut self) {
        self.batch.clear();
    }

    /// A batch came, by the wildcard pattern with the number `via`, or by a topic's own subscription if that is 0.
    pub fn handle_batch(&mut self, now_ms: f64, link: u32, via: u32) -> u32 {
        let frame = ServerFrame::Batch {
            items: std::mem::take(&mut self.batch),
            via: self.pattern(via),
        };
        self.with(|hub| hub.handle_frame(instant(now_ms), link, frame))
    }

    fn pattern(&self, number: u32) -> Option<Pattern> {
        let index = (number as usize).checked_sub(1)?;
        self.patterns.get(index).cloned()
    }

    /// Subscribes, and returns the subscription's number. What becomes due by that comes by `drain`.
    ///
    /// # Errors
    /// A plain error object.
    pub fn handle_subscribe(
        &mut self,
        now_ms: f64,
        pattern: &str,
        options: JsValue,
    ) -> Result<u32, JsValue> {
        let pattern = spec::pattern(pattern)?;
        let (flow, start) = spec::subscribe_spec(options)?;
        let id = self
            .hub
            .handle_subscribe(instant(now_ms), DOWNLINK, &pattern, flow, start)
            .map_err(|error| to_js::error(&error.to_wire()))?;
        Ok(self.ids.add(id))
    }

    /// Ends a subscription at its subscriber's request.
    pub fn handle_unsubscribe(&mut self, now_ms: f64, subscription: u32) -> u32 {
        let id = self.ids.get(subscription);
        self.with(|hub| {
            if let Some(id) = id {
                hub.handle_unsubscribe(instant(now_ms), id);
            }
        })
    }

    /// Changes a subscription's flow. What becomes due by that comes by `drain`.
    ///
    /// # Errors
    /// A plain error object.
    pub fn handle_flow(
        &mut self,
        now_ms: f64,
        subscription: u32,
        flow: JsValue,
    ) -> Result<(), JsValue> {
        let flow = spec::flow_spec(flow)?;
        if let Some(id) = self.ids.get(subscription) {
            self.hub
                .handle_flow(instant(now_ms), id, flow)
                .map_err(|error| to_js::bad_flow(error.to_string()))?;
        }
        Ok(())
    }

    /// Publishes what is in `slot`, and returns the number of the request. Its outcome is among the records
    /// of a later call, or of `drain`.
    #[expect(clippy::cast_precision_loss, reason = "requests stay below 2^53")]
    pub fn handle_publish(
        &mut self,
        now_ms: f64,
        topic: u32,
        slot: u32,
        end: u32,
        id: Option<String>,
        restart: bool,
    ) -> f64 {
        let request = PublishRequest {
            topic: topics::topic(topic),
            payload: Handle::new(slot, topic, false),
            end: end_of(end),
            id,
            restart,
        };
        self.hub.handle_publish(instant(now_ms), request) as f64
    }

    /// Emits what is due.
    pub fn handle_timeout(&mut self, now_ms: f64) -> u32 {
        self.with(|hub| hub.handle_timeout(instant(now_ms)))
    }

    /// Records what is due after a call that returns something else.
    pub fn drain(&mut self) -> u32 {
        self.with(|_| ())
    }

    /// When to call `handle_timeout`, in the host's milliseconds; infinity for never.
    pub fn poll_timeout(&self) -> f64 {
        deadline_ms(self.hub.poll_timeout())
    }

    fn with(&mut self, handle: impl FnOnce(&mut hub::ClientHub<Handle>)) -> u32 {
        records::begin();
        handle(&mut self.hub);
        while let Some(output) = self.hub.poll_output() {
            push(output);
        }
        records::finish()
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "positions are whole numbers below 2^53, and a cast saturates"
)]
fn publication(
    topic: u32,
    epoch: f64,
    offset: f64,
    end: u32,
    slot: u32,
) -> Arc<Publication<Handle>> {
    Arc::new(Publication {
        topic: topics::topic(topic),
        position: Position {
            epoch: epoch as u64,
            offset: offset as u64,
        },
        payload: Handle::new(slot, topic, false),
        end: end_of(end),
    })
}

fn push(output: ClientOutput<Handle>) {
    match output {
        ClientOutput::Connect { link } => records::push(Record::Connect { link }),
        ClientOutput::Disconnect { link } => records::push(Record::Disconnect { link }),
        ClientOutput::Send(frame) => push_frame(&frame),
        ClientOutput::State(state) => push_state(&state),
        ClientOutput::Due(due) => due::push(&due),
        ClientOutput::Published {
            request,
            result: Ok(position),
        } => records::push(Record::Published { request, position }),
        ClientOutput::Published {
            request,
            result: Err(error),
        } => records::push_note(PublishFailure::note(request, &error)),
    }
}

fn push_frame(frame: &ClientFrame<Handle>) {
    records::push_note(to_js::object(&ConnectionNote::Send {
        frame: frame.into(),
    }));
}

fn push_state(state: &ConnectionState) {
    let (state, attempt, error) = match state {
        ConnectionState::Disconnected => ("disconnected", None, None),
        ConnectionState::Connecting { attempt } => ("connecting", Some(*attempt), None),
        ConnectionState::Connected => ("connected", None, None),
        ConnectionState::Stale => ("stale", None, None),
        ConnectionState::Closed(ClosedReason::ByUser) => ("closed", None, None),
        ConnectionState::Closed(ClosedReason::Refused(error)) => {
            ("closed", None, Some(plain(error)))
        }
    };
    records::push_note(to_js::object(&ConnectionNote::State {
        state,
        attempt,
        error,
    }));
}
