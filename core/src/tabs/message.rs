//! The messages between the tabs of a browser. There is no codec here: hosts encode them.

use alloc::string::String;
use alloc::vec::Vec;

use crate::client::ConnectionState;
use crate::protocol::{ClientFrame, ServerFrame};

/// The version of these messages. Tabs ignore messages of other versions.
pub const TABS_VERSION: u32 = 1;

/// The highest counter that is accepted in a term: far beyond what a browser can reach, and far below where numbers
/// overflow.
pub(super) const TERM_COUNTER_MAX: u64 = 1 << 52;

/// Identifies one tab, or one worker: a random number below 2^53 that its host draws anew for each page that loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub u64);

/// Identifies one leadership. It is unique, because the tab is part of it, and a tab uses a counter only once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Increases with each leadership. With a worker, its generation. 0: nobody has led yet.
    pub counter: u64,
    /// The leader's id; decides between equal counters.
    pub tab: TabId,
}

/// A message from one tab to another, or to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<P> {
    /// [`TABS_VERSION`] of the sender.
    pub version: u32,
    /// The sender.
    pub from: TabId,
    /// The recipient; `None` for all tabs. All others ignore the message.
    pub to: Option<TabId>,
    /// The latest term that the sender knows of: its own, if it leads.
    pub term: Term,
    /// The content.
    pub body: Body<P>,
}

/// The content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<P> {
    /// Asks who is there. Every tab answers [`Body::Alive`]; the leader answers [`Body::Lead`], and [`Body::Tick`] as
    /// soon as something has arrived over its connection.
    Probe {
        /// Whether the sender's page is visible.
        is_visible: bool,
    },
    /// The sender is there, or its visibility has changed.
    Alive {
        /// Whether the sender's page is visible.
        is_visible: bool,
    },
    /// The sender leaves: it is closed, or its page is frozen.
    Bye,
    /// The sender claims the lead, in a browser without locks.
    Claim {
        /// Whether the sender's page is visible; visible tabs go first.
        is_visible: bool,
    },
    /// The leader asks a visible tab to take over.
    Yield,
    /// The sender leads.
    Lead {
        /// The group name under which the server knows the tabs.
        group: String,
        /// The state of its connection.
        state: ConnectionState,
        /// The members, each with its link: all of them, or only the recipient of this message.
        members: Vec<(TabId, u32)>,
    },
    /// Something has arrived over the leader's connection.
    Tick,
    /// A tab asks the leader to connect it.
    Join {
        /// The sender's number of the link.
        link: u32,
    },
    /// The leader has connected a tab. Its frames to the tab belong to that link from here on.
    Joined {
        /// The tab's number of the link.
        link: u32,
    },
    /// The leader doesn't know the link, or has no room for another member.
    Gone {
        /// The tab's number of the link.
        link: u32,
    },
    /// The leader asks a tab for a new token.
    AskToken {
        /// The leader's number of the question.
        request: u32,
    },
    /// A tab has got a token, or has failed to.
    Token {
        /// The leader's number of the question.
        request: u32,
        /// The token.
        token: Option<String>,
    },
    /// A frame for the server.
    Up {
        /// The sender's number of the link.
        link: u32,
        /// The frame.
        frame: ClientFrame<P>,
    },
    /// A frame from the server, for one member or for all.
    Down {
        /// The frame.
        frame: ServerFrame<P>,
    },
}

impl<P> Body<P> {
    /// Returns whether only a leader sends this.
    pub(super) const fn is_of_leader(&self) -> bool {
        match self {
            Self::Yield
            | Self::AskToken { .. }
            | Self::Lead { .. }
            | Self::Tick
            | Self::Joined { .. }
            | Self::Gone { .. }
            | Self::Down { .. } => true,
            Self::Probe { .. }
            | Self::Alive { .. }
            | Self::Bye
            | Self::Claim { .. }
            | Self::Join { .. }
            | Self::Token { .. }
            | Self::Up { .. } => false,
        }
    }
}
