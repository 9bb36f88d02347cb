//! Who may connect to a server.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use tidegate::auth::{Authenticate, JwtVerifier};
use tidegate::core::topic::Pattern;
use tidegate::{AccessConfig, Config};

use super::settings::Secrets;
use super::values::origin;

/// The fewest bytes of a secret for signatures.
const SECRET_BYTES_MIN: usize = 32;

/// Who may connect, and what they may do.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Access")]
pub(super) struct AccessArgs {
    /// Require tokens, signed with HS256 and the secret in this file. The file is read again on SIGHUP
    #[arg(long, value_name = "FILE")]
    jwt_secret_file: Option<PathBuf>,
    /// Require tokens, signed with one of the keys in this JSON Web Key Set of public keys (RS256, ES256 or EdDSA): a
    /// file, or a URL such as https://id.example/.well-known/jwks.json. A URL is fetched at intervals, and when a token
    /// names a new key; on SIGHUP, either is read again
    #[arg(long, value_name = "FILE|URL")]
    jwks: Option<PathBuf>,
    /// Require tokens from this OpenID Connect provider, such as https://id.example/, written as in their claim iss. Its
    /// document /.well-known/openid-configuration says where its keys are, which are then fetched as for --jwks
    #[arg(long, value_name = "URL")]
    oidc_issuer: Option<String>,
    /// Accept only tokens for this audience
    #[arg(long, value_name = "NAME")]
    jwt_audience: Option<String>,
    /// Accept only tokens from this issuer
    #[arg(long, value_name = "NAME")]
    jwt_issuer: Option<String>,
    /// Allow pages of another origin to connect, such as https://app.example. Without a key, requests may then also
    /// address the server by this host; may be repeated
    #[arg(long, value_name = "ORIGIN", value_parser = origin)]
    origin: Vec<String>,
    /// Allow pages to publish to these topics without authentication; may be repeated
    #[arg(long, value_name = "PATTERN")]
    browsers_publish: Vec<Pattern>,
}

impl AccessArgs {
    /// Applies these settings to the hub's configuration. Returns the keys of tokens, if they can be read again.
    pub(super) fn apply(
        &self,
        secrets: &Secrets,
        config: &mut Config,
    ) -> anyhow::Result<Option<JwtVerifier>> {
        let ticket_secret = secrets.ticket.as_deref();
        if ticket_secret.is_some_and(|secret| secret.len() < SECRET_BYTES_MIN) {
            bail!("ticket_secret: it has fewer than {SECRET_BYTES_MIN} bytes");
        }
        let verifier = self.verifier(secrets)?;
        let shared = verifier.clone().map(Arc::new);
        config.access = AccessConfig {
            authenticate: shared.map(|verifier| verifier as Arc<dyn Authenticate>),
            origins: self.origin.clone(),
            browsers_publish: self.browsers_publish.clone(),
            ticket_secret: ticket_secret.map(|secret| secret.as_bytes().to_vec()),
            ..config.access.clone()
        };
        Ok(verifier.filter(|_| secrets.jwt.is_none()))
    }

    fn verifier(&self, secrets: &Secrets) -> anyhow::Result<Option<JwtVerifier>> {
        let verifier = if let Some(place) = &self.jwks {
            match url(place) {
                Some(url) => JwtVerifier::jwks_url(url).context("jwks")?,
                None => JwtVerifier::jwks_file(place)?,
            }
        } else if let Some(issuer) = &self.oidc_issuer {
            if self.jwt_issuer.is_some() {
                bail!("oidc_issuer sets the issuer already; leave jwt_issuer out");
            }
            JwtVerifier::oidc_issuer(issuer).context("oidc_issuer")?
        } else if let Some(path) = &self.jwt_secret_file {
            JwtVerifier::hs256_file(path).context("jwt_secret_file")?
        } else if let Some(secret) = &secrets.jwt {
            JwtVerifier::hs256(secret.as_bytes()).context("jwt_secret")?
        } else if self.jwt_audience.is_some() || self.jwt_issuer.is_some() {
            bail!(
                "an audience or an issuer has no effect without a key: --jwt-secret-file, --jwks or --oidc-issuer"
            );
        } else {
            return Ok(None);
        };
        let verifier = match &self.jwt_audience {
            Some(audience) => verifier.for_audience(audience),
            None => verifier,
        };
        let verifier = match &self.jwt_issuer {
            Some(issuer) => verifier.from_issuer(issuer),
            None => verifier,
        };
        Ok(Some(verifier))
    }
}

/// The place of a key set as a URL, if it is one.
fn url(place: &Path) -> Option<&str> {
    let (scheme, _) = place.to_str()?.split_once("://")?;
    let is_scheme = scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_scheme.then_some(place.to_str()?)
}
