//! `/user/devices`: the caller's devices, and what is remembered of their durable subscriptions.

use axum::Json as JsonResponse;
use axum::extract::State;
use axum::http::Uri;
use serde::Serialize;
use tidegate_core::durable::DurableName;
use tidegate_core::protocol::{ErrorCode, TopicPosition};
use tidegate_core::topic::Pattern;

use super::access::Caller;
use super::error::HttpError;
use super::events::form_pairs;
use crate::Hub;
use crate::access::Known;
use crate::auth::AuthError;

#[derive(Serialize)]
pub(super) struct Devices {
    devices: Vec<Device>,
}

#[derive(Serialize)]
struct Device {
    device: String,
    pattern: Pattern,
    positions: Vec<TopicPosition>,
    unused_s: u64,
}

#[derive(Serialize)]
pub(super) struct Forgotten {
    forgotten: usize,
}

pub(super) async fn list(
    State(hub): State<Hub>,
    caller: Caller,
) -> Result<JsonResponse<Devices>, HttpError> {
    let known = hub.devices(&user(caller.known)?).await?.into_iter();
    let devices = known.map(|known| Device {
        device: known.name.as_str().to_owned(),
        pattern: known.pattern,
        positions: known.positions,
        unused_s: known.unused_for.as_secs(),
    });
    let devices = devices.collect();
    Ok(JsonResponse(Devices { devices }))
}

pub(super) async fn forget(
    State(hub): State<Hub>,
    caller: Caller,
    uri: Uri,
) -> Result<JsonResponse<Forgotten>, HttpError> {
    let user = user(caller.known)?;
    let mut given = form_pairs(uri.query().unwrap_or_default())?.into_iter();
    let device = given.find_map(|(name, device)| (name == "device").then_some(device));
    let device = DurableName::new(&device.unwrap_or_default())
        .map_err(|error| HttpError::bad_request(ErrorCode::BadFrame, error.to_string()))?;
    let forgotten = hub.forget_device(&user, &device).await?;
    Ok(JsonResponse(Forgotten { forgotten }))
}

/// The name of the caller, under which their cursors are kept.
fn user(known: Known) -> Result<String, HttpError> {
    match known {
        Known::Someone(identity) => identity.user.ok_or_else(|| {
            HttpError::forbidden("the token names no user (`sub`), so there are no devices")
        }),
        Known::Nobody => Err(AuthError::Missing.into()),
        Known::Anyone(_) => Err(HttpError::forbidden(
            "this server does not authenticate clients, so nobody has devices; start it with --jwt-secret-file, --jwks or --oidc-issuer",
        )),
    }
}
