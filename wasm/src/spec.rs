//! The options of a subscription: the members of the wire's subscribe frame, staged by some calls and taken by the
//! next.

use alloc::string::ToString;
use alloc::vec::Vec;

use tidegate_core::durable::DurableName;
use tidegate_core::flow::{Conflate, Flow, Slow};
use tidegate_core::protocol::{FlowSpec, Start, SubscribeRequest, TopicPosition, WireError};
use tidegate_core::topic::Pattern;

use crate::due::PacedBy;
use crate::errors::{bad_flow, bad_topic};
use crate::records::position;
use crate::single::Single;
use crate::texts;
use crate::topics;

/// The length of a frame on the clock of a screen's relay, in milliseconds: the shortest throttle that a flow allows.
pub(crate) const FRAME_MS: u64 = 1;

static STAGED: Single<Option<Staged>> = Single::new(None);

struct Staged {
    flow: FlowSpec,
    paced_by: PacedBy,
    since: Vec<TopicPosition>,
    durable: Option<DurableName>,
    slow: Option<Slow>,
}

/// Stages a flow; `by_frames` is a throttle of one frame. Numbers that are NaN are absent; edges are 0 for off, 1 for on,
/// others are absent; conflations are numbered from 1 as in [`CONFLATIONS`], and 0 is absent.
#[unsafe(no_mangle)]
extern "C" fn stage_flow(
    by_frames: bool,
    throttle_ms: f64,
    debounce_ms: f64,
    max_wait_ms: f64,
    leading: u32,
    trailing: u32,
    conflate: u32,
    max: f64,
    delta: bool,
) {
    let (paced_by, throttle_ms) = if by_frames {
        (PacedBy::Frames, Some(FRAME_MS))
    } else {
        (PacedBy::Time, whole(throttle_ms))
    };
    *STAGED.borrow() = Some(Staged {
        paced_by,
        flow: FlowSpec {
            throttle_ms,
            debounce_ms: whole(debounce_ms),
            max_wait_ms: whole(max_wait_ms),
            leading: edge(leading),
            trailing: edge(trailing),
            max: whole(max).map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
            delta: Some(delta),
            ..conflation(conflate)
        },
        since: Vec::new(),
        durable: None,
        slow: None,
    });
}

/// Stages the name of a durable subscription, after the flow. Returns whether the name is valid.
#[unsafe(no_mangle)]
extern "C" fn stage_durable(name: u32) -> bool {
    let name = DurableName::new(&texts::take(name)).ok();
    let is_name = name.is_some();
    if let Some(staged) = &mut *STAGED.borrow() {
        staged.durable = name;
    }
    is_name
}

/// Stages the policy for a slow connection, after the flow: 1 conflate, 2 drop, 3 disconnect; anything else for the
/// default of the flow.
#[unsafe(no_mangle)]
extern "C" fn stage_slow(number: u32) {
    if let Some(staged) = &mut *STAGED.borrow() {
        staged.slow = match number {
            1 => Some(Slow::Conflate),
            2 => Some(Slow::Drop),
            3 => Some(Slow::Disconnect),
            _ => None,
        };
    }
}

/// Stages where to resume a topic, after the flow.
#[unsafe(no_mangle)]
extern "C" fn stage_position(topic: u32, epoch: f64, offset: f64) {
    if let Some(staged) = &mut *STAGED.borrow() {
        staged.since.push(TopicPosition {
            topic: topics::topic(topic),
            position: position(epoch, offset),
        });
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a cast saturates"
)]
fn whole(number: f64) -> Option<u64> {
    (!number.is_nan()).then_some(number as u64)
}

const fn edge(code: u32) -> Option<bool> {
    match code {
        0 => Some(false),
        1 => Some(true),
        _ => None,
    }
}

/// The names of conflations, in the order of their numbers.
pub(crate) const CONFLATIONS: [&str; 4] = ["latest", "merge", "sum", "collect"];

fn conflation(number: u32) -> FlowSpec {
    let conflate = match number {
        2 => Conflate::Merge,
        3 => Conflate::Sum,
        4 => Conflate::Collect {
            max: core::num::NonZeroU32::MIN,
        },
        _ => Conflate::Latest,
    };
    FlowSpec::from(Flow::IMMEDIATE.with_conflate(conflate))
}

/// A subscription to be made.
pub(crate) struct Wanted {
    pub(crate) request: SubscribeRequest,
    pub(crate) paced_by: PacedBy,
}

/// The positions that were staged.
pub(crate) fn take_positions() -> Vec<TopicPosition> {
    let staged = STAGED.borrow().take();
    staged.map_or_else(Vec::new, |staged| staged.since)
}

/// Takes the staged subscription. `start` is 0 for the latest value, 1 for new publications only, 2 for the staged
/// positions.
///
/// # Errors
/// If the pattern or the flow is invalid.
pub(crate) fn take(pattern: &str, start: u32) -> Result<Wanted, WireError> {
    let staged = STAGED.borrow().take();
    let mut wanted = Wanted {
        request: SubscribeRequest::new(self::pattern(pattern)?, Flow::IMMEDIATE),
        paced_by: PacedBy::Time,
    };
    if let Some(staged) = staged {
        let request = &mut wanted.request;
        request.flow = flow(staged.flow)?;
        request.start = match start {
            0 => Start::Latest,
            1 => Start::New,
            _ => Start::Since(staged.since),
        };
        // A subscription paced by frames is never durable, and has no policy for slow connections.
        if staged.paced_by == PacedBy::Time {
            request.durable = staged.durable;
            request.slow = staged.slow;
        }
        wanted.paced_by = staged.paced_by;
    }
    Ok(wanted)
}

/// Takes the staged flow of a subscription that is paced by `paced_by`, and checks it.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn take_flow(paced_by: PacedBy) -> Result<Flow, WireError> {
    let Some(staged) = STAGED.borrow().take() else {
        return Ok(Flow::IMMEDIATE);
    };
    if staged.paced_by != paced_by {
        let message =
            "a subscription is paced by frames from its beginning or never: subscribe anew";
        return Err(bad_flow(message.to_string()));
    }
    flow(staged.flow)
}

fn flow(spec: FlowSpec) -> Result<Flow, WireError> {
    let flow = Flow::try_from(spec).map_err(|error| bad_flow(error.message().into()))?;
    flow.validate().map_err(|error| bad_flow(error.message()))?;
    Ok(flow)
}

/// A pattern, checked.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub(crate) fn pattern(text: &str) -> Result<Pattern, WireError> {
    Pattern::new(text).map_err(|error| bad_topic(text, error))
}
