//! Servers that authenticate their clients, and the token functions of programs.
//!
//! A token is the time of its expiry, by a clock that all share; servers accept it until then.

use core::time::Duration;

use super::System;
use super::links::Event;
use crate::{ms, secs};

/// How long tokens last: longer than any pause.
const LIFE: Duration = secs(120);

/// How long a connection may outlive its token: timers are not exact in every run.
const GRACE: Duration = secs(1);

impl System {
    /// Calls a program's token function, which takes a while, and sometimes fails.
    pub(super) fn ask_token(&mut self, program: usize, request: u32) {
        self.note(format_args!(
            "program {program} is asked for token {request}"
        ));
        self.stats.tokens += 1;
        let fails = self.programs[program].has_no_tokens;
        let ends = self.now + LIFE;
        let token = (!fails).then(|| ends.as_micros().to_string());
        let at = self.now + ms(1 + self.pick(80));
        let life = self.programs[program].lives;
        let event = Event::Token(program, life, request, token);
        self.schedule(at, event);
    }

    pub(super) fn give_token(
        &mut self,
        program: usize,
        life: usize,
        request: u32,
        token: Option<String>,
    ) {
        if self.programs[program].lives == life {
            self.with_program(program, |hub, now| hub.handle_token(now, request, token));
        }
    }

    /// Asks a server to end the connections of all programs, which must then show new tokens.
    pub(super) fn disconnect(&mut self, server: usize) {
        self.stats.disconnects += 1;
        self.world.disconnect(server);
    }

    /// Checks that no client is served longer than its token lasts.
    ///
    /// # Panics
    /// If one is.
    pub(super) fn check_tokens(&self) {
        for (server, connection, ends) in self.world.granted() {
            let is_over = ends + GRACE < self.now;
            assert!(
                !is_over,
                "{connection:?} of server {server} should be closed"
            );
        }
    }
}
