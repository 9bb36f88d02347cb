//! What the tabs of a browser say to each other. There is no codec here: hosts encode.

use alloc::string::String;
use alloc::vec::Vec;

use crate::client::ConnectionState;
use crate::protocol::{ClientFrame, ServerFrame};

/// The version of this vocabulary. Tabs of another version are not talked to.
pub const TABS_VERSION: u32 = 1;

/// The highest counter of a term that is believed: far beyond what a browser can reach, far below where numbers end.
pub(super) const TERM_COUNTER_MAX: u64 = 1 << 52;

/// One tab, or one worker: a random number below 2^53 that its host draws, anew for each page that loads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TabId(pub u64);

/// One leadership. No two are equal: the tab is part of it, and a tab uses a counter once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// Rises with each leadership. With a worker, its generation. 0: nobody has led yet.
    pub counter: u64,
    /// Who leads; decides between equal counters.
    pub tab: TabId,
}

/// A message of one tab to another, or to all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<P> {
    /// [`TABS_VERSION`] of the sender.
    pub version: u32,
    /// Who says it.
    pub from: TabId,
    /// Whom to; everybody where absent. Whoever else hears it ignores it.
    pub to: Option<TabId>,
    /// The latest leadership that the sender knows of: its own, where it leads.
    pub term: Term,
    /// What it says.
    pub body: Body<P>,
}

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<P> {
    /// Who is there? Everybody answers [`Body::Alive`]; the leader answers [`Body::Lead`], and [`Body::Tick`] as soon as
    /// its connection has answered, too.
    Probe {
        /// Whether the sender's page is visible.
        is_visible: bool,
    },
    /// The sender is there, or its visibility has changed.
    Alive {
        /// Whether the sender's page is visible.
        is_visible: bool,
    },
    /// The sender leaves: it closes, or its page is put to sleep.
    Bye,
    /// The sender would lead, where there are no locks to decide it.
    Claim {
        /// Whether the sender's page is visible: such a one goes first.
        is_visible: bool,
    },
    /// The leader asks a visible tab to take over.
    Yield,
    /// The sender leads.
    Lead {
        /// What the server knows the tabs by.
        group: String,
        /// The state of its connection.
        state: ConnectionState,
        /// Who is connected through it, by which link: of all tabs, or of the one that this is said to.
        members: Vec<(TabId, u32)>,
    },
    /// Something has come over the leader's connection.
    Tick,
    /// A tab asks the leader to be connected, as its link of this number.
    Join {
        /// The sender's number of the link.
        link: u32,
    },
    /// The leader has connected a tab. What it says to the tab from here on belongs to that link.
    Joined {
        /// The tab's number of the link.
        link: u32,
    },
    /// The leader knows no such link, or has no room for it.
    Gone {
        /// The tab's number of the link.
        link: u32,
    },
    /// The leader asks a tab for a new token.
    AskToken {
        /// The leader's number of the question.
        request: u32,
    },
    /// A tab has come by a token, or could not.
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
    /// A frame of the server's, for one member or for all.
    Down {
        /// The frame.
        frame: ServerFrame<P>,
    },
}

impl<P> Body<P> {
    /// Whether only a leader says so.
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
