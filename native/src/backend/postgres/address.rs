//! Parses an address: where the database is, and how Tidegate uses it.

use std::time::Duration;

use tokio_postgres::config::Host;

use super::names::Names;
use crate::backend::BackendError;

/// How often to look for what no notification announced.
const POLL: Duration = Duration::from_millis(100);

/// How long a publication stays in the table at least, so that a server that stalls for no longer misses nothing.
const STALL: Duration = Duration::from_secs(30);

/// How long the server may take to answer before the link counts as lost.
const TIMEOUT: Duration = Duration::from_secs(3);

/// The port if an address names none.
const PORT: u16 = 5432;

/// What an address says.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// How to connect. It contains the password, which its `Debug` form leaves out.
    pub(super) config: tokio_postgres::Config,
    /// How to check the server's identity, if it speaks TLS.
    pub(super) trust: Trust,
    /// `postgres at host:port/db`.
    pub(super) place: String,
    /// The names of our objects.
    pub(super) names: Names,
    /// Whether to add to the database what is missing, or only to report it.
    pub(super) migrate: bool,
    pub(super) poll: Duration,
    pub(super) stall: Duration,
    pub(super) timeout: Duration,
}

/// What is required of the server's certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// Nothing: the link is encrypted, but the server may be anyone. So do `sslmode=prefer` and `require` in libpq.
    Anyone,
    /// It must be signed for this host, by an authority of the system or of this PEM file.
    Certified { authorities: Option<String> },
}

impl Address {
    pub(super) fn parse(url: &str) -> Result<Self, BackendError> {
        let wrong = |reason: String| BackendError::Address {
            address: without_password(url),
            reason,
        };
        if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
            return Err(wrong(
                "expected postgres://user:password@host:port/database".into(),
            ));
        }
        let (base, query) = url.split_once('?').unwrap_or((url, ""));
        let mut options = Options::default();
        let mut rest = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            if !options.take(name, value).map_err(wrong)? {
                rest.push(pair.to_owned());
            }
        }
        rest.extend(options.sslmode.map(|mode| format!("sslmode={mode}")));
        let mut config: tokio_postgres::Config = format!("{base}?{}", rest.join("&"))
            .parse()
            .map_err(|error| wrong(super::errors::text(&error)))?;
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            config.host("localhost");
        }
        if config.get_application_name().is_none() {
            config.application_name("tidegate");
        }
        let timeout = options.timeout.unwrap_or(TIMEOUT);
        config.connect_timeout(timeout);
        Ok(Self {
            place: place(&config),
            trust: match (options.is_certified, options.authorities) {
                (false, None) => Trust::Anyone,
                (_, authorities) => Trust::Certified { authorities },
            },
            names: options.names.unwrap_or_default(),
            migrate: options.migrate.unwrap_or(true),
            poll: options.poll.unwrap_or(POLL),
            stall: options.stall.unwrap_or(STALL),
            timeout,
            config,
        })
    }
}

/// The options of an address that tokio-postgres doesn't know.
#[derive(Default)]
struct Options {
    sslmode: Option<&'static str>,
    is_certified: bool,
    authorities: Option<String>,
    names: Option<Names>,
    migrate: Option<bool>,
    poll: Option<Duration>,
    stall: Option<Duration>,
    timeout: Option<Duration>,
}

