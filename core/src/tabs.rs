//! One connection for all tabs of a browser: who has it, what passes through it, and who takes over.
//!
//! ```text
//!                        server
//!                          │ one WebSocket
//!   leader:  ┌─────────────┴──────────────┐
//!            │ Tabs                       │   election, terms, signs of life
//!            │   exchange: Client above,  │   one subscription for each pattern
//!            │   members below            │
//!            └──┬──────────────┬──────────┘
//!   in the same │              │ messages (a BroadcastChannel)
//!   tab ┌───────┴────┐   ┌─────┴──────┐
//!       │ ClientHub  │   │ Tabs       │  follower
//!       │ gates      │   │  ClientHub │
//!       └────────────┘   └────────────┘
//! ```
//!
//! Every tab has a [`ClientHub`](crate::hub::ClientHub) of its own, as if it were alone, except that its link is not a
//! socket but the group of tabs. So each tab has its own gates, knows the position of every topic, and repeats what was
//! not answered. When the leader changes, the tab connects again and resumes: nothing is lost, and nothing arrives
//! twice. [`TabHub`] combines the hub with the election.
//!
//! # Who leads
//! That depends on the [`Election`]: the holder of a Web Lock, or the first to claim the lead if there are no locks, or
//! a worker that the tabs share. Each leadership has a [`Term`]. Messages of an earlier term are ignored, and a leader
//! that learns of a later term is fenced: it closes its connection and follows. So the lock makes handovers quick and
//! connections few, but correctness does not depend on it. The server is told the term, too, together with a group name
//! that only these tabs know, and keeps only the connection of the latest term, because a leader that sleeps or hangs
//! can't close its own.
//!
//! # Who is alive
//! A frozen page still answers messages, and keeps its lock and its socket. So the only sign of life is what arrives
//! over the leader's connection, which the leader relays as [`Body::Tick`]. A follower that hears nothing asks the
//! leader, the leader asks the server, and the server's answer is the sign of life. No timer of the leader is involved,
//! so it doesn't matter how late its timers are.
//!
//! # What a host must do
//! - Take part in one channel per user and URL. Its name contains a hash of whatever distinguishes users, tokens and
//!   URLs, and [`TABS_VERSION`]. Tabs with the same name share a connection. Name the lock and the worker in the same
//!   way.
//! - Report [`Page::Frozen`] and [`Page::Leaving`] in `freeze` and `pagehide`, and do what [`Tabs::poll_output`] says
//!   before the event handler returns, because nothing runs after it.
//! - Time [`Tabs::poll_timeout`] in a worker, if possible. The timers of a hidden page may fire up to a minute late,
//!   which disconnects nobody, but lets a dead leader go unnoticed for that long.
//! - Draw a new [`TabId`] for every page that loads.

mod candidacy;
mod config;
mod exchange;
mod follow;
mod hub;
mod lead;
mod link;
mod message;
mod output;
mod rhythm;
mod roster;
mod tokens;

use alloc::collections::VecDeque;
use alloc::string::String;

use crate::client::ConnectionState;
use crate::payload::Payload;
use crate::random::Random;
use crate::time::Instant;
use candidacy::{Candidacy, Step};
use lead::Leadership;
use link::{Link, Phase};
use rhythm::Rhythm;
use roster::Roster;
use tokens::Question;

pub use config::{Election, TabsConfig};
pub use hub::{TabHub, TabOutput};
pub use message::{Body, Message, TABS_VERSION, TabId, Term};
pub use output::{Role, TabsOutput};

/// What happens to the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// It is shown to its user.
    Visible,
    /// It is not.
    Hidden,
    /// It is frozen (`freeze`): none of its code runs after this.
    Frozen,
    /// It is left (`pagehide`): closed, or kept frozen in case the user comes back.
    Leaving,
    /// It is running again (`resume`), or is shown again (`pageshow`).
    Resumed,
}

/// The leader that this tab knows.
#[derive(Clone, Debug)]
struct Leader {
    term: Term,
    state: ConnectionState,
}

