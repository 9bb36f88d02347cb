//! Tabs that elect a leader by a lock: every order in which messages, grants and timers come, a tab falls asleep or dies and
//! the lock is lost, up to a depth. No two act as the leader in one term; and from every state on one leads, once nothing
//! goes wrong any more.

use std::collections::{BTreeMap, VecDeque};

use tidegate_core::client::ClientConfig;
use tidegate_core::protocol::{ClientFrame, ServerFrame};
use tidegate_core::tabs::{
    Body, Election, Message, Page, Role, TabId, Tabs, TabsConfig, TabsOutput, Term,
};
use tidegate_core::time::Instant;
use tidegate_tests::explore::{Model, explore};
use tidegate_tests::json::Json;
use tidegate_tests::secs;

/// How far courses are followed; `TIDEGATE_DEPTH` says another depth.
const DEPTH: usize = 5;

/// The mishaps of one course.
const MISHAPS_MAX: usize = 2;

#[derive(Debug)]
struct Tab {
    machine: Tabs<Json>,
    is_asleep: bool,
    is_gone: bool,
    uplink: Option<u32>,
    /// What it is to be told of the lock: granted, or lost.
    told: VecDeque<(u32, bool)>,
}

#[derive(Debug)]
struct Group<const TABS: usize> {
    now: Instant,
    tabs: Vec<Tab>,
    /// From one to another, in order.
    ways: BTreeMap<(usize, usize), VecDeque<Message<Json>>>,
    holder: Option<(usize, u32)>,
    queue: VecDeque<(usize, u32)>,
    leaders: BTreeMap<Term, usize>,
    mishaps: usize,
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    Deliver(usize, usize),
    Tell(usize),
    Timer(usize),
    Sleep(usize),
    Wake(usize),
    Die(usize),
    LoseLock,
}

impl<const TABS: usize> Group<TABS> {
    fn possible(&self) -> Vec<Choice> {
        let mut possible = Vec::new();
        for ((from, to), way) in &self.ways {
            if !way.is_empty() && !self.tabs[*to].is_gone {
                possible.push(Choice::Deliver(*from, *to));
            }
        }
        for (index, tab) in self.tabs.iter().enumerate().filter(|(_, tab)| !tab.is_gone) {
            if tab.is_asleep {
                possible.push(Choice::Wake(index));
                continue;
            }
            if !tab.told.is_empty() {
                possible.push(Choice::Tell(index));
            }
            if tab.machine.poll_timeout().is_some() {
                possible.push(Choice::Timer(index));
            }
            if self.mishaps < MISHAPS_MAX {
                possible.extend([Choice::Sleep(index), Choice::Die(index)]);
            }
        }
        if self.mishaps < MISHAPS_MAX && self.holder.is_some() {
            possible.push(Choice::LoseLock);
        }
        possible
    }

    fn grant(&mut self) {
        if self.holder.is_none()
            && let Some((tab, request)) = self.queue.pop_front()
        {
            self.holder = Some((tab, request));
            self.tabs[tab].told.push_back((request, true));
        }
    }

    fn drain(&mut self, index: usize) {
        while let Some(output) = self.tabs[index].machine.poll_output() {
            self.handle(index, output);
        }
    }

    fn handle(&mut self, index: usize, output: TabsOutput<Json>) {
        let now = self.now;
        match output {
            TabsOutput::RequestLock { request, steal } => {
                if steal && let Some((robbed, request)) = self.holder.take() {
                    self.tabs[robbed].told.push_back((request, false));
                }
                if steal {
                    self.queue.push_front((index, request));
                } else {
                    self.queue.push_back((index, request));
                }
                self.grant();
            }
            TabsOutput::ReleaseLock { request } => {
                self.queue.retain(|ask| *ask != (index, request));
                if self.holder == Some((index, request)) {
                    self.holder = None;
                }
                self.grant();
            }
            TabsOutput::Post(message) => self.post(index, &message),
            TabsOutput::OpenUplink { link } => {
                self.tabs[index].uplink = Some(link);
                self.tabs[index].machine.handle_uplink_opened(now, link);
            }
            TabsOutput::CloseUplink { .. } => self.tabs[index].uplink = None,
            TabsOutput::SendUplink(frame) => self.answer(index, &frame),
            TabsOutput::AskToken { .. }
            | TabsOutput::SpawnWorker { .. }
            | TabsOutput::Retire
            | TabsOutput::Role(_)
            | TabsOutput::Opened { .. }
            | TabsOutput::Closed { .. }
            | TabsOutput::Reachable
            | TabsOutput::Frame { .. }
            | TabsOutput::State(_) => {}
        }
    }

    /// The server answers at once.
    fn answer(&mut self, index: usize, frame: &ClientFrame<Json>) {
        let link = self.tabs[index].uplink.expect("it is open");
        let answer = match frame {
            ClientFrame::Hello { .. } => ServerFrame::Welcome {
                heartbeat_ms: 25_000,
                expires_in_ms: None,
                message_bytes_max: None,
                publish_rate: None,
            },
            ClientFrame::Ping => ServerFrame::Pong,
            _ => return,
        };
        let now = self.now;
        self.tabs[index]
            .machine
            .handle_uplink_frame(now, link, answer);
    }

    fn post(&mut self, from: usize, message: &Message<Json>) {
        if let Body::Lead { .. } | Body::Down { .. } | Body::Tick = message.body {
            let leader = *self.leaders.entry(message.term).or_insert(from);
            assert_eq!(leader, from, "two act in {:?}", message.term);
        }
        for to in (0..TABS).filter(|to| *to != from && !self.tabs[*to].is_gone) {
            let way = self.ways.entry((from, to)).or_default();
            way.push_back(message.clone());
        }
    }

