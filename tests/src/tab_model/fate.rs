//! Events in the lives of pages, the lock and the network.

use core::time::Duration;

use tidegate_core::tabs;

use super::locks::{Ask, Told};
use super::{Browser, Event, Life, Machine};

impl Browser {
    fn tell_page(&mut self, page: usize, what: tabs::Page) {
        self.note(format_args!("{page} is told {what:?}"));
        let now = self.now;
        self.with_tab(page, |hub| {
            if matches!(what, tabs::Page::Frozen | tabs::Page::Leaving) {
                hub.handle_pause(now);
            }
            hub.handle_page(now, what);
        });
    }

    /// A page is shown or hidden; hidden ones may have late timers.
    pub fn show(&mut self, page: usize, is_visible: bool, lateness: Duration) {
        self.pages[page].is_visible = is_visible;
        self.pages[page].lateness = lateness;
        let what = if is_visible {
            tabs::Page::Visible
        } else {
            tabs::Page::Hidden
        };
        self.tell_page(page, what);
    }

    /// A page is put to sleep, and told so first.
    ///
    /// # Panics
    /// If it does not let go of everything at once.
    pub fn freeze(&mut self, page: usize) {
        self.tell_page(page, tabs::Page::Frozen);
        self.check_has_let_go(page);
        self.freeze_at_once(page);
    }

    /// A page is put to sleep without notice.
    pub fn freeze_at_once(&mut self, page: usize) {
        self.note(format_args!("{page} freezes"));
        self.pages[page].life = Life::Frozen;
    }

    /// A page hangs: nothing of it runs, not even handlers of messages.
    pub fn hang(&mut self, page: usize) {
        self.note(format_args!("{page} hangs"));
        self.pages[page].life = Life::Cached;
    }

    /// A page is left, and put into the back/forward cache.
    ///
    /// # Panics
    /// If it does not let go of everything at once.
    pub fn cache(&mut self, page: usize) {
        self.tell_page(page, tabs::Page::Leaving);
        self.check_has_let_go(page);
        self.pages[page].life = Life::Cached;
    }

    /// A page that slept wakes up.
    pub fn wake(&mut self, page: usize) {
        self.pages[page].life = Life::Awake;
        self.tell_page(page, tabs::Page::Resumed);
        // Its sockets are lost, with everything that they received meanwhile.
        let open = self.sockets.iter().enumerate();
        let open: Vec<usize> = open
            .filter(|(_, socket)| socket.page == page && !socket.is_over)
            .map(|(id, _)| id)
            .collect();
        for id in open {
            self.break_socket(id, true);
        }
        for event in core::mem::take(&mut self.pages[page].postponed) {
            self.schedule(self.now, event);
        }
    }

    /// A page is closed by its user.
    ///
    /// # Panics
    /// If it does not let go of everything at once.
    pub fn close(&mut self, page: usize) {
        if self.pages[page].life == Life::Awake {
            self.tell_page(page, tabs::Page::Leaving);
            self.check_has_let_go(page);
        }
        self.end(page);
    }

    /// A page crashes. The messages that it has just sent may be lost.
    pub fn crash(&mut self, page: usize) {
        self.pages[page].is_unheard = self.pick(1) == 0;
        // A shared worker may die with the page that started it, without notice.
        if let Some(generation) = self.pages[page].attached
            && self.pick(1) == 0
        {
            let workers = self.pages.iter().enumerate();
            let worker = workers.filter(|(_, other)| {
                other.attached == Some(generation) && matches!(other.machine, Machine::Worker(_))
            });
            let worker: Vec<usize> = worker.map(|(worker, _)| worker).collect();
            for worker in worker {
                self.end_worker(worker);
            }
        }
        self.end(page);
    }

    fn end(&mut self, page: usize) {
        self.note(format_args!("{page} ends"));
        self.pages[page].life = Life::Gone;
        for record in self.records.iter_mut().filter(|record| record.peer == page) {
            record.is_gone = true;
        }
        self.break_sockets_of(page);
        let at = self.now + self.delay(1_000, 46_000);
        self.schedule(at, Event::Cleared(page));
        self.end_idle_workers();
    }

