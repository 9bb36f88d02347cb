//! What is asked for with a subscription: the members of the wire's subscribe frame, staged by one call and taken by
//! the next.

use alloc::string::ToString;
use alloc::vec::Vec;

use tidegate_core::flow::{Conflate, Flow};
use tidegate_core::protocol::{FlowSpec, Start, TopicPosition, WireError};
use tidegate_core::topic::Pattern;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::errors::{bad_flow, bad_topic};
use crate::records::position;
use crate::single::Single;
use crate::topics;

static STAGED: Single<Option<Staged>> = Single::new(None);

struct Staged {
    flow: FlowSpec,
    since: Vec<TopicPosition>,
}

/// Stages a flow. Numbers that are NaN are absent; edges are 0 for off, 1 for on, others are absent; conflations are
/// numbered from 1 as in [`CONFLATIONS`], and 0 is absent.
#[wasm_bindgen]
pub fn stage_flow(
    throttle_ms: f64,
    debounce_ms: f64,
    max_wait_ms: f64,
    leading: u32,
    trailing: u32,
    conflate: u32,
    max: f64,
) {
    *STAGED.borrow() = Some(Staged {
        flow: FlowSpec {
            throttle_ms: whole(throttle_ms),
            debounce_ms: whole(debounce_ms),
            max_wait_ms: whole(max_wait_ms),
            leading: edge(leading),
            trailing: edge(trailing),
            max: whole(max).map(|max| u32::try_from(max).unwrap_or(u32::MAX)),
            ..conflation(conflate)
        },
        since: Vec::new(),
    });
}

/// Stages where to resume a topic, after the flow.
#[wasm_bindgen]
pub fn stage_position(topic: u32, epoch: f64, offset: f64) {
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

/// The pattern, the flow and the start of a subscription. `start` is 0 for the latest, 1 for what is new, 2 for the
/// staged positions.
///
/// # Errors
/// What is wrong with the pattern or the flow.
pub(crate) fn take(pattern: &str, start: u32) -> Result<(Pattern, Flow, Start), WireError> {
    let staged = STAGED.borrow().take();
    let pattern = self::pattern(pattern)?;
    let Some(staged) = staged else {
        return Ok((pattern, Flow::IMMEDIATE, Start::Latest));
    };
    let start = match start {
        0 => Start::Latest,
        1 => Start::New,
        _ => Start::Since(staged.since),
    };
    Ok((pattern, flow(staged.flow)?, start))
}

/// The staged flow, checked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn take_flow() -> Result<Flow, WireError> {
    let staged = STAGED.borrow().take();
    staged.map_or(Ok(Flow::IMMEDIATE), |staged| flow(staged.flow))
}

fn flow(spec: FlowSpec) -> Result<Flow, WireError> {
    let flow = Flow::try_from(spec).map_err(|error| bad_flow(error.to_string()))?;
    flow.validate()
        .map_err(|error| bad_flow(error.to_string()))?;
    Ok(flow)
}

/// A pattern, checked.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub(crate) fn pattern(text: &str) -> Result<Pattern, WireError> {
    Pattern::new(text).map_err(|error| bad_topic(text, error))
}
