//! Carries out the operations of a scenario.

use core::time::Duration;

use tidegate_core::protocol::PublishRequest;

use super::links::Event;
use super::{BackendAct, By, ClientAct, Op, PageAct, ServerAct, System, TOPICS, Who};
use crate::json::Json;
use crate::network::Cut;
use crate::tab_model::{Life, Machine};
use crate::{secs, topic};

/// The most pages of a browser.
const PAGES_MAX: usize = 5;

impl System {
    /// Carries out an operation.
    pub fn take(&mut self, op: &Op) {
        self.note(format_args!("--- {op:?}"));
        match *op {
            Op::Publish {
                by,
                topic: to,
                count,
                end,
                restart,
            } => {
                for number in 1..=count {
                    let mut request = PublishRequest::new(topic(TOPICS[to]), Json::from(0));
                    request.end = end.filter(|_| number == count).map(Into::into);
                    request.restart = restart;
                    self.publish(by, request);
                }
            }
            Op::Subscribe(who, to, flow, start) => self.subscribe(who, to, flow, start),
            Op::Unsubscribe(which) => self.unsubscribe(which),
            Op::Reflow(which, flow) => self.reflow(which, flow),
            Op::Listen(server, to, flow, start) => {
                self.listen(server % self.world.servers.len(), to, flow, start);
            }
            Op::Hush(which) => self.hush(which),
            Op::Count(server, count) => self.world.count(server % self.world.servers.len(), count),
            Op::TakeUp(program, device) => {
                self.at_program(program, |system, program| system.take_up(program, device));
            }
            Op::Handle(program, which) => {
                self.at_program(program, |system, program| {
                    system.handle_some(program, which)
                });
            }
            Op::Tokens(program, fails) => self.at_program(program, |system, program| {
                system.programs[program].has_no_tokens = fails;
            }),
            Op::Disconnect(server) => self.disconnect(server % self.world.servers.len()),
            Op::Track(who, room, key) => self.track(who, room, key),
            Op::Untrack(who, which) => self.untrack(who, which),
            Op::Watch(who, room) => self.watch(who, room),
            Op::Stop(program, keeps) => {
                self.at_program(program, |system, program| {
                    system.stop_program(program, keeps)
                });
            }
            Op::Restart(program) => self.at_program(program, Self::start_program),
            Op::Page(browser, page, act) => self.befall_page(browser, page, act),
            Op::Cut(which, cut) => {
                let standing = self.standing();
                if let Some(index) = which.checked_rem(standing.len()) {
                    self.cut_link(standing[index], cut);
                }
            }
            Op::LateClient(program, lateness) => self.at_program(program, |system, program| {
                system.programs[program].lateness = lateness;
            }),
            Op::Client(who, act) => self.befall_client(who, act),
            Op::Server(server, act) => self.befall_server(server % self.world.servers.len(), act),
            Op::Backend(act) => self.befall_backend(act),
        }
        self.settle();
    }

    /// Acts on a program, if there is one.
    fn at_program(&mut self, program: usize, act: impl FnOnce(&mut Self, usize)) {
        if let Some(program) = program.checked_rem(self.programs.len()) {
            act(self, program);
        }
    }

    fn befall_client(&mut self, who: Who, act: ClientAct) {
        match who {
            Who::Program(program) => {
                if let Some(program) = program.checked_rem(self.programs.len()) {
                    self.befall_program(program, act);
                }
            }
            Who::Page(browser, _) => {
                let count = self.browsers.len();
                let Some(node) = browser
                    .checked_rem(count)
                    .map(|index| &mut self.browsers[index])
                else {
                    return;
                };
                match act {
                    ClientAct::Quality(quality) => node.quality = quality,
                    ClientAct::Reach(is_reachable) => node.browser.set_network(is_reachable),
                    ClientAct::Jump(by) => {
                        node.browser.ahead += by;
                        node.set_now(self.now);
                    }
                }
            }
        }
    }

    fn befall_program(&mut self, program: usize, act: ClientAct) {
        let befallen = &mut self.programs[program];
        match act {
            ClientAct::Quality(quality) => {
                befallen.quality = quality;
                if let Some(link) = befallen.link {
                    self.links[link].quality = quality;
                }
            }
            ClientAct::Reach(is_reachable) => {
                befallen.quality.is_reachable = is_reachable;
                if let Some(link) = befallen.link.filter(|_| !is_reachable) {
                    self.cut_link(link, Cut::Silent);
                }
            }
            ClientAct::Jump(by) => befallen.ahead += by,
        }
    }

