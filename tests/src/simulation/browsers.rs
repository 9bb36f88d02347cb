//! Browsers, whose tabs share a connection.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;

use super::System;
use super::links::{LinkId, Owner};
use crate::network::{Cut, Quality};
use crate::presence_model::Presence;
use crate::tab_model::{Browser, Life, Outward, Path, SocketId};
use crate::trace::{Keeping, Trace};

/// A browser among other clients.
#[derive(Debug)]
pub struct BrowserNode {
    /// Its pages, and the lock and the channel between them.
    pub browser: Browser,
    /// The quality of its next links.
    pub quality: Quality,
    /// The presences of its pages, by page and the page's number for each.
    pub present: BTreeMap<(usize, u64), Presence>,
    /// Whose presences its pages watch.
    pub watched: BTreeSet<(usize, Topic)>,
    links: BTreeMap<SocketId, LinkId>,
}

impl BrowserNode {
    pub(super) fn next(&self) -> Option<Instant> {
        let at = self.browser.next()?;
        let ahead = u64::try_from(self.browser.ahead.as_micros()).expect("within a life");
        Some(Instant::from_micros(at.as_micros().saturating_sub(ahead)))
    }

    /// Advances its own clock with the world's.
    pub(super) fn set_now(&mut self, now: Instant) {
        self.browser.now = now + self.browser.ahead;
    }

    /// The pages in a state of life.
    pub(super) fn pages(&self, life: Life) -> Vec<usize> {
        let pages = self.browser.pages.iter().enumerate();
        let open = pages.filter(|(_, page)| page.is_open_tab() && page.life == life);
        open.map(|(page, _)| page).collect()
    }
}

impl System {
    pub(super) fn add_browser(&mut self, path: Path, keeping: Keeping) {
        let mut browser = Browser::new(self.random.next_u64(), path);
        browser.is_part = true;
        browser.is_restless = false;
        browser.now = self.now;
        browser.log = Trace::new(keeping);
        let quality = self.quality();
        self.browsers.push(BrowserNode {
            browser,
            quality,
            present: BTreeMap::new(),
            watched: BTreeSet::new(),
            links: BTreeMap::new(),
        });
        let added = self.browsers.len() - 1;
        self.browsers[added].browser.open();
        self.settle();
    }

    pub(super) fn step_browsers(&mut self) {
        for browser in &mut self.browsers {
            if browser.next().is_some_and(|at| at <= self.now) {
                let end = self.now + browser.browser.ahead;
                browser.browser.step(end);
            }
        }
    }

    /// Carries out the outputs of browsers; returns whether there were any.
    pub(super) fn settle_browsers(&mut self) -> bool {
        let mut did = false;
        for browser in 0..self.browsers.len() {
            while let Some(outward) = self.browsers[browser].browser.outward.pop_front() {
                did = true;
                self.handle_browser(browser, outward);
            }
        }
        did
    }

    fn handle_browser(&mut self, browser: usize, outward: Outward) {
        let link = |socket: &SocketId| self.browsers[browser].links.get(socket).copied();
        match outward {
            Outward::Open(socket) => {
                let quality = self.browsers[browser].quality;
                let id = self.open_link(Owner::Browser(browser, socket), quality);
                self.browsers[browser].links.insert(socket, id);
            }
            Outward::Send(socket, text) => {
                if let Some(link) = link(&socket) {
                    self.send_up(link, text);
                }
            }
            Outward::Close(socket) => {
                if let Some(link) = link(&socket) {
                    self.close_from_client(link);
                }
            }
            Outward::Broken(socket) => {
                if let Some(link) = link(&socket) {
                    // The browser tells the page. The server learns of it at once, or by a timeout.
                    let learns = self.pick(1) == 0;
                    let cut = if learns {
                        Cut::ClientUnaware
                    } else {
                        Cut::Silent
                    };
                    self.cut_link(link, cut);
                }
            }
        }
    }
}
