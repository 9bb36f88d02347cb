//! How a tab handles messages from other tabs.

use core::time::Duration;

use super::config::{Election, TabsConfig};
use super::link::{Link, Phase};
use super::message::{Body, Message, TABS_VERSION, TERM_COUNTER_MAX, TabId, Term};
use super::output::{Role, TabsOutput};
use super::{Leader, Tabs};
use crate::client::ConnectionState;
use crate::payload::Payload;
use crate::time::Instant;

impl<P: Payload + Clone, const LEADS: bool> Tabs<P, LEADS> {
    /// A message arrived from another tab. Messages that don't concern this one are ignored.
    pub fn handle_message(&mut self, now: Instant, message: Message<P>) {
        let Message {
            version,
            from,
            to,
            term,
            body,
        } = message;
        if version != TABS_VERSION
            || from == self.config.tab
            || to.is_some_and(|to| to != self.config.tab)
            || term.counter > TERM_COUNTER_MAX
        {
            return;
        }
        if !self.is_here() {
            self.top = self.top.max(term);
            return;
        }
        self.roster.note(from);
        let speaks_as_leader = from == term.tab && body.is_of_leader();
        if term > self.top {
            self.handle_later_term(now, term, speaks_as_leader);
        } else if term < self.top && body.is_of_leader() {
            if matches!(body, Body::Lead { .. }) {
                // The sender was frozen, or has missed something: this message tells it the current term.
                let is_visible = self.is_visible();
                self.post(Some(from), Body::Alive { is_visible });
            }
            return;
        }
        if !self.is_here() || (body.is_of_leader() && !speaks_as_leader) {
            return self.drain(now);
        }
        self.candidacy.handle_answer();
        if matches!(self.election(), Election::Worker { .. }) && from == self.top.tab {
            // A worker is never frozen, so any message from it is a sign of life.
            self.handle_life(now);
        }
        self.handle_body(now, from, to, term, body);
        self.drain(now);
    }

    /// A message mentions a later leadership.
    fn handle_later_term(&mut self, now: Instant, term: Term, speaks_as_leader: bool) {
        self.top = term;
        if self.leading.is_some() {
            if let Election::Host { .. } = self.election() {
                self.retire();
            } else if speaks_as_leader {
                self.stop_leading();
                self.set_role(Role::Follower);
                self.candidacy
                    .handle_fenced(now, self.config.lease, &self.config);
            } else {
                // The later leadership has already ended, and this tab had not heard of it. To be listened to, this tab
                // needs a term that is later still.
                self.lead(now);
            }
        } else {
            self.leader = None;
            self.close_link();
        }
    }

    /// Another worker has replaced this one.
    pub(super) fn retire(&mut self) {
        self.stop_leading();
        self.candidacy.handle_leave();
        self.is_entered = false;
        self.set_role(Role::Away);
        self.output.push_back(TabsOutput::Retire);
    }

    fn handle_body(
        &mut self,
        now: Instant,
        from: TabId,
        to: Option<TabId>,
        term: Term,
        body: Body<P>,
    ) {
        match body {
            Body::Probe { is_visible } => {
                self.note_visible(now, from, is_visible);
                if self.leading.is_some() {
                    self.handle_probe(now, from);
                } else {
                    let is_visible = self.is_visible();
                    self.post(Some(from), Body::Alive { is_visible });
                }
            }
            Body::Alive { is_visible } => self.note_visible(now, from, is_visible),
            Body::Bye => self.handle_bye(now, from),
            Body::Claim { is_visible } => {
                if self.leading.is_some() {
                    self.announce(Some(from));
                }
                let theirs = (is_visible, core::cmp::Reverse(from));
                let ours = (self.is_visible(), core::cmp::Reverse(self.config.tab));
                self.candidacy
                    .handle_claim(now, theirs > ours, &self.config);
            }
            Body::Yield => self.candidacy.handle_yield(now, &self.config),
            Body::Lead {
                group,
                state,
                members,
            } => {
                self.group = group;
                self.handle_lead(now, term, state, &members);
                if to.is_none() {
                    let is_visible = self.is_visible();
                    self.post(Some(from), Body::Alive { is_visible });
                }
            }
            Body::Tick => self.handle_life(now),
            Body::Join { link } => self.handle_join(now, from, link, term),
            Body::Joined { link } => {
                let phase = Phase::Joining;
                if let Some(known) = &mut self.link
                    && (known.number, known.phase) == (link, phase)
                {
                    known.phase = Phase::Open;
                    self.output.push_back(TabsOutput::Opened { link });
                }
            }
            Body::Gone { link } => {
                if self.link.is_some_and(|known| known.number == link) {
                    self.link = None;
                    self.output.push_back(TabsOutput::Closed { link });
                }
            }
            Body::AskToken { request } => self.output.push_back(TabsOutput::AskToken { request }),
            Body::Token { request, token } => self.handle_told_token(now, from, request, token),
            Body::Up { link, frame } => self.handle_up(now, from, link, frame),
            Body::Down { frame } => {
                if to.is_none() {
                    self.handle_life(now);
                }
                self.hand_down(frame);
            }
        }
    }

    fn note_visible(&mut self, now: Instant, tab: TabId, is_visible: bool) {
        self.roster.note_visible(tab, is_visible);
        if let Some(leading) = self.leading.as_ref()
            && let Some(since) = self.hidden_since
            && is_visible
            && leading.handover_at.is_none()
        {
            let handover_at = self.handover(now, since);
            if let Some(leading) = self.leading.as_mut() {
                leading.handover_at = Some(handover_at);
            }
        }
    }

    fn handle_bye(&mut self, now: Instant, from: TabId) {
        self.roster.remove(from);
        if let Some(leading) = self.leading.as_mut() {
            leading.exchange.handle_close(from);
        } else if from == self.top.tab {
            self.leader = None;
            self.close_link();
            self.candidacy.handle_vacancy(now, &self.config);
        }
    }

    /// The leader announces itself and its members.
    fn handle_lead(
        &mut self,
        now: Instant,
        term: Term,
        state: ConnectionState,
        members: &[(TabId, u32)],
    ) {
        let known = self.leader.as_ref().filter(|leader| leader.term == term);
        let is_new = known.is_none();
        // Only a change is a sign of life, because a frozen leader still answers.
        if known.is_none_or(|leader| leader.state != state) {
            self.leader = Some(Leader {
                term,
                state: state.clone(),
            });
            self.output.push_back(TabsOutput::State(state));
            self.handle_life(now);
        }
        if let Some(Link { number, phase }) = self.link
            && phase == Phase::Open
            && !members.contains(&(self.config.tab, number))
        {
            self.close_link();
        }
        if is_new {
            if let Election::Worker { .. } = self.election() {
                self.candidacy.handle_generation(term.counter);
            }
            self.output.push_back(TabsOutput::Reachable);
        }
        self.join(now);
    }

    fn handle_life(&mut self, now: Instant) {
        let patience = self.patience(now);
        self.candidacy.handle_life(now, patience, &self.config);
    }

    /// How long the leader may be silent: longer while it has no connection over which a sign of life could arrive.
    fn patience(&mut self, now: Instant) -> Duration {
        let TabsConfig {
            lease, lease_min, ..
        } = self.config;
        let patience = self.rhythm.handle_life(now, lease_min, lease);
        let is_worker = matches!(self.election(), Election::Worker { .. });
        match self.leader.as_ref().map(|leader| &leader.state) {
            Some(ConnectionState::Connected | ConnectionState::Stale) => patience,
            Some(_) if !is_worker => self.config.lease_offline,
            Some(_) | None => self.config.lease,
        }
    }
}