    fn deliver(&mut self, from: usize, to: usize) {
        let way = self.ways.get_mut(&(from, to)).expect("a way");
        let message = way.pop_front().expect("it is on its way");
        let before = self.tabs[to].machine.term();
        self.tabs[to].machine.handle_message(self.now, message);
        self.drain(to);
        let after = self.tabs[to].machine.term();
        assert!(after >= before, "the term of {to} falls to {after:?}");
    }

    fn tell(&mut self, index: usize) {
        let now = self.now;
        let (request, is_granted) = self.tabs[index].told.pop_front().expect("it is told");
        let machine = &mut self.tabs[index].machine;
        if !is_granted {
            machine.handle_lost(now, request);
        } else if self.holder == Some((index, request)) {
            machine.handle_granted(now, request);
        }
        self.drain(index);
    }

    fn fire(&mut self, index: usize) {
        if let Some(at) = self.tabs[index].machine.poll_timeout() {
            self.now = self.now.max(at);
            self.tabs[index].machine.handle_timeout(self.now);
            self.drain(index);
            let next = self.tabs[index].machine.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "{index} spins");
        }
    }

    fn wake(&mut self, index: usize) {
        self.tabs[index].is_asleep = false;
        self.tabs[index]
            .machine
            .handle_page(self.now, Page::Resumed);
        self.drain(index);
    }

    fn die(&mut self, index: usize) {
        self.tabs[index].is_gone = true;
        self.ways.retain(|(_, to), _| *to != index);
        self.queue.retain(|(tab, _)| *tab != index);
        self.holder.take_if(|(tab, _)| *tab == index);
        self.grant();
    }
}

impl<const TABS: usize> Model for Group<TABS> {
    fn start() -> Self {
        let tab = |index: usize| {
            let number = index as u64 + 1;
            let group = format!("group {number}");
            let client = ClientConfig::new(number);
            let config = TabsConfig::new(TabId(number), Election::Lock, group, client);
            Tab {
                machine: Tabs::new(config),
                is_asleep: false,
                is_gone: false,
                uplink: None,
                told: VecDeque::new(),
            }
        };
        let mut group = Self {
            now: Instant::ZERO,
            tabs: (0..TABS).map(tab).collect(),
            ways: BTreeMap::new(),
            holder: None,
            queue: VecDeque::new(),
            leaders: BTreeMap::new(),
            mishaps: 0,
        };
        for index in 0..TABS {
            group.tabs[index].machine.handle_enter(group.now);
            group.drain(index);
        }
        group
    }

    fn choices(&self) -> usize {
        self.possible().len()
    }

    fn take(&mut self, choice: usize) {
        let choice = self.possible()[choice];
        match choice {
            Choice::Deliver(from, to) => self.deliver(from, to),
            Choice::Tell(index) => self.tell(index),
            Choice::Timer(index) => self.fire(index),
            Choice::Sleep(index) => self.tabs[index].is_asleep = true,
            Choice::Wake(index) => self.wake(index),
            Choice::Die(index) => self.die(index),
            Choice::LoseLock => {
                if let Some((robbed, request)) = self.holder.take() {
                    self.tabs[robbed].told.push_back((request, false));
                }
                self.grant();
            }
        }
        if let Choice::Sleep(_) | Choice::Die(_) | Choice::LoseLock = choice {
            self.mishaps += 1;
        }
    }

    fn finish(mut self) {
        for index in 0..TABS {
            if self.tabs[index].is_asleep && !self.tabs[index].is_gone {
                self.wake(index);
            }
        }
        let end = self.now + secs(240);
        for _ in 0..100_000 {
            let calm = self
                .possible()
                .into_iter()
                .find(|choice| matches!(choice, Choice::Deliver(..) | Choice::Tell(_)));
            if let Some(choice) = calm {
                match choice {
                    Choice::Deliver(from, to) => self.deliver(from, to),
                    Choice::Tell(index) => self.tell(index),
                    Choice::Timer(_)
                    | Choice::Sleep(_)
                    | Choice::Wake(_)
                    | Choice::Die(_)
                    | Choice::LoseLock => {}
                }
                continue;
            }
            let here = (0..TABS).filter(|index| !self.tabs[*index].is_gone);
            let due =
                here.filter_map(|index| Some((self.tabs[index].machine.poll_timeout()?, index)));
            let Some((at, index)) = due.min().filter(|(at, _)| *at <= end) else {
                break;
            };
            self.now = self.now.max(at);
            self.fire(index);
        }
        let here: Vec<&Tab> = self.tabs.iter().filter(|tab| !tab.is_gone).collect();
        let leads = |tab: &&&Tab| tab.machine.role() == Role::Leader;
        let leaders = here.iter().filter(leads).count();
        assert_eq!(leaders, usize::from(!here.is_empty()), "{here:#?}");
        assert!(
            here.windows(2)
                .all(|two| two[0].machine.term() == two[1].machine.term())
        );
    }
}

fn check<const TABS: usize>(depth: usize, states_min: usize) {
    let given = std::env::var("TIDEGATE_DEPTH");
    let depth = given.map_or(depth, |depth| depth.parse().expect("a number"));
    let explored = explore::<Group<TABS>>(depth);
    eprintln!("{TABS} tabs, depth {depth}: {explored:?}");
    assert!(explored.states > states_min, "{explored:?}");
}

#[test]
fn of_two_tabs_one_comes_to_lead_and_never_two_in_one_term() {
    check::<2>(DEPTH, 500);
}

#[test]
fn of_three_tabs_one_comes_to_lead_and_never_two_in_one_term() {
    check::<3>(DEPTH - 2, 500);
}
