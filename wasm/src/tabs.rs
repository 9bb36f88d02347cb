//! A hub whose connection is its own, or is shared with the browser's other tabs, behind one set of calls.
//!
//! What a tab says to the others leaves as texts with holes, which JavaScript fills with the data ([`message`]); what
//! it hears crosses as members ([`heard`]).

mod heard;
mod message;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::client::ClientConfig;
use tidegate_core::flow::{Flow, FlowError};
use tidegate_core::hub::{self, ClientOutput, DownlinkId, SubscribeError, SubscriptionId};
use tidegate_core::presence::{Key, Roster};
use tidegate_core::protocol::{PublishRequest, ServerFrame, Start};
use tidegate_core::tabs::{
    Body, Election, Message, Page, Role, TABS_VERSION, TabHub, TabId, TabOutput, Tabs, TabsConfig,
    TabsOutput, Term,
};
use tidegate_core::time::Instant;
use tidegate_core::topic::{Pattern, Topic};

use crate::json::Object;
use crate::records::{self, Record};
use crate::slot::Handle;

/// What JavaScript gives as the transport of a frame that another tab has handed down.
const LINK_OF_TABS: u32 = u32::MAX;

/// Who has said what is being heard.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    from: TabId,
    term: Term,
}

/// How a hub comes by its connection.
#[derive(Debug)]
enum Way {
    Alone(Box<hub::ClientHub<Handle>>),
    Tab(Box<TabHub<Handle>>),
    /// A worker that tabs share: it has the connection and no subscribers.
    Worker(Box<Tabs<Handle>>),
}

/// The hub of a page, of a program, or of a worker.
#[derive(Debug)]
pub(crate) struct AnyHub {
    way: Way,
    sender: Sender,
    /// The members of the leader that is being heard, by their links.
    members: Vec<(TabId, u32)>,
}

impl AnyHub {
    pub(crate) fn new(config: ClientConfig) -> Self {
        Self::of(Way::Alone(Box::new(hub::ClientHub::new(config))))
    }

    /// `election` is 0 for a lock, 1 for claims, 2 for a tab with a worker of this generation, 3 for that worker.
    pub(crate) fn shared(
        config: ClientConfig,
        tab: TabId,
        election: u32,
        generation: u64,
        group: String,
    ) -> Self {
        let election = match election {
            0 => Election::Lock,
            1 => Election::Claims,
            2 => Election::Worker { generation },
            _ => Election::Host { generation },
        };
        let config = TabsConfig::new(tab, election, group, config);
        Self::of(match election {
            Election::Host { .. } => Way::Worker(Box::new(Tabs::new(config))),
            Election::Lock | Election::Claims | Election::Worker { .. } => {
                Way::Tab(Box::new(TabHub::new(config)))
            }
        })
    }

    fn of(way: Way) -> Self {
        Self {
            way,
            sender: Sender::default(),
            members: Vec::new(),
        }
    }

