//! A hub with a connection of its own or one shared with the browser's other tabs, behind the same set of calls.
//!
//! Outgoing messages to other tabs are texts with holes, which JavaScript fills with the data ([`message`]); incoming
//! ones cross as members ([`heard`]).

mod heard;
#[cfg(not(feature = "follower"))]
mod members;
mod message;

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use tidegate_core::client::ClientConfig;
use tidegate_core::hub::{self, ClientOutput};
use tidegate_core::protocol::ServerFrame;
use tidegate_core::tabs::{
    Body, Election, Message, Page, Role, TABS_VERSION, TabHub, TabId, TabOutput, Tabs, TabsConfig,
    TabsOutput, Term,
};
use tidegate_core::time::Instant;

use crate::json::Object;
use crate::records::{self, Record};
use crate::slot::Handle;

/// The link that JavaScript gives for a frame that the leader has passed down.
const LINK_OF_TABS: u32 = u32::MAX;

/// The sender of the message that is being handled.
#[derive(Clone, Copy, Debug, Default)]
struct Sender {
    from: TabId,
    term: Term,
}

/// A tab's hub. A module for tabs that only follow a worker contains none of a leader's code.
type Tab = TabHub<Handle, { cfg!(feature = "tabs") }>;

/// How a hub gets its connection.
#[derive(Debug)]
enum Way {
    #[cfg(feature = "tabs")]
    Alone(Box<hub::ClientHub<Handle>>),
    #[cfg(any(feature = "tabs", feature = "follower"))]
    Tab(Box<Tab>),
    /// A worker that tabs share: it holds the connection, and has no subscribers.
    #[cfg(any(feature = "tabs", feature = "worker"))]
    Worker(Box<Tabs<Handle>>),
}

/// The hub of a page, of a program, or of a worker.
#[derive(Debug)]
pub(crate) struct AnyHub {
    way: Way,
    sender: Sender,
    /// The staged members of a leader, with their links.
    members: Vec<(TabId, u32)>,
}

/// Dispatches by the kind of hub: unshared, a tab's, or a worker's.
macro_rules! each {
    ($way:expr, $alone:pat => $by_alone:expr, $tab:pat => $by_tab:expr, $worker:pat => $by_worker:expr) => {
        match $way {
            #[cfg(feature = "tabs")]
            Way::Alone($alone) => $by_alone,
            #[cfg(any(feature = "tabs", feature = "follower"))]
            Way::Tab($tab) => $by_tab,
            #[cfg(any(feature = "tabs", feature = "worker"))]
            Way::Worker($worker) => $by_worker,
        }
    };
}

#[cfg(not(feature = "worker"))]
mod subscribers;

