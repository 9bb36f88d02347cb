//! Carries out the machines' outputs: the lock, the channel, sockets, workers.

use tidegate_core::hub::{Due, ServerOutput};
use tidegate_core::protocol::ServerFrame;
use tidegate_core::tabs::{Body, Election, Message, Role, TabOutput, Tabs, TabsConfig, TabsOutput};

use super::locks::Ask;
use super::{Browser, Event, Life, Machine, Page};
use crate::json::Json;
use crate::restless::wake_early;

impl Browser {
    /// Carries out the machines' outputs until there are none left.
    pub(crate) fn settle(&mut self) {
        loop {
            let mut is_quiet = true;
            while let Some(output) = self.server.poll_output() {
                is_quiet = false;
                self.handle_server_output(output);
            }
            for page in 0..self.pages.len() {
                while let Some(output) = self.pages[page].machine.poll_output() {
                    is_quiet = false;
                    self.handle_output(page, output);
                }
            }
            if is_quiet {
                return self.wake_early();
            }
        }
    }

    fn wake_early(&mut self) {
        let now = self.now;
        let pages = self.pages.iter_mut();
        for page in pages.filter(|page| page.life == Life::Awake && self.is_restless) {
            wake_early(&mut page.machine, now, |machine| machine.poll_output());
        }
    }

    fn handle_server_output(&mut self, output: ServerOutput) {
        match output {
            ServerOutput::Ready(id) if id == self.witness => self.bear_witness(),
            ServerOutput::Ready(id) => {
                if let Some(socket) = self.by_connection.get(&id).copied() {
                    self.pump(socket);
                }
            }
            ServerOutput::Close(id, _) => {
                if let Some(socket) = self.by_connection.get(&id).copied() {
                    self.close_from_server(socket);
                }
            }
        }
    }

    fn bear_witness(&mut self) {
        while let Some(frame) = self.server.poll_frame(self.witness) {
            if let ServerFrame::Publication { publication, .. } = frame {
                self.truth.push((self.now, publication));
            }
        }
    }

    fn handle_output(&mut self, page: usize, output: TabOutput<Json>) {
        match output {
            TabOutput::Tabs(output) => self.handle_tabs_output(page, output),
            TabOutput::State(state) => {
                self.note(format_args!("{page} is {state:?}"));
                self.pages[page].states.push((self.now, state));
            }
            TabOutput::Due(due) => self.hand_over(page, due),
            TabOutput::Presence(_) => {}
            TabOutput::Published { request, result } => {
                self.note(format_args!("{page} published {request}: {result:?}"));
                let before = self.pages[page].published.insert(request, result);
                assert_eq!(before, None, "publish {request} was answered twice");
            }
        }
    }

    fn handle_tabs_output(&mut self, page: usize, output: TabsOutput<Json>) {
        match output {
            TabsOutput::RequestLock { request, steal } => {
                self.note(format_args!("{page} requests lock {request}, {steal}"));
                self.request_lock(Ask { page, request }, steal);
            }
            TabsOutput::ReleaseLock { request } => {
                self.note(format_args!("{page} releases lock {request}"));
                let told = self.locks.release(Ask { page, request });
                self.tell_soon(told);
            }
            TabsOutput::AskToken { request } => self.ask_token(page, request),
            TabsOutput::Post(message) => self.post(page, &message),
            TabsOutput::OpenUplink { link } => self.open_socket(page, link),
            TabsOutput::CloseUplink { link } => self.close_socket(page, link),
            TabsOutput::SendUplink(frame) => self.send_up(page, &frame),
            TabsOutput::SpawnWorker { generation, group } => {
                self.attach(page, generation, group);
            }
            TabsOutput::Retire => self.end_worker(page),
            TabsOutput::Role(role) => {
                self.note(format_args!("{page} is {role:?}"));
                self.pages[page].roles.push((self.now, role));
                if role == Role::Leader {
                    let term = self.pages[page].machine.tabs().term();
                    self.pages[page].led.push((self.now, term));
                }
            }
            TabsOutput::State(_) => {}
            TabsOutput::Opened { .. }
            | TabsOutput::Closed { .. }
            | TabsOutput::Reachable
            | TabsOutput::Frame { .. } => panic!("workers have no hub: {output:?}"),
        }
    }

    fn post(&mut self, from: usize, message: &Message<Json>) {
        self.note(format_args!("{from} says {message:?}"));
        if let Body::Lead { .. } | Body::Down { .. } | Body::Tick = message.body {
            let leader = *self.leaders.entry(message.term).or_insert(from);
            assert_eq!(leader, from, "two act in {:?}", message.term);
        }
        for to in 0..self.pages.len() {
            if to != from && self.pages[to].life != Life::Gone {
                // Now and then a page is busy.
                let most = if self.random.up_to(30) == 0 {
                    40_000
                } else {
                    1_500
                };
                let at = self.now + self.delay(150, most);
                let last = self.arrivals.entry((from, to)).or_insert(at);
                *last = at.max(*last);
                let at = *last;
                self.schedule(at, Event::Message(from, to, message.clone()));
            }
        }
    }

    fn hand_over(&mut self, page: usize, due: Due<Json>) {
        let id = match &due {
            Due::Deliver { delivery, .. } => delivery.subscription,
            Due::Reset { subscription, .. }
            | Due::End { subscription, .. }
            | Due::Lagged { subscription, .. }
            | Due::Refused { subscription, .. } => *subscription,
        };
        let record = self.pages[page].subscribers[&id];
        self.note(format_args!("{page} tells {record}: {due:?}"));
        self.records[record].note(self.now, due);
    }

    /// Starts the worker of a generation unless it runs, and attaches a page to it.
    fn attach(&mut self, page: usize, generation: u64, group: String) {
        self.note(format_args!("{page} attaches to worker {generation}"));
        let before = self.pages[page].attached.replace(generation);
        assert!(before <= Some(generation), "{before:?}, then {generation}");
        self.generation = self.generation.max(generation);
        let is_running = self.pages.iter().any(|page| {
            page.life != Life::Gone
                && matches!(page.machine, Machine::Worker(_))
                && page.attached == Some(generation)
        });
        if !is_running {
            let election = Election::Host { generation };
            let config = TabsConfig {
                group,
                ..self.config(election)
            };
            let tab = config.tab;
            let mut tabs = Tabs::new(config);
            tabs.handle_enter(self.now);
            let mut worker = Page::new(tab, Machine::Worker(Box::new(tabs)));
            worker.attached = Some(generation);
            self.pages.push(worker);
        }
        self.end_idle_workers();
    }
}