    pub(crate) fn handle_connect(&mut self, now: Instant) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_connect(now),
            Way::Tab(hub) => hub.handle_connect(now),
            Way::Worker(tabs) => tabs.handle_enter(now),
        }
    }

    pub(crate) fn handle_disconnect(&mut self, now: Instant) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_disconnect(now),
            Way::Tab(hub) => hub.handle_disconnect(now),
            Way::Worker(tabs) => tabs.handle_leave(),
        }
    }

    pub(crate) fn handle_opened(&mut self, now: Instant, link: u32) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_opened(now, link),
            Way::Tab(hub) => hub.handle_uplink_opened(now, link),
            Way::Worker(tabs) => tabs.handle_uplink_opened(now, link),
        }
    }

    pub(crate) fn handle_closed(&mut self, now: Instant, link: u32) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_closed(now, link),
            Way::Tab(hub) => hub.handle_uplink_closed(now, link),
            Way::Worker(tabs) => tabs.handle_uplink_closed(now, link),
        }
    }

    /// A frame of the server's came, over the transport or from another tab.
    pub(crate) fn handle_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<Handle>) {
        if link == LINK_OF_TABS {
            return self.handle_body(now, Body::Down { frame });
        }
        match &mut self.way {
            Way::Alone(hub) => hub.handle_frame(now, link, frame),
            Way::Tab(hub) => hub.handle_uplink_frame(now, link, frame),
            Way::Worker(tabs) => tabs.handle_uplink_frame(now, link, frame),
        }
    }

    /// The sender that was staged last says this.
    fn handle_body(&mut self, now: Instant, body: Body<Handle>) {
        let Sender { from, term } = self.sender;
        let message = Message {
            version: TABS_VERSION,
            from,
            to: None,
            term,
            body,
        };
        match &mut self.way {
            Way::Alone(_) => {}
            Way::Tab(hub) => hub.handle_message(now, message),
            Way::Worker(tabs) => tabs.handle_message(now, message),
        }
    }

    fn handle_page(&mut self, now: Instant, page: Page) {
        if let Way::Tab(hub) = &mut self.way {
            hub.handle_page(now, page);
        }
    }

    fn handle_granted(&mut self, now: Instant, request: u32) {
        if let Way::Tab(hub) = &mut self.way {
            hub.handle_granted(now, request);
        }
    }

    fn handle_lost(&mut self, now: Instant, request: u32) {
        if let Way::Tab(hub) = &mut self.way {
            hub.handle_lost(now, request);
        }
    }

    pub(crate) fn handle_subscribe(
        &mut self,
        now: Instant,
        downlink: DownlinkId,
        pattern: &Pattern,
        flow: Flow,
        start: Start,
    ) -> Result<SubscriptionId, SubscribeError> {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_subscribe(now, downlink, pattern, flow, start),
            Way::Tab(hub) => hub.handle_subscribe(now, downlink, pattern, flow, start),
            Way::Worker(_) => unreachable!("a worker has no subscribers"),
        }
    }

    pub(crate) fn handle_unsubscribe(&mut self, now: Instant, id: SubscriptionId) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_unsubscribe(now, id),
            Way::Tab(hub) => hub.handle_unsubscribe(now, id),
            Way::Worker(_) => {}
        }
    }

    pub(crate) fn handle_flow(
        &mut self,
        now: Instant,
        id: SubscriptionId,
        flow: Flow,
    ) -> Result<(), FlowError> {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_flow(now, id, flow),
            Way::Tab(hub) => hub.handle_flow(now, id, flow),
            Way::Worker(_) => Ok(()),
        }
    }

    pub(crate) fn handle_publish(&mut self, now: Instant, publish: PublishRequest<Handle>) -> u64 {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_publish(now, publish),
            Way::Tab(hub) => hub.handle_publish(now, publish),
            Way::Worker(_) => unreachable!("a worker publishes nothing of its own"),
        }
    }

    pub(crate) fn handle_track(
        &mut self,
        now: Instant,
        topic: Topic,
        key: Key,
        meta: Handle,
    ) -> u64 {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_track(now, topic, key, meta),
            Way::Tab(hub) => hub.handle_track(now, topic, key, meta),
            Way::Worker(_) => unreachable!("a worker is present nowhere of its own"),
        }
    }

    pub(crate) fn handle_retrack(&mut self, now: Instant, number: u64, meta: Handle) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_retrack(now, number, meta),
            Way::Tab(hub) => hub.handle_retrack(now, number, meta),
            Way::Worker(_) => {}
        }
    }

    pub(crate) fn handle_untrack(&mut self, now: Instant, number: u64) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_untrack(now, number),
            Way::Tab(hub) => hub.handle_untrack(now, number),
            Way::Worker(_) => {}
        }
    }

    pub(crate) fn handle_watch(&mut self, now: Instant, topic: &Topic) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_watch(now, topic),
            Way::Tab(hub) => hub.handle_watch(now, topic),
            Way::Worker(_) => {}
        }
    }

    pub(crate) fn handle_unwatch(&mut self, now: Instant, topic: &Topic) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_unwatch(now, topic),
            Way::Tab(hub) => hub.handle_unwatch(now, topic),
            Way::Worker(_) => {}
        }
    }

    pub(crate) fn roster(&self, topic: &Topic) -> Option<&Roster<Handle>> {
        match &self.way {
            Way::Alone(hub) => hub.roster(topic),
            Way::Tab(hub) => hub.roster(topic),
            Way::Worker(_) => None,
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        match &mut self.way {
            Way::Alone(hub) => hub.handle_timeout(now),
            Way::Tab(hub) => hub.handle_timeout(now),
            Way::Worker(tabs) => tabs.handle_timeout(now),
        }
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        match &self.way {
            Way::Alone(hub) => hub.poll_timeout(),
            Way::Tab(hub) => hub.poll_timeout(),
            Way::Worker(tabs) => tabs.poll_timeout(),
        }
    }

    /// What is due next that a hub with a connection of its own could have due, too. What is only for the other tabs,
    /// the lock and the worker is recorded on the way.
    pub(crate) fn poll_output(&mut self) -> Option<ClientOutput<Handle>> {
        loop {
            let output = match &mut self.way {
                Way::Alone(hub) => return hub.poll_output(),
                Way::Worker(tabs) => tabs.poll_output()?,
                Way::Tab(hub) => match hub.poll_output()? {
                    TabOutput::Tabs(output) => output,
                    TabOutput::State(state) => return Some(ClientOutput::State(state)),
                    TabOutput::Due(due) => return Some(ClientOutput::Due(due)),
                    TabOutput::Presence(event) => return Some(ClientOutput::Presence(event)),
                    TabOutput::Published { request, result } => {
                        return Some(ClientOutput::Published { request, result });
                    }
                },
            };
            if let Some(output) = client_output(output) {
                return Some(output);
            }
        }
    }
}

