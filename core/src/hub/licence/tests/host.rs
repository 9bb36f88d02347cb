use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{PATTERNS, Step, flow};
use crate::client::ClientConfig;
use crate::gate::Emission;
use crate::hub::{ClientHub, ClientOutput, Due, SubscriptionId};
use crate::payload::opaque::Opaque;
use crate::protocol::{ClientFrame, ServerFrame, Start, SubscribeRequest};
use crate::publication::{Position, Publication};
use crate::time::Instant;
use crate::topic::{Pattern, Topic};

const HEARTBEAT_MS: u64 = 1000;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::hub::licence) struct Text(pub(in crate::hub::licence) String);

impl Opaque for Text {
    fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// What a host remembers for a topic with a licence.
struct Licence {
    link: u32,
    position: Position,
    ids: Vec<SubscriptionId>,
}

/// A host that hands on by licence, or one that asks each time.
pub(super) struct Host {
    hub: ClientHub<Text>,
    hands_on: bool,
    now: Instant,
    link: u32,
    ids: Vec<SubscriptionId>,
    licences: BTreeMap<Topic, Licence>,
    changes: u64,
    untold: BTreeMap<Topic, (Instant, Arc<Publication<Text>>)>,
    pub(super) spared: usize,
    /// The subscribers that the last publication went to, and everything that the steps have resulted in.
    reached: Vec<SubscriptionId>,
    pub(super) log: Vec<String>,
}

impl Host {
    pub(super) fn new(hands_on: bool) -> Self {
        let mut host = Self {
            hub: ClientHub::new(ClientConfig::new(7)),
            hands_on,
            now: Instant::ZERO,
            link: 0,
            ids: Vec::new(),
            licences: BTreeMap::new(),
            changes: 0,
            untold: BTreeMap::new(),
            spared: 0,
            reached: Vec::new(),
            log: Vec::new(),
        };
        host.hub.handle_connect(host.now);
        host.drain();
        host
    }

    pub(super) fn take(&mut self, step: &Step, said: Option<&ServerFrame<Text>>) {
        if let (Step::Says { .. }, Some(frame)) = (step, said) {
            return self.hear(frame.clone());
        }
        self.tell_all();
        match *step {
            Step::Subscribe {
                pattern,
                paced,
                late,
            } => {
                let pattern = Pattern::new(PATTERNS[pattern]).expect("a pattern");
                let request = SubscribeRequest {
                    start: if late { Start::Latest } else { Start::New },
                    ..SubscribeRequest::new(pattern, flow(paced))
                };
                let id = self.hub.handle_subscribe(self.now, 0, request);
                self.ids.push(id.expect("a sound flow"));
            }
            Step::Unsubscribe { which } if which < self.ids.len() => {
                self.hub
                    .handle_unsubscribe(self.now, self.ids.remove(which));
            }
            Step::Reflow { which, paced } if which < self.ids.len() => {
                let changed = self.hub.handle_flow(self.now, self.ids[which], flow(paced));
                changed.expect("a sound flow");
            }
            Step::Breaks => self.hub.handle_closed(self.now, self.link),
            Step::Wait { ms } => {
                self.now = self.now + Duration::from_millis(ms);
                self.hub.handle_timeout(self.now);
            }
            Step::Resets { .. } | Step::Lags { .. } => {
                let frame = said.expect("the server says so").clone();
                self.hub.handle_frame(self.now, self.link, frame);
            }
            Step::Unsubscribe { .. } | Step::Reflow { .. } | Step::Says { .. } => {}
        }
        self.drain();
    }

    /// A publication arrives.
    fn hear(&mut self, frame: ServerFrame<Text>) {
        let ServerFrame::Publication { publication, via } = &frame else {
            unreachable!("the server says publications");
        };
        let (topic, publication) = (publication.topic.clone(), Arc::clone(publication));
        let is_plain = via.is_none() && publication.end.is_none();
        if is_plain && self.hand_on(&publication) {
            return;
        }
        if via.is_none() {
            self.licences.remove(&topic);
        }
        if let Some((heard, publication)) = self.untold.remove(&topic) {
            self.hub.handle_handed(heard, &publication);
        }
        self.reached.clear();
        self.hub.handle_frame(self.now, self.link, frame);
        self.drain();
        if self.hands_on && is_plain && !self.reached.is_empty() && self.hub.has_licence(&topic) {
            let licence = Licence {
                link: self.link,
                position: publication.position,
                ids: self.reached.clone(),
            };
            self.licences.insert(topic, licence);
        }
    }

    /// Hands on a publication by licence, if there is one for it.
    fn hand_on(&mut self, publication: &Arc<Publication<Text>>) -> bool {
        let Some(licence) = self.licences.get_mut(&publication.topic) else {
            return false;
        };
        let next = Position {
            offset: licence.position.offset + 1,
            ..licence.position
        };
        if licence.link != self.link || publication.position != next {
            return false;
        }
        licence.position = next;
        for id in &licence.ids {
            self.log.push(delivery(*id, publication));
        }
        self.untold.insert(
            publication.topic.clone(),
            (self.now, Arc::clone(publication)),
        );
        self.spared += 1;
        true
    }

    fn tell_all(&mut self) {
        for (heard, publication) in core::mem::take(&mut self.untold).into_values() {
            self.hub.handle_handed(heard, &publication);
        }
    }

    /// Does what the hub asks for, as a host whose server answers at once.
    fn drain(&mut self) {
        while let Some(output) = self.hub.poll_output() {
            match output {
                ClientOutput::Connect { link } => {
                    self.link = link;
                    self.hub.handle_opened(self.now, link);
                    let heartbeat_ms = HEARTBEAT_MS;
                    let welcome = ServerFrame::Welcome {
                        heartbeat_ms,
                        expires_in_ms: None,
                        message_bytes_max: None,
                        publish_rate: None,
                    };
                    self.hub.handle_frame(self.now, link, welcome);
                }
                ClientOutput::Send(frame) => {
                    self.log.push(format!("{frame:?}"));
                    self.answer(frame);
                }
                ClientOutput::Due(Due::Deliver { delivery: it, .. }) => {
                    let Emission::One(publication) = it.emission else {
                        unreachable!("nobody collects");
                    };
                    self.reached.push(it.subscription);
                    self.log.push(delivery(it.subscription, &publication));
                }
                other => self.log.push(format!("{other:?}")),
            }
        }
        if self.hub.changes() != self.changes {
            self.changes = self.hub.changes();
            self.licences.clear();
        }
    }

    fn answer(&mut self, frame: ClientFrame<Text>) {
        let answer = match frame {
            ClientFrame::Subscribe(request) => ServerFrame::Subscribed {
                pattern: request.pattern,
                position: None,
                recovered: true,
                flow: request.flow,
            },
            ClientFrame::Unsubscribe { pattern } => ServerFrame::Unsubscribed { pattern },
            _ => return,
        };
        self.hub.handle_frame(self.now, self.link, answer);
    }
}

fn delivery(id: SubscriptionId, publication: &Publication<Text>) -> String {
    let Publication {
        topic, position, ..
    } = publication;
    format!("{id:?} {topic} {position:?} {:?}", publication.payload)
}