    fn befall_server(&mut self, server: usize, act: ServerAct) {
        match act {
            ServerAct::Kill => {
                self.world.kill(server);
                self.break_links_of(server);
            }
            ServerAct::Drain => {
                self.may_hold_copies = true;
                self.world.drain(server);
                self.schedule(self.now + secs(6), Event::Ended(server));
            }
            ServerAct::Start => self.world.start(server),
            ServerAct::Pause(how_long) => {
                self.may_hold_copies = true;
                self.world.pause(server, how_long);
            }
            ServerAct::Jump(by) => {
                if by >= self.world.retention(server) {
                    // A topic that is idle for that long is forgotten, and starts over without a reset.
                    self.may_have_forgotten = true;
                    self.hush_all();
                }
                self.world.jump(server, by);
            }
            ServerAct::Late(lateness) => self.world.set_lateness(server, lateness),
        }
    }

    /// A drained server ends, and another one starts in its place.
    pub(super) fn end_server(&mut self, server: usize) {
        self.world.shut_down(server);
        self.break_links_of(server);
        self.world.start(server);
    }

    fn befall_backend(&mut self, act: BackendAct) {
        let count = self.world.servers.len();
        match act {
            BackendAct::Cut(server, is_told) => self.world.cut(server % count, is_told),
            BackendAct::Away(server, is_away) => {
                self.world.servers[server % count].link.is_reachable = !is_away;
                if is_away {
                    self.world.cut(server % count, true);
                }
            }
            BackendAct::Full(is_full) => self.world.store.is_full = is_full,
            // A backend that comes back without part of its data has lost its links before.
            BackendAct::LoseTail(to, tail) => {
                self.world.store.lose_tail(&topic(TOPICS[to]), tail);
                (0..count).for_each(|server| self.world.cut(server, true));
            }
            BackendAct::Wipe => {
                self.world.store.wipe();
                (0..count).for_each(|server| self.world.cut(server, true));
            }
            BackendAct::Miss(server) => {
                if self.world.runs(server % count) {
                    self.world.miss(server % count);
                }
            }
        }
    }

    fn befall_page(&mut self, browser: usize, page: usize, act: PageAct) {
        let Some(index) = browser.checked_rem(self.browsers.len()) else {
            return;
        };
        let awake = self.browsers[index].pages(Life::Awake);
        let asleep = [Life::Frozen, Life::Cached].map(|life| self.browsers[index].pages(life));
        let asleep = asleep.concat();
        let node = &mut self.browsers[index];
        let chosen = |from: &[usize]| page.checked_rem(from.len()).map(|page| from[page]);
        match act {
            PageAct::Open => {
                if awake.len() + asleep.len() < PAGES_MAX {
                    node.browser.open();
                }
            }
            PageAct::Wake => chosen(&asleep)
                .into_iter()
                .for_each(|page| node.browser.wake(page)),
            PageAct::LoseLock => node.browser.lose_lock(),
            PageAct::EndWorker => {
                let pages = node.browser.pages.iter().enumerate();
                let mut workers = pages.filter(|(_, page)| {
                    page.life == Life::Awake && matches!(page.machine, Machine::Worker(_))
                });
                let worker = workers.next().map(|(worker, _)| worker);
                worker
                    .into_iter()
                    .for_each(|worker| node.browser.end_worker(worker));
            }
            PageAct::Close
            | PageAct::Crash
            | PageAct::Freeze
            | PageAct::FreezeAtOnce
            | PageAct::Hang
            | PageAct::Cache
            | PageAct::Show
            | PageAct::Hide(_) => {
                if let Some(page) = chosen(&awake) {
                    self.befall_awake(index, page, act);
                }
            }
        }
    }

    fn befall_awake(&mut self, index: usize, page: usize, act: PageAct) {
        let browser = &mut self.browsers[index].browser;
        match act {
            PageAct::Close => browser.close(page),
            PageAct::Crash => browser.crash(page),
            PageAct::Freeze => browser.freeze(page),
            PageAct::FreezeAtOnce => browser.freeze_at_once(page),
            PageAct::Hang => browser.hang(page),
            PageAct::Cache => browser.cache(page),
            PageAct::Show => browser.show(page, true, Duration::ZERO),
            PageAct::Hide(lateness) => browser.show(page, false, lateness),
            PageAct::Open | PageAct::Wake | PageAct::LoseLock | PageAct::EndWorker => {}
        }
        if browser.pages[page].life == Life::Gone {
            let node = &mut self.browsers[index];
            node.present.retain(|(other, _), _| *other != page);
            node.watched.retain(|(other, _)| *other != page);
            self.lose_asked(By::Page(index, page));
        }
    }
}
