//! `tidegate token`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, bail};
use clap::Args;
use jsonwebtoken::{EncodingKey, Header, encode};
use serde::Serialize;
use tidegate::auth::JwtVerifier;
use tidegate::core::topic::Pattern;

use super::Misconfigured;
use super::environment::{NotText, file, variable};
use super::serve::time;

const EXAMPLES: &str = "\
Examples:
  tidegate token --jwt-secret-file secret --user ada --subscribe 'job:*' --for 10m
  export TIDEGATE_TOKEN=\"$(tidegate token --jwt-secret-file secret --publish 'job:*')\"
  tidegate sub 'job:*' --token-command \"tidegate token --jwt-secret-file secret --subscribe 'job:*'\"

Whoever has the secret can do everything, so keep it on the server. Give pages and other machines a token
of their own instead, from a program that knows who they are.";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Token {
    /// The secret that the server was given [env: TIDEGATE_JWT_SECRET_FILE=, or the secret itself in
    /// TIDEGATE_JWT_SECRET]
    #[arg(long, value_name = "FILE")]
    jwt_secret_file: Option<PathBuf>,
    /// The user whom the token names
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// A topic or pattern that the user may subscribe to; may be repeated
    #[arg(long, value_name = "PATTERN")]
    subscribe: Vec<Pattern>,
    /// A topic or pattern that the user may publish to; may be repeated
    #[arg(long, value_name = "PATTERN")]
    publish: Vec<Pattern>,
    /// How long the token is valid
    #[arg(long = "for", value_name = "TIME", default_value = "1h", value_parser = time)]
    life: Duration,
    /// The audience that the server requires [env: TIDEGATE_JWT_AUDIENCE=]
    #[arg(long, value_name = "NAME")]
    jwt_audience: Option<String>,
    /// The issuer that the server requires [env: TIDEGATE_JWT_ISSUER=]
    #[arg(long, value_name = "NAME")]
    jwt_issuer: Option<String>,
}

/// The claims of a token, by the names that servers read.
#[derive(Serialize)]
struct Claims<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    sub: Option<&'a str>,
    exp: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    subscribe: Vec<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    publish: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aud: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iss: Option<&'a str>,
}

impl Token {
    pub(super) fn run(self) -> anyhow::Result<ExitCode> {
        let token = self.token().map_err(Misconfigured::because)?;
        writeln!(std::io::stdout(), "{token}")?;
        Ok(ExitCode::SUCCESS)
    }

    fn token(self) -> anyhow::Result<String> {
        if self.user.is_none() && self.subscribe.is_empty() && self.publish.is_empty() {
            bail!(
                "a token without --user, --subscribe and --publish allows nothing; give at least one of them"
            );
        }
        let secret = self.secret()?;
        let audience = or_variable(self.jwt_audience, "TIDEGATE_JWT_AUDIENCE")?;
        let issuer = or_variable(self.jwt_issuer, "TIDEGATE_JWT_ISSUER")?;
        let exp = (SystemTime::now().duration_since(SystemTime::UNIX_EPOCH))
            .context("the clock is before 1970")?
            .saturating_add(self.life);
        let claims = Claims {
            sub: self.user.as_deref(),
            exp: exp.as_secs(),
            subscribe: self.subscribe.iter().map(Pattern::as_str).collect(),
            publish: self.publish.iter().map(Pattern::as_str).collect(),
            aud: audience.as_deref(),
            iss: issuer.as_deref(),
        };
        let key = EncodingKey::from_secret(secret.as_bytes());
        let token = encode(&Header::default(), &claims, &key)?;
        // Verify it as a server would, so that a token that servers would refuse is noticed here.
        let mut server = JwtVerifier::hs256(secret.as_bytes())?;
        if let Some(audience) = audience {
            server = server.for_audience(audience);
        }
        if let Some(issuer) = issuer {
            server = server.from_issuer(issuer);
        }
        server.verify(&token)?;
        Ok(token)
    }

    fn secret(&self) -> anyhow::Result<String> {
        let in_environment = || file("TIDEGATE_JWT_SECRET_FILE");
        match self.jwt_secret_file.clone().or_else(in_environment) {
            Some(path) => secret_in(&path),
            None => variable("TIDEGATE_JWT_SECRET")?.context(
                "there is no secret to sign it with; name the server's with --jwt-secret-file (openssl rand -hex 32 > secret makes one)",
            ),
        }
    }
}

/// The value from the command line, or else from a variable.
fn or_variable(told: Option<String>, name: &str) -> Result<Option<String>, NotText> {
    told.map_or_else(|| variable(name), |told| Ok(Some(told)))
}

/// The secret in a file, without the white space at its end, as a server reads it.
fn secret_in(path: &Path) -> anyhow::Result<String> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("cannot read the secret in {}", path.display()))?;
    Ok(text.trim_ascii_end().to_owned())
}
