//! Carries out the next event and its consequences.

use core::time::Duration;

use tidegate_core::hub::{ConnectionId, PublishError, ServerAnswer, ServerOutput};
use tidegate_core::progress::Tracker;
use tidegate_core::protocol::ServerFrame;
use tidegate_core::publication::Position;
use tidegate_core::time::Instant;
use tidegate_core::uplink::{CallId, UplinkAnswer, UplinkCall};

use super::World;
use super::link::Event;
use crate::json::Json;
use crate::restless::wake_early;

/// The most outputs that one event may cause at a server.
const OUTPUTS_MAX: usize = 100_000;

impl World {
    /// Goes on to the next event, but not beyond `end`. Returns whether there was one.
    ///
    /// # Panics
    /// If a machine asks to be woken in the past, or a promise to a subscriber is broken.
    pub fn step(&mut self, end: Instant) -> bool {
        let Some(next) = self.next().filter(|next| *next <= end) else {
            return false;
        };
        self.now = self.now.max(next);
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        if event.is_some_and(|event| event <= self.now) {
            if let Some((_, event)) = self.events.pop_first() {
                self.happen(event);
            }
            return true;
        }
        for server in 0..self.servers.len() {
            if self.wakes(server).is_some_and(|at| at <= self.now) {
                let now = self.clock(server);
                let due = &mut self.servers[server];
                due.hub.handle_timeout(now);
                if let Some(tracker) = &mut due.tracker {
                    tracker.handle_timeout(now);
                }
                self.settle(server);
                let due = &self.servers[server];
                let next = due.tracker.as_ref().and_then(Tracker::poll_timeout);
                let next = [due.hub.poll_timeout(), next].into_iter().flatten().min();
                assert!(next.is_none_or(|at| at > now), "it would spin");
            }
        }
        true
    }

    /// The time of the next event.
    pub fn next(&self) -> Option<Instant> {
        let timers = (0..self.servers.len()).map(|server| self.wakes(server));
        let event = self.events.first_key_value().map(|((at, _), _)| *at);
        timers.chain([event]).flatten().min()
    }