/// One tab's part in sharing a connection, or a worker's.
///
/// `handle_enter`, `handle_leave`, `handle_page`, `handle_granted`, `handle_lost`, `handle_message`, `handle_token` and
/// `handle_uplink_*` report what happened; `handle_connect`, `handle_disconnect` and `handle_send` are what the tab's
/// own hub wants from its link. After each, drain `poll_output` until `None`.
///
/// With `LEADS` set to `false` it never leads, like a tab whose leader is a worker, and contains none of a leader's
/// code.
#[derive(Debug)]
pub struct Tabs<P, const LEADS: bool = true> {
    config: TabsConfig,
    candidacy: Candidacy<LEADS>,
    roster: Roster,
    random: Random,
    /// Whether the user wants a connection.
    is_entered: bool,
    /// Whether the page is frozen or being left.
    is_asleep: bool,
    hidden_since: Option<Instant>,
    role: Role,
    /// The latest term that any message has mentioned.
    top: Term,
    leader: Option<Leader>,
    /// The group name under which the server knows the tabs.
    group: String,
    rhythm: Rhythm,
    leading: Leadership<P, LEADS>,
    link: Option<Link>,
    /// How many transports have been opened.
    uplinks: u32,
    output: VecDeque<TabsOutput<P>>,
}

impl<P: Payload + Clone, const LEADS: bool> Tabs<P, LEADS> {
    /// A visible tab, or a worker, that doesn't take part yet. With `LEADS` set to `false`, a worker leads, whatever
    /// the configuration says.
    pub fn new(config: TabsConfig) -> Self {
        Self {
            candidacy: Candidacy::new(&config),
            roster: Roster::default(),
            random: Random::new(config.client.seed ^ config.tab.0),
            is_entered: false,
            is_asleep: false,
            hidden_since: None,
            role: Role::Away,
            top: Term::default(),
            leader: None,
            group: config.group.clone(),
            rhythm: Rhythm::default(),
            leading: Leadership::none(),
            link: None,
            uplinks: 0,
            output: VecDeque::new(),
            config,
        }
    }

    /// The user wants a connection: the tab takes part from now on.
    pub fn handle_enter(&mut self, now: Instant) {
        if !self.is_entered {
            self.is_entered = true;
            if !self.is_asleep {
                self.arrive(now);
            }
        }
    }

    /// The user wants no connection any more.
    pub fn handle_leave(&mut self) {
        if self.is_here() {
            self.depart();
        }
        self.is_entered = false;
    }

    /// Reports what happens to the page.
    pub fn handle_page(&mut self, now: Instant, page: Page) {
        match page {
            Page::Visible | Page::Hidden => self.handle_visible(now, page == Page::Visible),
            Page::Frozen | Page::Leaving => {
                if self.is_here() {
                    self.depart();
                }
                self.is_asleep = true;
            }
            Page::Resumed => {
                if self.is_here() {
                    // It was frozen without being told: nothing from before can be relied on.
                    self.depart();
                }
                self.is_asleep = false;
                if self.is_entered {
                    self.arrive(now);
                }
            }
        }
        self.drain(now);
    }

    fn handle_visible(&mut self, now: Instant, is_visible: bool) {
        if is_visible == self.hidden_since.is_none() {
            return;
        }
        self.hidden_since = (!is_visible).then_some(now);
        let handover_at = self.hidden_since.map(|since| self.handover(now, since));
        if let Some(leading) = self.leading.as_mut() {
            leading.handover_at = handover_at;
        }
        if self.is_here() {
            self.post(None, Body::Alive { is_visible });
        }
    }

    const fn election(&self) -> Election {
        candidacy::election::<LEADS>(&self.config)
    }

    const fn is_here(&self) -> bool {
        self.is_entered && !self.is_asleep
    }

    const fn is_visible(&self) -> bool {
        self.hidden_since.is_none()
    }

    fn arrive(&mut self, now: Instant) {
        self.set_role(Role::Follower);
        let is_visible = self.is_visible();
        self.post(None, Body::Probe { is_visible });
        self.candidacy.handle_enter(now, &self.config);
        self.drain(now);
    }

    /// Gives up everything, so that no other tab waits for this one.
    fn depart(&mut self) {
        self.post(None, Body::Bye);
        self.stop_leading();
        self.candidacy.handle_leave();
        self.take_steps();
        self.leader = None;
        self.rhythm = Rhythm::default();
        self.close_link();
        self.roster.clear();
        self.set_role(Role::Away);
    }

    /// The lock of this request was granted.
    pub fn handle_granted(&mut self, now: Instant, request: u32) {
        self.candidacy.handle_granted(now, request);
        self.drain(now);
    }

