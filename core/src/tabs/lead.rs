//! A tab as the leader: its connection, its members, signs of life, handing over.

use core::time::Duration;

use alloc::vec::Vec;

use super::config::Election;
use super::exchange::{Exchange, ExchangeOutput};
use super::message::{Body, TabId, Term};
use super::output::{Role, TabsOutput};
use super::tokens::Question;
use super::{Leader, Tabs};
use crate::client::{ClientConfig, ConnectionState};
use crate::payload::Payload;
use crate::protocol::{ClientFrame, ErrorCode, GroupTerm, ServerFrame};
use crate::time::Instant;

/// The server is asked for a sign of life at most this often, however many tabs want one.
const PING_EVERY: Duration = Duration::from_secs(1);

/// The most publishes of all members together that may be waiting for their answer.
const REQUESTS_MAX: usize = 16 * 1024;

/// One leadership.
#[derive(Debug)]
pub(super) struct Leading<P> {
    pub(super) exchange: Exchange<P>,
    pub(super) term: Term,
    /// The host's number of a transport is the exchange's plus this, because the host's numbers continue across
    /// leaderships.
    base: u32,
    /// The transport that is open or being opened, by the host's number.
    uplink: Option<u32>,
    is_open: bool,
    ticked: Instant,
    /// Whether a tab waits for a sign of life.
    owes_tick: bool,
    pinged: Option<Instant>,
    pub(super) roll_at: Instant,
    pub(super) handover_at: Option<Instant>,
    /// The question for a token that is open.
    pub(super) question: Option<Question>,
}

/// A tab's leadership, if it leads. Written so that the compiler can see that a tab without `LEADS` has none.
#[derive(Debug)]
pub(super) struct Leadership<P, const LEADS: bool>(Option<Leading<P>>);

impl<P, const LEADS: bool> Leadership<P, LEADS> {
    pub(super) const fn none() -> Self {
        Self(None)
    }

    pub(super) const fn as_ref(&self) -> Option<&Leading<P>> {
        if LEADS { self.0.as_ref() } else { None }
    }

    pub(super) const fn as_mut(&mut self) -> Option<&mut Leading<P>> {
        if LEADS { self.0.as_mut() } else { None }
    }

    pub(super) const fn is_some(&self) -> bool {
        self.as_ref().is_some()
    }

    const fn take(&mut self) -> Option<Leading<P>> {
        if LEADS { self.0.take() } else { None }
    }
}

impl<P: Payload + Clone, const LEADS: bool> Tabs<P, LEADS> {
    /// This tab leads from now on, or continues to lead in a later term.
    pub(super) fn lead(&mut self, now: Instant) {
        if !LEADS {
            return;
        }
        let counter = match self.election() {
            Election::Host { generation } => generation,
            Election::Lock | Election::Claims | Election::Worker { .. } => self.top.counter + 1,
        };
        let tab = self.config.tab;
        let term = Term { counter, tab };
        self.top = term;
        let handover_at = self.hidden_since.map(|since| self.handover(now, since));
        let group = GroupTerm {
            group: self.group.clone(),
            term,
        };
        if let Some(leading) = self.leading.as_mut() {
            leading.term = term;
            leading.exchange.set_group(group);
        } else {
            let seed = self.random.next_u64();
            self.leading = Leadership(Some(Leading {
                exchange: Exchange::new(ClientConfig {
                    seed,
                    requests_max: REQUESTS_MAX,
                    group: Some(group),
                    ..self.config.client.clone()
                }),
                term,
                base: self.uplinks,
                uplink: None,
                is_open: false,
                ticked: now,
                owes_tick: false,
                pinged: None,
                roll_at: now + self.config.roll_every,
                handover_at,
                question: None,
            }));
            self.set_role(Role::Leader);
            let state = ConnectionState::Disconnected;
            self.leader = Some(Leader { term, state });
            self.close_link();
        }
        if let Some(leader) = &mut self.leader {
            leader.term = term;
        }
        self.announce(None);
        if !matches!(self.election(), Election::Host { .. }) {
            self.output.push_back(TabsOutput::Reachable);
            self.join(now);
        }
    }

