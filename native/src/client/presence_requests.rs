//! Requests about presences to a client's task, and what they get back.

use std::collections::HashMap;
use std::sync::Arc;

use tidegate_core::client::PresenceEvent;
use tidegate_core::hub::ClientHub;
use tidegate_core::presence::{Key, Present, Roster};
use tidegate_core::protocol::WireError;
use tidegate_core::time::Instant;
use tidegate_core::topic::Topic;
use tokio::sync::{mpsc, oneshot, watch};

use super::lease::Lease;
use super::request::Request;
use crate::json::Json;

pub(super) enum PresenceRequest {
    Track {
        topic: Topic,
        key: Key,
        meta: Json,
        refusal: oneshot::Sender<WireError>,
        reply: oneshot::Sender<Lease>,
        /// The channel by which the presence is released.
        requests: mpsc::UnboundedSender<Request>,
    },
    Untrack(u64),
    Watch {
        topic: Topic,
        reply: oneshot::Sender<(watch::Receiver<Seen>, Lease)>,
        /// The channel by which the watch is released.
        requests: mpsc::UnboundedSender<Request>,
    },
    /// Ends one of the watches that began with this number.
    Unwatch(Topic, u64),
}

/// What is known of a topic's presences.
#[derive(Clone)]
pub(super) enum Seen {
    Nothing,
    Present(Arc<[Present<Json>]>),
    Refused(WireError),
}

struct Watched {
    /// Tells these watches from earlier ones of the topic, which a refusal has ended, and whose callers still hold their leases.
    number: u64,
    watchers: usize,
    seen: watch::Sender<Seen>,
}

/// The presences and watches that callers have requested.
#[derive(Default)]
pub(super) struct Presences {
    refusals: HashMap<u64, oneshot::Sender<WireError>>,
    watched: HashMap<Topic, Watched>,
    last_number: u64,
}

impl Presences {
    pub(super) fn handle(
        &mut self,
        now: Instant,
        hub: &mut ClientHub<Json>,
        request: PresenceRequest,
    ) {
        match request {
            PresenceRequest::Track {
                topic,
                key,
                meta,
                refusal,
                reply,
                requests,
            } => {
                let number = hub.handle_track(now, topic, key, meta);
                self.refusals.insert(number, refusal);
                let end = Request::Presence(PresenceRequest::Untrack(number));
                // The caller may be gone.
                let _ = reply.send(Lease::new(requests, end));
            }
            PresenceRequest::Untrack(number) => self.untrack(now, hub, number),
            PresenceRequest::Watch {
                topic,
                reply,
                requests,
            } => {
                let last_number = &mut self.last_number;
                let watched = self.watched.entry(topic.clone()).or_insert_with(|| {
                    *last_number += 1;
                    Watched {
                        number: *last_number,
                        watchers: 0,
                        seen: watch::Sender::new(Seen::Nothing),
                    }
                });
                watched.watchers += 1;
                let receiver = watched.seen.subscribe();
                hub.handle_watch(now, &topic);
                let end = Request::Presence(PresenceRequest::Unwatch(topic, watched.number));
                // The caller may be gone.
                let _ = reply.send((receiver, Lease::new(requests, end)));
            }
            PresenceRequest::Unwatch(topic, number) => self.unwatch(now, hub, &topic, number),
        }
    }

    fn untrack(&mut self, now: Instant, hub: &mut ClientHub<Json>, number: u64) {
        self.refusals.remove(&number);
        hub.handle_untrack(now, number);
    }

    fn unwatch(&mut self, now: Instant, hub: &mut ClientHub<Json>, topic: &Topic, number: u64) {
        let watched = self.watched.get_mut(topic);
        let Some(watched) = watched.filter(|watched| watched.number == number) else {
            return;
        };
        watched.watchers -= 1;
        if watched.watchers == 0 {
            self.watched.remove(topic);
        }
        hub.handle_unwatch(now, topic);
    }

    /// Passes an event on to the callers that it concerns.
    pub(super) fn deliver(&mut self, hub: &ClientHub<Json>, event: PresenceEvent<Json>) {
        match event {
            PresenceEvent::State { topic, .. } | PresenceEvent::Changed { topic, .. } => {
                if let Some(watched) = self.watched.get(&topic) {
                    let present = hub.roster(&topic).into_iter().flat_map(Roster::present);
                    watched.seen.send_replace(Seen::Present(present.collect()));
                }
            }
            PresenceEvent::TrackRefused { number, error } => {
                if let Some(refusal) = self.refusals.remove(&number) {
                    // The caller may not be waiting for a refusal.
                    let _ = refusal.send(error);
                }
            }
            PresenceEvent::WatchRefused { topic, error } => {
                // This ends all watches of the topic.
                if let Some(watched) = self.watched.remove(&topic) {
                    watched.seen.send_replace(Seen::Refused(error));
                }
            }
        }
    }
}
