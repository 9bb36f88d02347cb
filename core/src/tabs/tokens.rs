//! Which tab the leader asks for a token: a worker has no page to ask, and a page may be unable to answer.

use alloc::string::String;
use alloc::vec::Vec;

use super::Tabs;
use super::config::Election;
use super::message::{Body, TabId};
use super::output::TabsOutput;
use crate::payload::Payload;
use crate::time::Instant;

/// A question for a token from the leader's connection.
#[derive(Debug)]
pub(super) struct Question {
    /// The connection's number for it.
    request: u32,
    /// The tabs that were asked, in this order. All but the last had no token, or didn't answer in time.
    asked: Vec<TabId>,
    /// When the last one's time is up; `None` if no tab is being asked.
    until: Option<Instant>,
}

impl Question {
    pub(super) const fn until(&self) -> Option<Instant> {
        self.until
    }
}

impl<P: Payload + Clone, const LEADS: bool> Tabs<P, LEADS> {
    /// The connection needs a token.
    pub(super) fn begin_asking(&mut self, request: u32) {
        if let Some(leading) = self.leading.as_mut() {
            leading.question = Some(Question {
                request,
                asked: Vec::new(),
                until: None,
            });
        }
    }

    /// Asks the next tab, unless one is being asked: first this one, then visible ones, then the others.
    pub(super) fn pursue_question(&mut self, now: Instant) {
        let is_host = matches!(self.election(), Election::Host { .. });
        let this = (!is_host).then_some(self.config.tab);
        while let Some(leading) = self.leading.as_mut()
            && let Some(question) = &mut leading.question
            && question.until.is_none_or(|until| until <= now)
        {
            let request = question.request;
            let own = this.filter(|own| !question.asked.contains(own));
            let Some(tab) = own.or_else(|| self.roster.choose(&question.asked)) else {
                leading.question = None;
                leading.exchange.handle_token(now, request, None);
                self.drain_exchange();
                continue;
            };
            question.asked.push(tab);
            question.until = Some(now + self.config.token_patience);
            if own.is_some() {
                self.output.push_back(TabsOutput::AskToken { request });
            } else {
                self.post(Some(tab), Body::AskToken { request });
            }
        }
    }

    /// This tab has got a token, or has failed to (`None`): the answer to [`TabsOutput::AskToken`].
    pub fn handle_token(&mut self, now: Instant, request: u32, token: Option<String>) {
        if self.leading.is_some() {
            self.handle_told_token(now, self.config.tab, request, token);
            self.drain(now);
        } else if self.is_here() {
            self.post(Some(self.top.tab), Body::Token { request, token });
        }
    }

    /// A tab has got a token, perhaps late, or has failed to.
    pub(super) fn handle_told_token(
        &mut self,
        now: Instant,
        from: TabId,
        request: u32,
        token: Option<String>,
    ) {
        let Some(leading) = self.leading.as_mut() else {
            return;
        };
        let Some(question) = leading.question.as_mut().filter(|it| it.request == request) else {
            return;
        };
        if token.is_some() {
            leading.question = None;
            leading.exchange.handle_token(now, request, token);
        } else if question.asked.last() == Some(&from) {
            question.until = None;
        }
    }
}
