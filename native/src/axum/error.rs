//! Errors in HTTP: a status, and the wire's code and message as JSON.

use axum::http::header::{
    CONNECTION, RETRY_AFTER, SEC_WEBSOCKET_VERSION, UPGRADE, WWW_AUTHENTICATE,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use serde_json::json;
use tidegate_core::admission::Refusal;
use tidegate_core::hub;
use tidegate_core::protocol::ErrorCode;
use tidegate_core::uplink;

use super::errors::Codes;
use crate::auth::AuthError;
use crate::error::{DeviceError, LookupError, PublishError, Stopped, SubscribeError};

/// Temporary refusals may be tried again after a second: `Retry-After` knows no shorter time.
pub(super) const SOON: (HeaderName, &str) = (RETRY_AFTER, "1");

/// An answer that is an error.
#[derive(Debug)]
pub(super) struct HttpError {
    status: StatusCode,
    code: ErrorCode,
    message: String,
}

impl HttpError {
    pub(super) fn new(status: StatusCode, code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            status,
            code,
            message: message.into(),
        }
    }

    pub(super) fn bad_request(code: ErrorCode, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }
}

impl HttpError {
    pub(super) fn forbidden(message: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, ErrorCode::Forbidden, message)
    }

    /// Whether the same request may succeed soon.
    pub(super) fn is_for_now(&self) -> bool {
        matches!(
            self.status,
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE
        )
    }

    /// The error in the wire's form, for an answer that contains it.
    pub(super) fn into_wire(self) -> (ErrorCode, String) {
        (self.code, self.message)
    }
}

impl From<AuthError> for HttpError {
    fn from(error: AuthError) -> Self {
        let told = error.to_wire();
        let status = match error {
            AuthError::Missing | AuthError::Invalid(_) | AuthError::Expired => {
                StatusCode::UNAUTHORIZED
            }
            AuthError::Refused(_) => StatusCode::FORBIDDEN,
            AuthError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self::new(status, told.code, told.message)
    }
}

impl From<Refusal> for HttpError {
    fn from(refusal: Refusal) -> Self {
        let status = match refusal {
            Refusal::Total { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Refusal::Address { .. } | Refusal::User { .. } => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, ErrorCode::TooManyConnections, refusal.to_string())
    }
}

impl IntoResponse for HttpError {
    fn into_response(self) -> Response {
        let error = json!({"error": {"code": self.code, "message": self.message}});
        let codes = Extension(Codes(vec![self.code]));
        let mut response = (self.status, codes, Json(error)).into_response();
        let more: &[(HeaderName, &'static str)] = match self.status {
            StatusCode::UNAUTHORIZED => &[(WWW_AUTHENTICATE, "Bearer")],
            _ if self.is_for_now() => &[SOON],
            // These headers say to which protocol: RFC 9110, 15.5.22, and RFC 6455, 4.2.2.
            StatusCode::UPGRADE_REQUIRED => &[
                (CONNECTION, "upgrade"),
                (UPGRADE, "websocket"),
                (SEC_WEBSOCKET_VERSION, "13"),
            ],
            _ => &[],
        };
        for (name, value) in more {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<PublishError> for HttpError {
    fn from(error: PublishError) -> Self {
        let message = error.to_string();
        match error {
            PublishError::Topic(_) => Self::bad_request(ErrorCode::BadTopic, message),
            PublishError::Json(_) => Self::bad_request(ErrorCode::BadFrame, message),
            PublishError::Stopped(stopped) => stopped.into(),
            PublishError::Refused(refusal) => {
                let status = match refusal {
                    hub::PublishError::Ended(_) => StatusCode::CONFLICT,
                    hub::PublishError::PayloadTooLarge { .. }
                    | hub::PublishError::KeyTooLong { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                    hub::PublishError::TooManyTopics { .. } | hub::PublishError::Full { .. } => {
                        StatusCode::TOO_MANY_REQUESTS
                    }
                    hub::PublishError::Unavailable | hub::PublishError::Unconfirmed => {
                        StatusCode::SERVICE_UNAVAILABLE
                    }
                    hub::PublishError::BackendFull => StatusCode::INSUFFICIENT_STORAGE,
                    hub::PublishError::Refused => StatusCode::UNPROCESSABLE_ENTITY,
                };
                Self::new(status, refusal.to_wire().code, message)
            }
        }
    }
}

impl From<SubscribeError> for HttpError {
    fn from(error: SubscribeError) -> Self {
        let message = error.to_string();
        match error {
            SubscribeError::Pattern(_) => Self::bad_request(ErrorCode::BadTopic, message),
            SubscribeError::Flow(_) => Self::bad_request(ErrorCode::BadFlow, message),
            SubscribeError::NotDurable => Self::bad_request(ErrorCode::BadFrame, message),
            SubscribeError::Stopped(stopped) => stopped.into(),
            SubscribeError::Refused(refusal) => {
                let code = refusal.to_wire().code;
                let status = match code {
                    ErrorCode::BadFlow => StatusCode::BAD_REQUEST,
                    ErrorCode::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
                    _ => StatusCode::TOO_MANY_REQUESTS,
                };
                Self::new(status, code, message)
            }
        }
    }
}

impl From<LookupError> for HttpError {
    fn from(error: LookupError) -> Self {
        let message = error.to_string();
        match error {
            LookupError::Pattern(_) => Self::bad_request(ErrorCode::BadTopic, message),
            LookupError::Failed(uplink::LookupError::Unavailable) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
                message,
            ),
            LookupError::Failed(uplink::LookupError::Refused) => {
                Self::new(StatusCode::BAD_GATEWAY, ErrorCode::Refused, message)
            }
            LookupError::Stopped(stopped) => stopped.into(),
        }
    }
}

impl From<DeviceError> for HttpError {
    fn from(error: DeviceError) -> Self {
        match error {
            DeviceError::Stopped(stopped) => stopped.into(),
            DeviceError::Backend(error) => Self::new(
                StatusCode::SERVICE_UNAVAILABLE,
                ErrorCode::Unavailable,
                error.to_string(),
            ),
        }
    }
}

impl From<Stopped> for HttpError {
    fn from(stopped: Stopped) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            ErrorCode::Draining,
            stopped.to_string(),
        )
    }
}
