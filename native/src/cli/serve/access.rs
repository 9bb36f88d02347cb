//! Whom `tidegate serve` lets in, as the command line and the environment say.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::Args;
use tidegate::auth::{Authenticate, JwtVerifier};
use tidegate::core::admission::AdmissionLimits;
use tidegate::core::flow::FlowFloor;
use tidegate::core::rate::Rate;
use tidegate::core::topic::Pattern;
use tidegate::duration::parse_duration_ms;
use tidegate::{AccessConfig, Config};

/// Holds the secret that tokens are signed with. There is no flag for it: other users of a machine see the command line.
const SECRET: &str = "TIDEGATE_JWT_SECRET";

/// Who may connect, and what they may do.
#[derive(Args)]
#[command(next_help_heading = "Access")]
pub(super) struct AccessArgs {
    /// Ask clients for a token, signed by HS256 with the secret in this file [env: TIDEGATE_JWT_SECRET= has the secret itself]
    #[arg(long, value_name = "FILE", conflicts_with = "jwks")]
    jwt_secret_file: Option<PathBuf>,
    /// Ask clients for a token, signed by one of the public keys in this file (RS256, ES256 or EdDSA)
    #[arg(long, value_name = "FILE", env = "TIDEGATE_JWKS")]
    jwks: Option<PathBuf>,
    /// Take only tokens that are meant for this audience
    #[arg(long, value_name = "NAME", env = "TIDEGATE_JWT_AUDIENCE")]
    jwt_audience: Option<String>,
    /// Take only tokens that this issuer made
    #[arg(long, value_name = "NAME", env = "TIDEGATE_JWT_ISSUER")]
    jwt_issuer: Option<String>,
    /// Let pages of another origin connect, such as https://app.example; may be repeated
    #[arg(long = "origin", value_name = "ORIGIN")]
    origins: Vec<String>,
    /// Let pages publish to these topics although nobody asks who they are; may be repeated
    #[arg(long, value_name = "PATTERN")]
    browsers_publish: Vec<Pattern>,
    /// The most connections
    #[arg(long, value_name = "N", default_value_t = AdmissionLimits::default().total_max)]
    connections: usize,
    /// The most connections from one address
    #[arg(long, value_name = "N", default_value_t = AdmissionLimits::default().per_address_max)]
    connections_per_address: usize,
    /// The most connections of one user
    #[arg(long, value_name = "N", default_value_t = AdmissionLimits::default().per_user_max)]
    connections_per_user: usize,
    /// How often a connection may publish, each second; twice as many at once after a pause
    #[arg(long, value_name = "N")]
    publish_rate: Option<NonZeroU32>,
    /// The finest pace that subscribers are granted, as job:**=100ms; may be repeated
    #[arg(long = "floor", value_name = "PATTERN=TIME", value_parser = floor)]
    floors: Vec<(Pattern, std::time::Duration)>,
}

impl AccessArgs {
    /// What is said here, as the hub takes it.
    pub(super) fn apply(self, config: &mut Config) -> anyhow::Result<()> {
        for origin in &self.origins {
            check_origin(origin)?;
        }
        let authenticate = self.verifier()?;
        config.access = AccessConfig {
            authenticate,
            limits: AdmissionLimits {
                total_max: self.connections,
                per_address_max: self.connections_per_address,
                per_user_max: self.connections_per_user,
            },
            origins: self.origins,
            browsers_publish: self.browsers_publish,
            ticket_secret: None,
        };
        config.server.session.publish_rate = self.publish_rate.map(|per_second| Rate {
            per_second,
            burst: per_second.saturating_mul(NonZeroU32::MIN.saturating_add(1)),
        });
        let floors = self.floors.into_iter();
        config.server.floor = floors.fold(FlowFloor::none(), |floor, (pattern, every)| {
            floor.with(pattern, every)
        });
        Ok(())
    }

    fn verifier(&self) -> anyhow::Result<Option<Arc<dyn Authenticate>>> {
        let verifier = if let Some(path) = &self.jwks {
            JwtVerifier::jwks_file(path)?
        } else if let Some(path) = &self.jwt_secret_file {
            let secret = std::fs::read_to_string(path)
                .with_context(|| format!("cannot read the secret in {}", path.display()))?;
            JwtVerifier::hs256(secret.trim_end().as_bytes())?
        } else if let Some(secret) = std::env::var(SECRET).ok().filter(|text| !text.is_empty()) {
            JwtVerifier::hs256(secret.as_bytes()).context(SECRET)?
        } else if self.jwt_audience.is_some() || self.jwt_issuer.is_some() {
            bail!(
                "an audience or an issuer means nothing without a key: --jwt-secret-file or --jwks"
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
        Ok(Some(Arc::new(verifier)))
    }
}

/// A browser's `Origin` has a scheme, a host, perhaps a port, and nothing else.
fn check_origin(origin: &str) -> anyhow::Result<()> {
    let rest = origin
        .strip_prefix("https://")
        .or_else(|| origin.strip_prefix("http://"));
    if rest.is_none_or(|host| host.is_empty() || host.contains(['/', ' ', '*'])) {
        bail!("--origin {origin:?}: expected a scheme and a host, such as https://app.example");
    }
    Ok(())
}

fn floor(text: &str) -> Result<(Pattern, std::time::Duration), String> {
    let (pattern, every) = text
        .rsplit_once('=')
        .ok_or("expected a pattern and a time, such as job:**=100ms")?;
    let pattern = Pattern::new(pattern).map_err(|error| error.to_string())?;
    let every = parse_duration_ms(every)
        .filter(|every| *every > 0)
        .ok_or("expected a time such as 100ms or 1s after the last =")?;
    Ok((pattern, std::time::Duration::from_millis(every)))
}