    fn break_sockets_of(&mut self, page: usize) {
        for id in 0..self.sockets.len() {
            // What was sent before the page closed a socket still arrives.
            if self.sockets[id].page == page && !self.sockets[id].is_over {
                self.break_socket(id, false);
                self.sockets[id].is_over = true;
            }
        }
    }

    /// A worker dies without notice.
    pub fn end_worker(&mut self, worker: usize) {
        self.note(format_args!("worker {worker} ends"));
        self.pages[worker].life = Life::Gone;
        self.break_sockets_of(worker);
    }

    /// Workers live as long as a page is attached to them.
    pub(super) fn end_idle_workers(&mut self) {
        for worker in 0..self.pages.len() {
            let generation = self.pages[worker].attached;
            let is_worker = matches!(self.pages[worker].machine, Machine::Worker(_));
            let is_wanted = self
                .pages
                .iter()
                .any(|page| page.is_open_tab() && page.attached == generation);
            if is_worker && !is_wanted && self.pages[worker].life != Life::Gone {
                self.end_worker(worker);
            }
        }
    }

    /// The pages and workers that consider themselves leaders.
    pub fn leaders(&self) -> Vec<usize> {
        let pages = self.pages.iter().enumerate();
        let leads = |page: &super::Page| {
            page.life != Life::Gone && page.machine.tabs().role() == tabs::Role::Leader
        };
        pages
            .filter(|(_, page)| leads(page))
            .map(|(page, _)| page)
            .collect()
    }

    /// The network goes away or comes back. Pages may be told.
    pub fn set_network(&mut self, is_up: bool) {
        self.note(format_args!("network {is_up}"));
        self.is_network_up = is_up;
        if !is_up {
            for id in 0..self.sockets.len() {
                let learns = self.pick(1) == 0;
                self.break_socket(id, learns);
            }
        }
    }

    /// The lock is taken from its holder, and given to the next in the queue.
    pub fn lose_lock(&mut self) {
        self.note(format_args!("the lock is lost"));
        let told = self.locks.rob();
        self.tell_soon(told);
    }

    pub(super) fn request_lock(&mut self, ask: Ask, steal: bool) {
        let holder = self.locks.holder.map(|holder| holder.page);
        let is_cached = holder.is_some_and(|page| self.pages[page].life == Life::Cached);
        let is_asleep = holder.is_some_and(|page| self.pages[page].life != Life::Awake);
        let evicts = !steal && is_asleep && !self.locks.queue.is_empty() && self.pick(1) == 0;
        let told = self.locks.request(ask, steal);
        self.tell_soon(told);
        if evicts {
            self.note(format_args!("the lock's holder is evicted"));
            self.locks.get_stuck();
            if let Some(page) = holder.filter(|_| is_cached) {
                self.end(page);
            }
        }
    }

    pub(super) fn tell_soon(&mut self, told: Vec<Told>) {
        for told in told {
            let at = self.now + self.delay(1_000, 25_000);
            self.schedule(at, Event::Told(told));
        }
    }

    pub(super) fn tell(&mut self, told: Told) {
        let (Told::Granted(ask) | Told::Lost(ask)) = told;
        match self.pages[ask.page].life {
            Life::Awake => {}
            Life::Frozen | Life::Cached => {
                self.pages[ask.page].postponed.push(Event::Told(told));
                return;
            }
            Life::Gone => return,
        }
        let now = self.now;
        self.note(format_args!("{} is told {told:?}", ask.page));
        match told {
            Told::Granted(_) if self.locks.holder != Some(ask) => {}
            Told::Granted(_) => {
                self.with_tab(ask.page, |hub| hub.handle_granted(now, ask.request));
            }
            Told::Lost(_) => self.with_tab(ask.page, |hub| hub.handle_lost(now, ask.request)),
        }
    }
}