/// What a hub with a connection of its own would want in the same words; all else is recorded.
fn client_output(output: TabsOutput<Handle>) -> Option<ClientOutput<Handle>> {
    match output {
        TabsOutput::OpenUplink { link } => return Some(ClientOutput::Connect { link }),
        TabsOutput::CloseUplink { link } => return Some(ClientOutput::Disconnect { link }),
        TabsOutput::SendUplink(frame) => return Some(ClientOutput::Send(frame)),
        TabsOutput::Post(message) => push_message(&message),
        TabsOutput::RequestLock { request, steal } => {
            let note = request_note("lock", request);
            records::push_note(note.optional_flag("steal", Some(steal)));
        }
        TabsOutput::ReleaseLock { request } => {
            records::push_note(request_note("unlock", request));
        }
        TabsOutput::SpawnWorker { generation, group } => {
            let note = Object::new().text("note", "spawn");
            let note = note.number("generation", generation);
            records::push_note(note.text("group", &group));
        }
        TabsOutput::Retire => records::push_note(Object::new().text("note", "retire")),
        TabsOutput::Role(role) => {
            let name = match role {
                Role::Away => "away",
                Role::Follower => "follower",
                Role::Leader => "leader",
            };
            records::push_note(Object::new().text("note", "role").text("role", name));
        }
        // For a tab's hub, which has had them already; a worker has none.
        TabsOutput::Opened { .. }
        | TabsOutput::Closed { .. }
        | TabsOutput::Reachable
        | TabsOutput::Frame { .. }
        | TabsOutput::State(_) => {}
    }
    None
}

fn request_note(what: &str, request: u32) -> Object {
    let note = Object::new().text("note", what);
    note.number("request", u64::from(request))
}

fn push_message(message: &Message<Handle>) {
    let mut data = Vec::new();
    let length = records::add_text(&message::object(message, &mut data).close());
    for slot in data {
        records::push(Record::Data { slot });
    }
    records::push(Record::Post { length });
}
