//! What is asked for with a subscription, as JavaScript spells it: the members of the wire's subscribe frame.

use serde::Deserialize;
use tidegate_core::flow::Flow;
use tidegate_core::protocol::{FlowSpec, Start, TopicPosition};
use tidegate_core::topic::Pattern;
use wasm_bindgen::prelude::JsValue;

use crate::errors::to_js;

#[derive(Default, Deserialize)]
#[serde(default)]
struct SubscribeSpec {
    flow: FlowSpec,
    since: Option<Vec<TopicPosition>>,
    latest: Option<bool>,
}

/// How a subscription is paced and where it starts.
///
/// # Errors
/// What is wrong with the options.
pub(crate) fn subscribe_spec(spec: JsValue) -> Result<(Flow, Start), JsValue> {
    if spec.is_undefined() {
        return Ok((Flow::IMMEDIATE, Start::Latest));
    }
    let spec: SubscribeSpec = serde_wasm_bindgen::from_value(spec).map_err(to_js::bad_form)?;
    let start = match (spec.since, spec.latest) {
        (Some(positions), _) => Start::Since(positions),
        (None, Some(false)) => Start::New,
        (None, Some(true) | None) => Start::Latest,
    };
    Ok((flow(spec.flow)?, start))
}

/// A flow, checked.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn flow_spec(spec: JsValue) -> Result<Flow, JsValue> {
    if spec.is_undefined() {
        return Ok(Flow::IMMEDIATE);
    }
    flow(serde_wasm_bindgen::from_value(spec).map_err(to_js::bad_form)?)
}

fn flow(spec: FlowSpec) -> Result<Flow, JsValue> {
    let flow = Flow::try_from(spec).map_err(|error| to_js::bad_flow(error.to_string()))?;
    flow.validate()
        .map_err(|error| to_js::bad_flow(error.to_string()))?;
    Ok(flow)
}

/// A pattern, checked.
///
/// # Errors
/// What is wrong with it, and at which byte.
pub(crate) fn pattern(text: &str) -> Result<Pattern, JsValue> {
    Pattern::new(text).map_err(|error| to_js::topic(text, &error))
}