impl Options {
    /// Takes an option if it is one of ours, and returns whether it is.
    fn take(&mut self, name: &str, value: &str) -> Result<bool, String> {
        match (name, value) {
            ("poll_ms", _) => self.poll = Some(millis(name, value)?),
            ("stall_ms", _) => self.stall = Some(millis(name, value)?),
            ("timeout_ms", _) => self.timeout = Some(millis(name, value)?),
            ("table", _) => self.names = Some(Names::new(value)?),
            ("migrate", "true") => self.migrate = Some(true),
            ("migrate", "false") => self.migrate = Some(false),
            ("migrate", _) => return Err(format!("migrate is true or false, not {value:?}")),
            ("sslmode", "verify-ca" | "verify-full") => {
                self.sslmode = Some("require");
                self.is_certified = true;
            }
            ("sslrootcert", _) => self.authorities = Some(value.replace("%2F", "/")),
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn millis(name: &str, value: &str) -> Result<Duration, String> {
    match value.parse() {
        Ok(millis @ 1..=3_600_000) => Ok(Duration::from_millis(millis)),
        _ => Err(format!(
            "{name} is a number of milliseconds from 1 to 3600000, not {value:?}"
        )),
    }
}

fn place(config: &tokio_postgres::Config) -> String {
    let ports = config.get_ports();
    let hosts: Vec<String> = if config.get_hosts().is_empty() {
        config
            .get_hostaddrs()
            .iter()
            .map(ToString::to_string)
            .collect()
    } else {
        config.get_hosts().iter().map(host_text).collect()
    };
    let places: Vec<String> = hosts
        .into_iter()
        .enumerate()
        .map(|(index, host)| {
            let port = ports.get(index).or(ports.first()).unwrap_or(&PORT);
            format!("{host}:{port}")
        })
        .collect();
    let database = config.get_dbname().or(config.get_user()).unwrap_or("");
    format!("postgres at {}/{database}", places.join(","))
}

fn host_text(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(path) => path.display().to_string(),
    }
}

/// The address with `***` for whatever may be a password.
fn without_password(url: &str) -> String {
    let (base, query) = url.split_once('?').unwrap_or((url, ""));
    let mut shown = String::new();
    match (base.split_once("://"), base.rsplit_once('@')) {
        (Some((scheme, _)), Some((credentials, host))) => {
            let user = credentials[scheme.len()..].trim_start_matches("://");
            let user = user.split(':').next().unwrap_or_default();
            shown += &format!("{scheme}://{user}:***@{host}");
        }
        _ => shown += base,
    }
    for (index, pair) in query.split('&').filter(|pair| !pair.is_empty()).enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown += if pair.starts_with("password=") {
            "password=***"
        } else {
            pair
        };
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_options_are_taken_and_the_others_left() {
        let address = Address::parse(
            "postgresql://app:s3cret@db.example:6432/live?poll_ms=25&table=app.run_events&connect_timeout=9&migrate=false&timeout_ms=700",
        )
        .expect("valid");
        assert_eq!(address.place, "postgres at db.example:6432/live");
        assert_eq!(address.poll, Duration::from_millis(25));
        assert_eq!(address.timeout, Duration::from_millis(700));
        assert!(!address.migrate);
        assert_eq!(address.names.events(), r#""app"."run_events""#);
        assert!(!format!("{address:?}").contains("s3cret"));
    }

    #[test]
    fn certificates_are_checked_where_that_is_asked_for() {
        let trust = |url: &str| Address::parse(url).expect("valid").trust;
        assert_eq!(trust("postgres://a@b/c?sslmode=require"), Trust::Anyone);
        let system = Trust::Certified { authorities: None };
        assert_eq!(trust("postgres://a@b/c?sslmode=verify-full"), system);
        let file = Trust::Certified {
            authorities: Some("/etc/ca.pem".into()),
        };
        assert_eq!(
            trust("postgres://a@b/c?sslmode=require&sslrootcert=%2Fetc%2Fca.pem"),
            file
        );
    }

    #[test]
    fn a_wrong_address_is_told_without_its_password() {
        for url in [
            "postgres://app:s3cret@db:port/x",
            "postgres://app:s3/cr@et@db/x?poll_ms=0",
            "postgres://app@db/x?password=s3cret&migrate=perhaps",
            "postgres://app:s3cret@db/x?table=Drop%20Table",
            "mysql://app:s3cret@db/x",
        ] {
            let error = Address::parse(url).expect_err(url).to_string();
            assert!(!error.contains("s3"), "{error}");
        }
    }
}