    /// The lock of this request was stolen, or could not be obtained.
    pub fn handle_lost(&mut self, now: Instant, request: u32) {
        if self.candidacy.handle_lost(request) && self.leading.is_some() {
            self.post(None, Body::Bye);
            self.stop_leading();
            self.set_role(Role::Follower);
            self.candidacy.handle_vacancy(now, &self.config);
        }
        self.drain(now);
    }

    /// A deadline was reached.
    pub fn handle_timeout(&mut self, now: Instant) {
        let leader = self.top.tab;
        let is_alone = self.roster.iter().all(|tab| tab == leader);
        let is_visible = self.is_visible();
        self.candidacy
            .handle_timeout(now, self.top, is_alone, is_visible, &self.config);
        self.handle_lead_timeout(now);
        self.drain(now);
    }

    fn post(&mut self, to: Option<TabId>, body: Body<P>) {
        self.output.push_back(TabsOutput::Post(Message {
            version: TABS_VERSION,
            from: self.config.tab,
            to,
            term: self.top,
            body,
        }));
    }

    fn set_role(&mut self, role: Role) {
        if self.role != role {
            self.role = role;
            self.output.push_back(TabsOutput::Role(role));
        }
    }

    fn drain(&mut self, now: Instant) {
        self.drain_exchange();
        while self.take_steps() {
            self.lead(now);
        }
        self.pursue_question(now);
    }

    /// Carries out the candidacy's steps. Returns true at a step to lead; further steps may follow it.
    fn take_steps(&mut self) -> bool {
        while let Some(step) = self.candidacy.steps.pop_front() {
            let output = match step {
                Step::Lead => return true,
                Step::Forget => {
                    self.roster.clear();
                    continue;
                }
                Step::Probe => {
                    let is_visible = self.is_visible();
                    self.post(None, Body::Probe { is_visible });
                    continue;
                }
                Step::Claim => {
                    let is_visible = self.is_visible();
                    self.post(None, Body::Claim { is_visible });
                    continue;
                }
                Step::RequestLock { request, steal } => TabsOutput::RequestLock { request, steal },
                Step::ReleaseLock { request } => TabsOutput::ReleaseLock { request },
                Step::SpawnWorker { generation } => TabsOutput::SpawnWorker {
                    generation,
                    group: self.group.clone(),
                },
            };
            self.output.push_back(output);
        }
        false
    }

    /// What the host must do next.
    pub fn poll_output(&mut self) -> Option<TabsOutput<P>> {
        self.output.pop_front()
    }

    /// When [`Tabs::handle_timeout`] must be called at the latest.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lead = self.leading.as_ref().map(|leading| {
            let roll = leading.roll_at;
            let exchange = leading.exchange.poll_timeout();
            let token = leading.question.as_ref().and_then(Question::until);
            [leading.handover_at, exchange, token]
                .into_iter()
                .flatten()
                .fold(roll, Instant::min)
        });
        let candidacy = self.candidacy.poll_timeout();
        [lead, candidacy].into_iter().flatten().min()
    }

    /// This tab's role among the tabs.
    pub const fn role(&self) -> Role {
        self.role
    }

    /// The latest term that any message has mentioned; this tab's own if it leads.
    pub const fn term(&self) -> Term {
        self.top
    }

    /// The state of the leader's connection. `None` if this tab's hub is not linked to the leader, or the leader has
    /// been silent for so long that this tab is taking over.
    pub fn state(&self) -> Option<&ConnectionState> {
        let is_open = self.link.is_some_and(|link| link.phase == Phase::Open);
        let is_there = is_open && self.candidacy.knows_leader();
        let leader = self.leader.as_ref().filter(|_| is_there);
        leader.map(|leader| &leader.state)
    }

    /// The longest message that the server accepts, in bytes, if this tab leads and the server has said so.
    pub fn message_bytes_max(&self) -> Option<u64> {
        self.leading.as_ref()?.exchange.message_bytes_max()
    }

    /// How many members are connected through this tab, and how many patterns they follow together.
    pub fn counts(&self) -> (usize, usize) {
        self.leading.as_ref().map_or((0, 0), |leading| {
            let exchange = &leading.exchange;
            (exchange.members().count(), exchange.patterns())
        })
    }
}

#[cfg(test)]
mod tests;
