//! Servers that ask who their clients are, and the programs' functions that come by tokens.
//!
//! A token says when it ends, by a clock that all share; a server that is shown one takes it until then.

use core::time::Duration;

use super::System;
use super::links::Event;
use crate::{ms, secs};

/// How long tokens last: longer than anything stands still.
const LIFE: Duration = secs(120);

/// How long after its token's end a connection may stand: timers are not exact in every run.
const GRACE: Duration = secs(1);

impl System {
    /// A program's function runs, which takes its time, and fails now and then.
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

    /// Whoever has shown a token to a server is to show another one.
    pub(super) fn disconnect(&mut self, server: usize) {
        self.stats.disconnects += 1;
        self.world.disconnect(server);
    }

    /// No client is served longer than its token lasts.
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
