//! A server that authenticates its clients, and the token functions of pages.

use std::sync::Arc;

use tidegate_core::access::Grant;
use tidegate_core::hub::ConnectionId;
use tidegate_core::session::Access;

use super::{Browser, Event, Life};

/// The behaviour of a page's token function.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Gives {
    /// It returns a new token.
    #[default]
    Tokens,
    /// It fails.
    Nothing,
    /// It never returns.
    NoAnswer,
}

impl Browser {
    pub(super) fn open_connection(&mut self) -> ConnectionId {
        match self.token_life {
            Some(_) => self.server.handle_open_as(self.now, &Access::asked()),
            None => self.server.handle_open(self.now),
        }
    }

    /// Accepts every token, for as long as tokens last.
    pub(super) fn look_at_tokens(&mut self) {
        while let Some((id, _)) = self.server.poll_token() {
            let grant = Grant {
                user: Some("ada".into()),
                expires: self.token_life.map(|life| self.now + life),
                ..Grant::everything()
            };
            self.server
                .handle_authenticated(self.now, id, Ok(Arc::new(grant)));
        }
    }

    /// Calls a page's token function, which takes a while.
    pub(super) fn ask_token(&mut self, page: usize, request: u32) {
        self.note(format_args!("{page} is asked for token {request}"));
        self.asked.push((self.now, page));
        let token = match self.pages[page].gives {
            Gives::Tokens => Some(format!("token {}", self.asked.len())),
            Gives::Nothing => None,
            Gives::NoAnswer => return,
        };
        let at = self.now + self.delay(1_000, 80_000);
        self.schedule(at, Event::Token(page, request, token));
    }

    pub(super) fn give_token(&mut self, page: usize, request: u32, token: Option<String>) {
        let now = self.now;
        match self.pages[page].life {
            Life::Awake => self.with_tab(page, |hub| hub.handle_token(now, request, token)),
            Life::Frozen | Life::Cached => {
                let event = Event::Token(page, request, token);
                self.pages[page].postponed.push(event);
            }
            Life::Gone => {}
        }
    }
}