    /// Lets time pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now + duration;
        while self.step(end) {}
        self.now = end;
    }

    /// Carries out a server's outputs until there are none left.
    pub(crate) fn settle(&mut self, server: usize) {
        for _ in 0..OUTPUTS_MAX {
            let has_spread = self.spread(server);
            let hub = &mut self.servers[server].hub;
            // Polling outputs also delivers to connections, which may cause calls and everything else below.
            if let Some(output) = hub.poll_output() {
                self.handle_output(server, output);
            } else if has_spread {
                continue;
            } else if let Some((id, call)) = hub.poll_call() {
                self.handle_call(server, id, call);
            } else if let Some(answer) = hub.poll_answer() {
                self.handle_answer(server, answer);
            } else if let Some(message) = hub.poll_presence() {
                self.note(format_args!("{server} broadcasts {message:?}"));
                self.broadcast(server, |to, life| Event::Presence {
                    server: to,
                    life,
                    message: message.clone(),
                });
            } else if let Some((id, token)) = hub.poll_token() {
                self.look_at(server, id, &token);
            } else if self.tell_disconnects(server) {
                continue;
            } else if let Some(output) = self.poll_progress(server) {
                self.handle_progress(server, output);
            } else {
                return self.wake_early(server);
            }
        }
        panic!("server {server} has no end of things to do");
    }

    fn wake_early(&mut self, server: usize) {
        if !self.is_restless || !self.runs(server) {
            return;
        }
        let now = self.clock(server);
        let early = &mut self.servers[server];
        wake_early(&mut early.hub, now, |hub| {
            let done = [
                hub.poll_call().map(|call| format!("{call:?}")),
                hub.poll_answer().map(|answer| format!("{answer:?}")),
                hub.poll_output().map(|output| format!("{output:?}")),
                hub.poll_presence().map(|message| format!("{message:?}")),
                hub.poll_token().map(|token| format!("{token:?}")),
            ];
            done.into_iter().flatten().next()
        });
        if let Some(tracker) = &mut early.tracker {
            wake_early(tracker, now, |tracker| tracker.poll_output());
        }
    }

    /// A server broadcasts to the others.
    pub(super) fn broadcast(&mut self, from: usize, told: impl Fn(usize, u32) -> Event) {
        for to in 0..self.servers.len() {
            let is_heard = |server: usize| {
                let server = &self.servers[server];
                server.is_up && server.link.is_open
            };
            let is_dropped = self.air.up_to(99) < self.weather.drops;
            if to == from || !is_heard(from) || !is_heard(to) || is_dropped {
                continue;
            }
            for _ in 0..=usize::from(self.air.up_to(99) < self.weather.doubles) {
                let micros = self.air.up_to(self.weather.announce_ms_max * 1000);
                let event = told(to, self.servers[to].life);
                self.send_at(self.now + Duration::from_micros(micros), event);
            }
        }
    }

    fn handle_answer(&mut self, server: usize, answer: ServerAnswer) {
        self.note(format_args!("{server} {answer:?}"));
        match answer {
            ServerAnswer::Published { ticket, result } => {
                let number = usize::try_from(ticket).expect("it is a number of ours");
                self.finish(number, result);
            }
            ServerAnswer::Subscribed {
                connection,
                pattern,
                result,
            } => {
                if let Err(error) = result {
                    self.refuse(server, connection, &pattern, &error);
                }
            }
        }
    }

    pub(super) fn finish(&mut self, number: usize, result: Result<Position, PublishError>) {
        let before = self.published[number].result.replace(result);
        assert_eq!(before, None, "publish {number} is answered twice");
    }

    fn handle_output(&mut self, server: usize, output: ServerOutput) {
        match output {
            _ if self.is_remote(server, output) => self.push_outward(server, output),
            ServerOutput::Ready(id) if self.is_witness(server, id) => self.bear_witness(server, id),
            ServerOutput::Ready(id) => self.take_frames(server, id),
            ServerOutput::Close(id, reason) => {
                self.note(format_args!("{server} wants {id:?} closed: {reason:?}"));
                self.take_frames(server, id);
                self.close(server, id);
            }
        }
    }

    fn take_frames(&mut self, server: usize, id: ConnectionId) {
        while let Some(frame) = self.servers[server].hub.poll_frame(id) {
            self.take_frame(server, id, &frame);
        }
        self.settle_watches(server, id);
    }

    pub(super) fn take_frame(
        &mut self,
        server: usize,
        id: ConnectionId,
        frame: &ServerFrame<Json>,
    ) {
        self.note(format_args!("{server} {id:?} is told {frame:?}"));
        let Some(watches) = self.servers[server].watches.get_mut(&id) else {
            panic!("{id:?} has left and is told {frame:?}");
        };
        watches.note(frame);
        for [before, after] in watches.take_successions() {
            self.store.check_succession(&before, &after);
        }
    }

    pub(super) fn settle_watches(&mut self, server: usize, id: ConnectionId) {
        if let Some(watches) = self.servers[server].watches.get_mut(&id) {
            watches.settle();
        }
    }

    fn handle_call(&mut self, server: usize, id: CallId, call: UplinkCall<Json>) {
        self.note(format_args!("{server} calls {id}: {call:?}"));
        self.calls.push((self.now, server, call.clone()));
        if (self.holds)(&call) {
            self.held_calls.push((server, id, call));
        } else {
            self.send_call(server, id, call);
        }
    }

    /// Answers a call that the test has held.
    pub fn answer(&mut self, server: usize, id: CallId, answer: UplinkAnswer<Json>) {
        self.note(format_args!("{server} is answered {id}: {answer:?}"));
        let now = self.clock(server);
        let hub = &mut self.servers[server].hub;
        hub.handle_answer(now, id, answer);
        self.settle(server);
    }

    pub(super) fn note(&mut self, what: std::fmt::Arguments<'_>) {
        self.log.note(self.now, what);
    }
}