impl AnyHub {
    #[cfg(feature = "tabs")]
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
        #[cfg(feature = "worker")]
        return Self::of(Way::Worker(Box::new(Tabs::new(config))));
        #[cfg(feature = "follower")]
        return Self::of(Way::Tab(Box::new(Tab::new(config))));
        #[cfg(feature = "tabs")]
        Self::of(match election {
            Election::Host { .. } => Way::Worker(Box::new(Tabs::new(config))),
            Election::Lock | Election::Claims | Election::Worker { .. } => {
                Way::Tab(Box::new(Tab::new(config)))
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
        each!(&mut self.way,
            hub => hub.handle_connect(now),
            hub => hub.handle_connect(now),
            tabs => tabs.handle_enter(now)
        );
    }

    #[cfg_attr(feature = "worker", expect(unused_variables))]
    pub(crate) fn handle_disconnect(&mut self, now: Instant) {
        each!(&mut self.way,
            hub => hub.handle_disconnect(now),
            hub => hub.handle_disconnect(now),
            tabs => tabs.handle_leave()
        );
    }

    #[cfg(not(feature = "worker"))]
    pub(crate) fn handle_pause(&mut self, now: Instant) {
        each!(&mut self.way,
            hub => hub.handle_pause(now),
            hub => hub.handle_pause(now),
            _ => {}
        );
    }

    pub(crate) fn handle_hurry(&mut self, now: Instant) {
        each!(&mut self.way,
            hub => hub.handle_hurry(now),
            hub => hub.handle_hurry(now),
            tabs => tabs.handle_hurry(now)
        );
    }

    pub(crate) fn handle_opened(&mut self, now: Instant, link: u32) {
        each!(&mut self.way,
            hub => hub.handle_opened(now, link),
            hub => hub.handle_uplink_opened(now, link),
            tabs => tabs.handle_uplink_opened(now, link)
        );
    }

    pub(crate) fn handle_closed(&mut self, now: Instant, link: u32) {
        each!(&mut self.way,
            hub => hub.handle_closed(now, link),
            hub => hub.handle_uplink_closed(now, link),
            tabs => tabs.handle_uplink_closed(now, link)
        );
    }

    /// Handles a frame of the server, which came over the transport or from another tab.
    pub(crate) fn handle_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<Handle>) {
        if link == LINK_OF_TABS {
            return self.handle_body(now, Body::Down { frame });
        }
        each!(&mut self.way,
            hub => hub.handle_frame(now, link, frame),
            hub => hub.handle_uplink_frame(now, link, frame),
            tabs => tabs.handle_uplink_frame(now, link, frame)
        );
    }

    /// Handles a message of the staged sender.
    fn handle_body(&mut self, now: Instant, body: Body<Handle>) {
        let Sender { from, term } = self.sender;
        let message = Message {
            version: TABS_VERSION,
            from,
            to: None,
            term,
            body,
        };
        each!(&mut self.way,
            _ => {},
            hub => hub.handle_message(now, message),
            tabs => tabs.handle_message(now, message)
        );
    }

    fn handle_page(&mut self, now: Instant, page: Page) {
        each!(&mut self.way,
            _ => {},
            hub => hub.handle_page(now, page),
            tabs => tabs.handle_page(now, page)
        );
    }

    #[cfg(not(feature = "worker"))]
    fn handle_granted(&mut self, now: Instant, request: u32) {
        each!(&mut self.way, _ => {}, hub => hub.handle_granted(now, request), _ => {});
    }

    #[cfg(not(feature = "worker"))]
    fn handle_lost(&mut self, now: Instant, request: u32) {
        each!(&mut self.way, _ => {}, hub => hub.handle_lost(now, request), _ => {});
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        each!(&mut self.way,
            hub => hub.handle_timeout(now),
            hub => hub.handle_timeout(now),
            tabs => tabs.handle_timeout(now)
        );
    }

    /// The longest message that the server accepts, if known.
    pub(crate) fn message_bytes_max(&self) -> Option<u64> {
        each!(&self.way,
            hub => hub.message_bytes_max(),
            hub => hub.tabs().message_bytes_max(),
            tabs => tabs.message_bytes_max()
        )
    }

    pub(crate) fn poll_timeout(&self) -> Option<Instant> {
        each!(&self.way,
            hub => hub.poll_timeout(),
            hub => hub.poll_timeout(),
            tabs => tabs.poll_timeout()
        )
    }

    /// Returns the next output of a kind that an unshared hub has, too. Outputs for the other tabs, the lock and the
    /// worker are recorded on the way.
    pub(crate) fn poll_output(&mut self) -> Option<ClientOutput<Handle>> {
        loop {
            let output = each!(&mut self.way,
                hub => return hub.poll_output(),
                hub => match hub.poll_output()? {
                    TabOutput::Tabs(output) => output,
                    TabOutput::State(state) => return Some(ClientOutput::State(state)),
                    TabOutput::Due(due) => return Some(ClientOutput::Due(due)),
                    TabOutput::Presence(event) => return Some(ClientOutput::Presence(event)),
                    TabOutput::Published { request, result } => {
                        return Some(ClientOutput::Published { request, result });
                    }
                },
                tabs => tabs.poll_output()?
            );
            if let Some(output) = client_output(output) {
                return Some(output);
            }
        }
    }
}

/// Converts an output that an unshared hub has, too; records all others.
fn client_output(output: TabsOutput<Handle>) -> Option<ClientOutput<Handle>> {
    match output {
        TabsOutput::AskToken { request } => return Some(ClientOutput::AskToken { request }),
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
        // A tab's hub has handled these already, and a worker doesn't need them.
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