    /// This tab no longer leads. Its connection is closed before anything else happens.
    pub(super) fn stop_leading(&mut self) {
        let Some(mut leading) = self.leading.take() else {
            return;
        };
        leading.exchange.handle_disconnect();
        if let Some(link) = leading.uplink {
            // Acknowledgements still go out over the connection that ends.
            while let Some(output) = leading.exchange.poll_output() {
                if let ExchangeOutput::Send(frame) = output {
                    self.output.push_back(TabsOutput::SendUplink(frame));
                }
            }
            self.output.push_back(TabsOutput::CloseUplink { link });
        }
        self.leader = None;
        self.close_link();
    }

    /// Announces the leader and its members: to all tabs, or to the one that it concerns.
    pub(super) fn announce(&mut self, to: Option<TabId>) {
        let (Some(leading), Some(leader)) = (self.leading.as_ref(), &self.leader) else {
            return;
        };
        let members = leading.exchange.members();
        let members: Vec<_> = members
            .filter(|(member, _)| to.is_none_or(|to| to == *member))
            .collect();
        let lead = Body::Lead {
            group: self.group.clone(),
            state: leader.state.clone(),
            members,
        };
        self.post(to, lead);
    }

    /// When to hand over: not before visible tabs have had time to report that they are.
    pub(super) fn handover(&self, now: Instant, hidden_since: Instant) -> Instant {
        let soon = now + self.config.claim_window;
        soon.max(hidden_since + self.config.handover_after)
    }

    /// Handles the leader's deadlines: checking its members, and handing over to a visible tab.
    pub(super) fn handle_lead_timeout(&mut self, now: Instant) {
        let Some(leading) = self.leading.as_mut() else {
            return;
        };
        leading.exchange.handle_timeout(now);
        let is_roll_due = leading.roll_at <= now;
        let is_handover_due = leading.handover_at.is_some_and(|at| at <= now);
        if is_roll_due {
            leading.roll_at = now + self.config.roll_every;
            for tab in self.roster.call() {
                leading.exchange.handle_close(tab);
            }
            self.announce(None);
        }
        if is_handover_due {
            let heir = self.roster.visible();
            let again = heir.map(|_| now + self.config.handover_after);
            if let Some(leading) = self.leading.as_mut() {
                leading.handover_at = again;
            }
            if let Some(heir) = heir {
                // If it doesn't take over, another one is asked next time.
                self.roster.note_visible(heir, false);
                self.post(Some(heir), Body::Yield);
            }
        }
        self.drain_exchange();
    }

    /// A tab asks to be connected through this one.
    pub(super) fn handle_join(&mut self, now: Instant, member: TabId, link: u32, term: Term) {
        let Some(leading) = self.leading.as_mut() else {
            return;
        };
        if term != leading.term {
            self.announce(Some(member));
        } else if leading.exchange.link_of(member).is_none()
            && leading.exchange.members().count() >= self.config.members_max
        {
            self.post(Some(member), Body::Gone { link });
        } else {
            leading.exchange.handle_open(now, member, link);
            self.post(Some(member), Body::Joined { link });
            // The tab may have missed a change of state in the meantime.
            self.announce(Some(member));
            self.drain_exchange();
        }
    }

    /// The network is back, or this page has resumed: if this tab leads and its connection is waiting to retry, it
    /// retries at once.
    pub fn handle_hurry(&mut self, now: Instant) {
        if let Some(leading) = self.leading.as_mut() {
            leading.exchange.handle_hurry(now);
            self.drain(now);
        }
    }

    /// A frame arrived from a member.
    pub(super) fn handle_up(
        &mut self,
        now: Instant,
        member: TabId,
        link: u32,
        frame: ClientFrame<P>,
    ) {
        let Some(leading) = self.leading.as_mut() else {
            return;
        };
        if leading.exchange.link_of(member) == Some(link) {
            leading.exchange.handle_frame(now, member, frame);
            self.drain_exchange();
        } else {
            self.post(Some(member), Body::Gone { link });
        }
    }

