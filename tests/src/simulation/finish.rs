//! The end of a run: faults are healed, all subscribers catch up, and everything is closed.

use core::time::Duration;

use tidegate_core::lifecycle::EndReason;
use tidegate_core::protocol::PublishRequest;

use super::{By, System, TOPICS};
use crate::backend_model::Weather;
use crate::json::Json;
use crate::network::Quality;
use crate::tab_model::Life;
use crate::{ms, secs, topic};

/// How long it may take until half-open connections are found, locks are granted and clients are back.
const HEALING: Duration = secs(240);

/// How long the last values may take to arrive.
pub(super) const SETTLING: Duration = secs(10);

/// How long it may take until all departures are known.
const LEAVING: Duration = secs(60);

impl System {
    /// Heals everything, and checks the outcome.
    ///
    /// # Panics
    /// If a promise is broken.
    pub fn finish(&mut self) {
        self.heal();
        self.run_for(HEALING);
        self.handle_all();
        for server in 0..self.world.servers.len() {
            if self.world.servers[server].link.is_deaf {
                self.world.miss(server);
            }
        }
        self.run_for(SETTLING);
        self.check_bounds();
        self.check_latest(true);
        for (number, name) in TOPICS.iter().enumerate() {
            let mut request = PublishRequest::new(topic(name), Json::from(0));
            request.restart = true;
            request.end = (number % 2 == 0).then_some(EndReason::Failed.into());
            self.publish(By::Server(number), request);
        }
        self.run_for(SETTLING);
        self.check_latest(false);
        self.check_told();
        self.check_asked();
        self.check_interest();
        self.check_presences();
        self.check_listeners();
        self.world.check_counts();
        self.handle_all();
        self.run_for(SETTLING);
        self.check_devices();
        self.check_cursors();
        self.leave();
        self.run_for(LEAVING);
        self.check_empty();
    }

    fn heal(&mut self) {
        self.note(format_args!("--- everything heals"));
        self.world.weather = Weather::CALM;
        self.world.store.is_full = false;
        for server in 0..self.world.servers.len() {
            self.world.start(server);
            self.world.set_lateness(server, Duration::ZERO);
            let healed = &mut self.world.servers[server];
            healed.link.is_reachable = true;
        }
        let good = Quality::delayed(ms(10));
        for link in &mut self.links {
            link.quality.per_frame = ms(0);
        }
        for program in 0..self.programs.len() {
            self.programs[program].quality = good;
            self.programs[program].lateness = Duration::ZERO;
            self.programs[program].has_no_tokens = false;
            self.start_program(program);
        }
        self.take_up_all();
        for node in &mut self.browsers {
            node.quality = good;
            node.browser.wake_all();
        }
        self.settle();
    }

    fn leave(&mut self) {
        self.note(format_args!("--- everybody leaves"));
        for program in 0..self.programs.len() {
            let subscribers = self.programs[program].subscribers.values().copied();
            let subscribers: Vec<usize> = subscribers.collect();
            for record in subscribers {
                if !self.records[record].is_gone && !self.records[record].is_over() {
                    self.unsubscribe_record(record);
                }
            }
            self.with_program(program, |hub, now| hub.handle_disconnect(now));
        }
        self.hush_all();
        for browser in 0..self.browsers.len() {
            for page in self.browsers[browser].pages(Life::Awake) {
                self.browsers[browser].browser.close(page);
            }
        }
        self.settle();
    }
}
