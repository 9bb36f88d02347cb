//! The calls about other tabs and the page's lifecycle, for a hub that shares its connection.

use tidegate_core::client::{ClosedReason, ConnectionState};
use tidegate_core::protocol::WireError;
use tidegate_core::tabs::{Body, Page, TabId, Term};

use super::{AnyHub, Sender};
use crate::client::{self, CLIENTS, ClientHub};
use crate::clock::instant;
use crate::exports::exports;
use crate::slot::Handle;
use crate::{frames, texts};

/// Makes a hub that shares its connection with the browser's other tabs; returns its number. `tab` is a whole number
/// below 2^53 that no other tab has; `election` is 0 for a lock, 1 for claims, 2 for a tab with a worker of this
/// generation, 3 for that worker. `group` is the name by which the server will know the tabs, if this one is the first
/// leader.
#[unsafe(no_mangle)]
extern "C" fn client_shared(
    seed: f64,
    token: u32,
    asks: bool,
    name: u32,
    tab: f64,
    election: u32,
    generation: f64,
    group: u32,
) -> u32 {
    let config = client::config(seed, token, asks, name);
    let (tab, group) = (TabId(whole(tab)), texts::take(group));
    client::add(AnyHub::shared(
        config,
        tab,
        election,
        whole(generation),
        group,
    ))
}

#[cfg(not(feature = "worker"))]
exports! { CLIENTS:
    client_handle_granted = handle_granted(now_ms: f64, request: u32) -> u32;
    client_handle_lost = handle_lost(now_ms: f64, request: u32) -> u32;
}

exports! { CLIENTS:
    client_handle_page = handle_page(now_ms: f64, page: u32) -> u32;
    client_stage_sender = stage_sender(from: f64, counter: f64, leader: f64);
    client_handle_said = handle_said(now_ms: f64, kind: u32, is_visible: bool, link: u32) -> u32;
    client_stage_member = stage_member(tab: f64, link: u32);
    client_handle_lead = handle_lead(
        now_ms: f64, group: u32, state: u32, attempt: u32, code: u32, message: u32
    ) -> u32;
}

#[cfg(not(feature = "worker"))]
impl ClientHub {
    /// The lock of this request was granted.
    fn handle_granted(&mut self, now_ms: f64, request: u32) -> u32 {
        self.with(|hub| hub.handle_granted(instant(now_ms), request))
    }

    /// The lock of this request was stolen, or could not be had.
    fn handle_lost(&mut self, now_ms: f64, request: u32) -> u32 {
        self.with(|hub| hub.handle_lost(instant(now_ms), request))
    }
}

impl ClientHub {
    /// The page's state has changed: 0 visible, 1 hidden, 2 frozen, 3 leaving, 4 resumed.
    fn handle_page(&mut self, now_ms: f64, page: u32) -> u32 {
        let page = match page {
            0 => Page::Visible,
            1 => Page::Hidden,
            2 => Page::Frozen,
            3 => Page::Leaving,
            _ => Page::Resumed,
        };
        self.with(|hub| hub.handle_page(instant(now_ms), page))
    }

    /// Stages the sender of the next call's message, and the term of the leader that it knows. Frames that a leader
    /// passes down use the calls for frames of the server, with a `link` of 2^32 - 1.
    fn stage_sender(&mut self, from: f64, counter: f64, leader: f64) {
        self.stage(Sender {
            from: TabId(whole(from)),
            term: Term {
                counter: whole(counter),
                tab: TabId(whole(leader)),
            },
        });
    }

    /// Handles a message of another tab that has only these members: 0 probe, 1 alive, 2 bye, 3 claim, 4 yield, 5 tick,
    /// 6 join, 7 joined, 8 gone, 9 ask for the token of that number.
    fn handle_said(&mut self, now_ms: f64, kind: u32, is_visible: bool, link: u32) -> u32 {
        let body = match kind {
            0 => Body::Probe { is_visible },
            1 => Body::Alive { is_visible },
            2 => Body::Bye,
            3 => Body::Claim { is_visible },
            4 => Body::Yield,
            5 => Body::Tick,
            6 => Body::Join { link },
            7 => Body::Joined { link },
            8 => Body::Gone { link },
            _ => Body::AskToken { request: link },
        };
        self.hear(now_ms, body)
    }

    /// Stages a member of the leader of the next `handle_lead`, and its link.
    fn stage_member(&mut self, tab: f64, link: u32) {
        self.hub.members.push((TabId(whole(tab)), link));
    }

    /// Another tab, or the worker, leads the staged members. `code` and `message` say why the server has refused the
    /// connection, if it has.
    fn handle_lead(
        &mut self,
        now_ms: f64,
        group: u32,
        state: u32,
        attempt: u32,
        code: u32,
        message: u32,
    ) -> u32 {
        let (code, message) = (texts::take(code), texts::take(message));
        let state = match state {
            0 => ConnectionState::Disconnected,
            1 => ConnectionState::Connecting { attempt },
            2 => ConnectionState::Connected,
            3 => ConnectionState::Stale,
            4 => ConnectionState::Closed(ClosedReason::ByUser),
            _ => {
                let error = WireError::new(frames::code(&code), message);
                ConnectionState::Closed(ClosedReason::Refused(error))
            }
        };
        let lead = Body::Lead {
            group: texts::take(group),
            state,
            members: core::mem::take(&mut self.hub.members),
        };
        self.hear(now_ms, lead)
    }
}

impl ClientHub {
    fn stage(&mut self, sender: Sender) {
        self.hub.sender = sender;
    }

    pub(super) fn hear(&mut self, now_ms: f64, body: Body<Handle>) -> u32 {
        self.with(|hub| hub.handle_body(instant(now_ms), body))
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "whole numbers below 2^53, and a cast saturates"
)]
pub(super) const fn whole(number: f64) -> u64 {
    number as u64
}
