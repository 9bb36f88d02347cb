//! The users, how they log in, and who makes a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Deserialize;
use serde_json::{Value, json};
use tidegate::auth::JwtVerifier;

use super::{App, Failure};

/// All users, by id.
pub(super) const USERS: [(u64, &str); 3] = [(1, "ada"), (2, "ben"), (3, "cleo")];

/// How long a login lasts. A connection ends with its token.
const LOGIN: Duration = Duration::from_secs(8 * 60 * 60);

/// Makes and verifies tokens, with a secret of this process. A service with several processes has the secret in a file.
#[derive(Clone)]
pub(super) struct Logins {
    signing: EncodingKey,
    verifier: Arc<JwtVerifier>,
}

/// The user who makes a request, according to their token.
#[derive(Clone, Copy)]
pub(super) struct User {
    pub(super) id: u64,
    pub(super) name: &'static str,
}

#[derive(Deserialize)]
pub(super) struct Login {
    name: String,
}

impl Logins {
    pub(super) fn new() -> Result<Self, Box<dyn std::error::Error>> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret)?;
        Ok(Self {
            signing: EncodingKey::from_secret(&secret),
            verifier: Arc::new(JwtVerifier::hs256(&secret)?),
        })
    }

    /// The verifier for the hub's clients.
    pub(super) fn verifier(&self) -> Arc<JwtVerifier> {
        self.verifier.clone()
    }

    /// A number as `sub` puts every connection of the user into the room `user:ID`. Pages may follow tasks, but not
    /// publish: they send what they have to say to this server.
    fn token(&self, user: u64) -> Result<String, Failure> {
        let failed = |error: String| (StatusCode::INTERNAL_SERVER_ERROR, error);
        let until = SystemTime::now() + LOGIN;
        let since_1970 = until.duration_since(SystemTime::UNIX_EPOCH);
        let exp = since_1970
            .map_err(|error| failed(error.to_string()))?
            .as_secs();
        let claims = json!({"sub": user, "exp": exp, "subscribe": ["task:*"]});
        encode(&Header::default(), &claims, &self.signing)
            .map_err(|error| failed(error.to_string()))
    }
}

/// Believes any name. Your application checks a password here.
pub(super) async fn login(
    State(app): State<App>,
    Json(login): Json<Login>,
) -> Result<Json<Value>, Failure> {
    let found = USERS.iter().find(|(_, name)| *name == login.name);
    let (id, name) = found.ok_or_else(|| {
        (
            StatusCode::UNAUTHORIZED,
            "there is nobody of this name".to_owned(),
        )
    })?;
    let token = app.logins.token(*id)?;
    Ok(Json(json!({"id": id, "name": name, "token": token})))
}

impl FromRequestParts<App> for User {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Failure> {
        let refused = |why: String| (StatusCode::UNAUTHORIZED, why);
        let header = parts
            .headers
            .get(AUTHORIZATION)
            .and_then(|value| value.to_str().ok());
        let token = header.and_then(|value| value.strip_prefix("Bearer "));
        let token = token.ok_or_else(|| {
            refused("log in, and send the token as Authorization: Bearer …".to_owned())
        })?;
        // The hub verifies the same tokens by the same rules.
        let identity = app
            .logins
            .verifier
            .verify(token)
            .map_err(|error| refused(error.to_string()))?;
        let id = identity.user.and_then(|user| user.parse().ok());
        let found = USERS.iter().find(|(known, _)| Some(*known) == id);
        found
            .map(|(id, name)| Self { id: *id, name })
            .ok_or_else(|| refused("the token is nobody's".to_owned()))
    }
}
