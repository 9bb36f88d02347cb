//! The definition of a run: its actors, their properties, and the sequence of events.

use core::time::Duration;

use tidegate_core::flow::{Flow, Slow};
use tidegate_core::lifecycle::EndReason;

use crate::backend_model::Weather;
use crate::network::{Cut, Quality};
use crate::tab_model::Path;

/// The kind of backend, with the weaknesses of the real one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The memory of a single server: when it ends, so do all topics.
    Memory,
    /// A file: announcements wait for a poll; calls fail now and then because the file is locked.
    File,
    /// A database: publications are announced late, notifications are lost and reported, answers are lost.
    Database,
    /// A stream with pushed announcements: histories are short, links are cut, a failover loses a tail.
    Stream,
    /// All of these, and announcements that are dropped silently.
    Worst,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Memory,
        Self::File,
        Self::Database,
        Self::Stream,
        Self::Worst,
    ];

    pub(super) const fn weather(self) -> Weather {
        match self {
            Self::Memory => Weather::CALM,
            Self::File => Weather {
                call_ms_max: 20,
                announce_ms_max: 100,
                failures: 1,
                ..Weather::CALM
            },
            Self::Database => Weather {
                call_ms_max: 60,
                announce_ms_max: 90,
                drops: 6,
                reports: 100,
                lost_answers: 1,
                failures: 1,
                ..Weather::CALM
            },
            Self::Stream => Weather {
                call_ms_max: 15,
                announce_ms_max: 15,
                doubles: 2,
                lost_calls: 1,
                lost_answers: 1,
                ..Weather::CALM
            },
            Self::Worst => Weather {
                call_ms_max: 100,
                announce_ms_max: 100,
                drops: 10,
                reports: 50,
                doubles: 10,
                lost_calls: 1,
                lost_answers: 2,
                failures: 3,
            },
        }
    }

    pub(super) const fn history(self, is_tight: bool) -> usize {
        match self {
            Self::Memory | Self::File | Self::Database if !is_tight => 256,
            Self::Stream | Self::Worst if !is_tight => 8,
            Self::Memory | Self::File | Self::Database | Self::Stream | Self::Worst => 2,
        }
    }

    /// Whether stored publications can be lost.
    pub(super) const fn loses_data(self) -> bool {
        matches!(self, Self::Stream | Self::Worst)
    }
}

/// The actors at the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// The kind of backend.
    pub kind: Kind,
    /// How many servers there are.
    pub servers: usize,
    /// How many clients have a connection of their own.
    pub programs: usize,
    /// The browsers, by how their tabs share a connection.
    pub browsers: Vec<Path>,
    /// Whether every queue, history and message has hardly any room.
    pub is_tight: bool,
    /// The policy of programs for slow connections.
    pub slow: Option<Slow>,
    /// Whether servers authenticate their clients, by tokens that expire.
    pub asks: bool,
    /// Whether there is a piece of work that servers count.
    pub has_work: bool,
    /// Whether no event can make a subscriber lose anything: then, none may be told of a loss.
    pub is_gentle: bool,
}

/// A publisher. Numbers are taken modulo the number of actors that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A server on its own behalf.
    Server(usize),
    /// A program.
    Program(usize),
    /// A page of a browser.
    Page(usize, usize),
    /// Another program that writes to the backend directly, such as `psql` or `redis-cli`.
    Nobody,
}

/// A subscriber, or an actor that is present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// A program.
    Program(usize),
    /// A page of a browser, among those that are awake.
    Page(usize, usize),
}

/// Where a new subscriber starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StartAt {
    /// With the retained latest values.
    Latest,
    /// With new publications only.
    New,
    /// At positions that others have seen: for subscribers within a server's process.
    Known,
}

/// An event in the life of a page, among the pages that it can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAct {
    /// Another page is opened.
    Open,
    /// It is closed by its user.
    Close,
    /// It dies.
    Crash,
    /// It is put to sleep, and told so.
    Freeze,
    /// It is put to sleep without notice.
    FreezeAtOnce,
    /// Nothing of it runs, and nobody is told.
    Hang,
    /// It is left, and put into the back/forward cache.
    Cache,
    /// A sleeping one wakes up.
    Wake,
    /// It is shown.
    Show,
    /// It is hidden, and its timers fire only at multiples of this.
    Hide(Duration),
    /// The lock is taken from its holder.
    LoseLock,
    /// A shared worker dies.
    EndWorker,
}

/// A fault of a client or its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAct {
    /// The quality of its next links changes, and that of a program's current one.
    Quality(Quality),
    /// Its network goes away, or comes back.
    Reach(bool),
    /// Its clock jumps forward.
    Jump(Duration),
}

/// A fault of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerAct {
    /// It dies.
    Kill,
    /// It drains and shuts down, and another one starts in its place.
    Drain,
    /// It starts, if it is down.
    Start,
    /// It is paused for this long.
    Pause(Duration),
    /// Its clock jumps forward.
    Jump(Duration),
    /// Its timers come at multiples of this.
    Late(Duration),
}

/// A fault of the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendAct {
    /// A server's link is cut; whether the server is told.
    Cut(usize, bool),
    /// A server can't reach it, or can again.
    Away(usize, bool),
    /// It has no room, or has room again.
    Full(bool),
    /// It loses the last publications of a topic, and all links.
    LoseTail(usize, usize),
    /// It loses everything, and all links.
    Wipe,
    /// A server is told that it may have missed something.
    Miss(usize),
}

/// One operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Publications of one topic, one after the other at one instant.
    Publish {
        /// The publisher.
        by: By,
        /// The topic's index.
        topic: usize,
        /// The number of publications.
        count: usize,
        /// The reason, if the last of them ends the topic.
        end: Option<EndReason>,
        /// Whether an ended topic is restarted.
        restart: bool,
    },
    /// A client subscribes.
    Subscribe(Who, usize, Flow, StartAt),
    /// A subscriber leaves.
    Unsubscribe(usize),
    /// A subscriber changes its pace.
    Reflow(usize, Flow),
    /// A subscription within a server's process begins.
    Listen(usize, usize, Flow, StartAt),
    /// A subscription within a server's process ends.
    Hush(usize),
    /// A program becomes a device from now on.
    TakeUp(usize, usize),
    /// A program's handler processes a delivery of a durable subscription.
    Handle(usize, usize),
    /// A program's token function fails from now on, or works again.
    Tokens(usize, bool),
    /// A server is asked to end the connections of all programs.
    Disconnect(usize),
    /// An amount of work is done at a server.
    Count(usize, u64),
    /// A client becomes present in a room, with a key.
    Track(Who, usize, usize),
    /// A presence ends.
    Untrack(Who, usize),
    /// A client watches the presences of a room.
    Watch(Who, usize),
    /// A link breaks; its ends learn of it or not.
    Cut(usize, Cut),
    /// A fault of a client or its network.
    Client(Who, ClientAct),
    /// A fault of a server.
    Server(usize, ServerAct),
    /// A fault of the backend.
    Backend(BackendAct),
    /// A program dies; the flag says whether its state survives.
    Stop(usize, bool),
    /// A program that is down starts.
    Restart(usize),
    /// A program's timers fire only at multiples of this.
    LateClient(usize, Duration),
    /// An event in the life of a browser's page.
    Page(usize, usize, PageAct),
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides everything that the operations leave open: delays, random choices, jitter.
    pub seed: u64,
    /// The actors.
    pub plan: Plan,
    /// The operations, each with the time that passes after it.
    pub ops: Vec<(Op, Duration)>,
}