    /// A tab asks whether this leader is alive: the answer must come from the server, over the connection.
    pub(super) fn handle_probe(&mut self, now: Instant, from: TabId) {
        self.announce(Some(from));
        let is_host = matches!(self.election(), Election::Host { .. });
        let Some(leading) = self.leading.as_mut() else {
            return;
        };
        let is_recent = leading.pinged.is_some_and(|at| now - at < PING_EVERY);
        leading.owes_tick = true;
        if leading.is_open && !is_recent && !is_host {
            leading.pinged = Some(now);
            leading.exchange.handle_ping();
            self.drain_exchange();
        }
    }

    /// The transport `link` is open.
    pub fn handle_uplink_opened(&mut self, now: Instant, link: u32) {
        if let Some(leading) = self.leading.as_mut()
            && leading.uplink == Some(link)
        {
            leading.is_open = true;
            leading.exchange.handle_opened(now, link - leading.base);
            self.drain(now);
        }
    }

    /// The transport `link` is closed, or could not be opened.
    pub fn handle_uplink_closed(&mut self, now: Instant, link: u32) {
        if let Some(leading) = self.leading.as_mut()
            && leading.uplink == Some(link)
        {
            leading.uplink = None;
            leading.is_open = false;
            leading.exchange.handle_closed(now, link - leading.base);
            self.drain(now);
        }
    }

    /// A frame arrived over the transport `link`.
    pub fn handle_uplink_frame(&mut self, now: Instant, link: u32, frame: ServerFrame<P>) {
        let Some(leading) = self.leading.as_mut() else {
            return;
        };
        if leading.uplink != Some(link) {
            return;
        }
        if let ServerFrame::Error(error) = &frame
            && error.code == ErrorCode::Superseded
        {
            return self.handle_superseded(now);
        }
        leading
            .exchange
            .handle_server_frame(now, link - leading.base, frame);
        let silence = now - leading.ticked;
        let is_due = leading.owes_tick || silence >= self.config.lease / 3;
        let said = self.drain_exchange();
        if let Some(leading) = self.leading.as_mut()
            && (said || is_due)
        {
            leading.ticked = now;
            leading.owes_tick = false;
            if !said && !self.roster.is_empty() {
                self.post(None, Body::Tick);
            }
        }
        self.drain(now);
    }

    /// The server knows of a later leadership, and has ended this one's connection.
    fn handle_superseded(&mut self, now: Instant) {
        if let Election::Host { .. } = self.election() {
            return self.retire();
        }
        self.stop_leading();
        self.set_role(Role::Follower);
        self.candidacy.handle_superseded(now, &self.config);
        self.drain(now);
    }

    /// Carries out what the exchange emits. Returns whether that included a frame from the server to all members.
    pub(super) fn drain_exchange(&mut self) -> bool {
        let mut said = false;
        while let Some(leading) = self.leading.as_mut()
            && let Some(output) = leading.exchange.poll_output()
        {
            match output {
                ExchangeOutput::AskToken { request } => self.begin_asking(request),
                ExchangeOutput::Connect { link } => {
                    let link = leading.base + link;
                    leading.uplink = Some(link);
                    leading.is_open = false;
                    self.uplinks = link;
                    self.output.push_back(TabsOutput::OpenUplink { link });
                }
                ExchangeOutput::Disconnect { link } => {
                    let link = leading.base + link;
                    leading.uplink = None;
                    leading.is_open = false;
                    self.output.push_back(TabsOutput::CloseUplink { link });
                }
                ExchangeOutput::Send(frame) => {
                    self.output.push_back(TabsOutput::SendUplink(frame));
                }
                ExchangeOutput::State(state) => self.set_state(state),
                ExchangeOutput::One(member, frame) if member == self.config.tab => {
                    self.hand_down(frame);
                }
                ExchangeOutput::One(member, frame) => {
                    self.post(Some(member), Body::Down { frame });
                }
                ExchangeOutput::All(frame) => {
                    let own = self.config.tab;
                    if leading.exchange.members().any(|(member, _)| member != own) {
                        let frame = frame.clone();
                        self.post(None, Body::Down { frame });
                        said = true;
                    }
                    self.hand_down(frame);
                }
            }
        }
        said
    }

    fn set_state(&mut self, state: ConnectionState) {
        if let Some(leader) = &mut self.leader
            && leader.state != state
        {
            leader.state = state.clone();
            self.output.push_back(TabsOutput::State(state));
            self.announce(None);
        }
    }
}
