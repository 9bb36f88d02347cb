//! What a run consists of: who is there, what they are like, and what happens, one thing after the other.

use core::time::Duration;

use tidegate_core::flow::{Flow, Slow};
use tidegate_core::lifecycle::EndReason;

use crate::backend_model::Weather;
use crate::network::{Cut, Quality};
use crate::tab_model::Path;

/// What topics live in, with its real weaknesses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The one server's memory: its end is the end of all topics.
    Memory,
    /// A file: announcements wait for a poll; calls fail now and then because it is locked.
    File,
    /// A database: publications are announced late, notifications are lost and reported, answers are lost.
    Database,
    /// A stream with pushed announcements: short histories, links that are cut, a failover that loses a tail.
    Stream,
    /// Everything at once, and announcements that are dropped without a word.
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

    /// Whether what was stored can be lost.
    pub(super) const fn loses_data(self) -> bool {
        matches!(self, Self::Stream | Self::Worst)
    }
}

/// Who is there from the beginning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// What topics live in.
    pub kind: Kind,
    /// How many servers there are.
    pub servers: usize,
    /// How many clients have a connection of their own.
    pub programs: usize,
    /// The browsers, by how their tabs share a connection.
    pub browsers: Vec<Path>,
    /// Whether every queue, history and message has hardly any room.
    pub is_tight: bool,
    /// What programs want to become of publications that they are too slow for.
    pub slow: Option<Slow>,
    /// Whether servers ask who their clients are, by tokens that end.
    pub asks: bool,
    /// Whether there is a piece of work that servers count.
    pub has_work: bool,
    /// Whether nothing happens by which a subscriber may lose anything: nobody may be told of a loss then.
    pub is_gentle: bool,
}

/// Who publishes. Numbers count among those who are there, and begin anew where there are fewer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A server on its own behalf.
    Server(usize),
    /// A program.
    Program(usize),
    /// A page of a browser.
    Page(usize, usize),
    /// Somebody who writes into the backend: `psql`, `redis-cli`.
    Nobody,
}

/// Who subscribes or is present.
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
    /// With what comes from now on.
    New,
    /// Where others were: for subscribers within a server's process.
    Known,
}

/// What becomes of a page, among those that it can happen to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PageAct {
    /// One more is opened.
    Open,
    /// It is closed by its user.
    Close,
    /// It dies.
    Crash,
    /// It is put to sleep, and told so.
    Freeze,
    /// It is put to sleep without a word.
    FreezeAtOnce,
    /// Nothing of it runs, and nobody is told.
    Hang,
    /// It is left, and kept for the way back.
    Cache,
    /// One that sleeps wakes up.
    Wake,
    /// It is shown.
    Show,
    /// It is hidden, and its timers come at multiples of this.
    Hide(Duration),
    /// The lock is taken from whoever holds it.
    LoseLock,
    /// A shared worker dies.
    EndWorker,
}

/// What befalls a client or its network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAct {
    /// Its next links are like this, and the one that a program has.
    Quality(Quality),
    /// Its network goes away, or comes back.
    Reach(bool),
    /// Its clock jumps forward.
    Jump(Duration),
}

/// What befalls a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerAct {
    /// It dies.
    Kill,
    /// It goes away in order, and another one starts in its place.
    Drain,
    /// Where it is down, it starts.
    Start,
    /// Nothing of it runs for so long.
    Pause(Duration),
    /// Its clock jumps forward.
    Jump(Duration),
    /// Its timers come at multiples of this.
    Late(Duration),
}

/// What befalls the backend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BackendAct {
    /// A server's link is cut; whether the server is told.
    Cut(usize, bool),
    /// It can't be reached by a server, or can again.
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

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Publications of one topic, one after the other at one instant.
    Publish {
        /// Who publishes.
        by: By,
        /// Which topic.
        topic: usize,
        /// How many.
        count: usize,
        /// Whether the last of them ends the topic.
        end: Option<EndReason>,
        /// Whether an ended topic begins anew.
        restart: bool,
    },
    /// Somebody subscribes.
    Subscribe(Who, usize, Flow, StartAt),
    /// A subscriber leaves.
    Unsubscribe(usize),
    /// A subscriber changes its pace.
    Reflow(usize, Flow),
    /// Somebody within a server's process subscribes.
    Listen(usize, usize, Flow, StartAt),
    /// Somebody within a server's process has enough.
    Hush(usize),
    /// A program has a durable subscription from now on.
    TakeUp(usize, usize),
    /// A program's handler has dealt with something that came by a durable subscription.
    Handle(usize, usize),
    /// A program's function comes by no tokens any more, or does again.
    Tokens(usize, bool),
    /// A server is asked to end the connections of all programs.
    Disconnect(usize),
    /// So much of the work is done at a server.
    Count(usize, u64),
    /// Somebody is present in a room, by a key.
    Track(Who, usize, usize),
    /// Somebody is present no more.
    Untrack(Who, usize),
    /// Somebody wants to know who is present in a room.
    Watch(Who, usize),
    /// A link breaks; its ends learn of it or not.
    Cut(usize, Cut),
    /// Something befalls a client or its network.
    Client(Who, ClientAct),
    /// Something befalls a server.
    Server(usize, ServerAct),
    /// Something befalls the backend.
    Backend(BackendAct),
    /// A program dies; whether what it knew is there when it starts again.
    Stop(usize, bool),
    /// A program that is down starts.
    Restart(usize),
    /// A program's timers come at multiples of this.
    LateClient(usize, Duration),
    /// Something becomes of a page of a browser.
    Page(usize, usize, PageAct),
}

/// A whole run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scenario {
    /// Decides what the operations leave open: delays, tosses of a coin, jitter.
    pub seed: u64,
    /// Who is there.
    pub plan: Plan,
    /// What happens, and how much time passes after it.
    pub ops: Vec<(Op, Duration)>,
}
