//! The address of a Redis and the options in it.

use std::time::Duration;

use redis::{ConnectionAddr, ConnectionInfo, IntoConnectionInfo as _, ProtocolVersion};

use crate::backend::BackendError;

/// How long an answer may take if the address doesn't say.
const TIMEOUT_DEFAULT: Duration = Duration::from_secs(3);

/// The prefix of channels of raw messages if the address doesn't say.
const PREFIX_DEFAULT: &str = "tidegate:";

/// The prefix of keys and channels if the address doesn't say.
const NAMESPACE_DEFAULT: &str = "tidegate";

/// Where a Redis is, and how it is used.
#[derive(Clone)]
pub(super) struct Address {
    /// For people, without a password.
    pub(super) name: String,
    pub(super) first: ConnectionInfo,
    /// Further nodes of a Cluster.
    pub(super) others: Vec<(String, u16)>,
    pub(super) prefix: String,
    pub(super) namespace: String,
    pub(super) cluster: bool,
    pub(super) timeout: Duration,
}

impl Address {
    pub(super) fn parse(text: &str) -> Result<Self, BackendError> {
        let url = redis::parse_redis_url(text).ok_or_else(|| {
            let scheme = text.split("://").next().unwrap_or_default();
            let reason = "expected redis://host:port/db or rediss://host:port/db";
            wrong(&format!("{}://…", shortened(scheme)), reason)
        })?;
        let mut plain = url.clone();
        plain.set_query(None);
        let host = url.host_str().unwrap_or_default().to_owned();
        let shown = format!("{}://{host}{}", url.scheme(), url.path());
        let wrong = |reason: &str| wrong(&shown, reason);
        let mut address = Self {
            name: String::new(),
            first: plain
                .into_connection_info()
                .map_err(|error| wrong(&error.to_string()))?,
            others: Vec::new(),
            prefix: PREFIX_DEFAULT.to_owned(),
            namespace: NAMESPACE_DEFAULT.to_owned(),
            cluster: false,
            timeout: TIMEOUT_DEFAULT,
        };
        for (option, value) in url.query_pairs() {
            address
                .set(&option, &value)
                .map_err(|reason| wrong(&reason))?;
        }
        address.check().map_err(|reason| wrong(&reason))?;
        let redis = address.first.redis_settings().clone();
        address.first = address
            .first
            .set_redis_settings(redis.set_protocol(ProtocolVersion::RESP3));
        address.name = address.describe();
        Ok(address)
    }

    fn set(&mut self, option: &str, value: &str) -> Result<(), String> {
        match option {
            "prefix" => value.clone_into(&mut self.prefix),
            "namespace" => value.clone_into(&mut self.namespace),
            "cluster" => {
                self.cluster = value
                    .parse()
                    .map_err(|_| "cluster must be true or false".to_owned())?;
            }
            "node" => self.others.push(node(value)?),
            "timeout_ms" => {
                let millis = value.parse().ok().filter(|millis| *millis > 0);
                let millis = millis.ok_or("timeout_ms must be a whole number above 0")?;
                self.timeout = Duration::from_millis(millis);
            }
            // Always used: with RESP2, a connection can't receive anything but answers.
            "protocol" if matches!(value, "3" | "resp3") => {}
            _ => {
                return Err(format!(
                    "it has no option {option:?}; there are prefix, namespace, cluster, node and timeout_ms"
                ));
            }
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/');
        if self.namespace.is_empty() || !self.namespace.chars().all(plain) {
            return Err("namespace must be of letters, digits, '-', '_' and '/'".to_owned());
        }
        let own = format!("{}.", self.namespace);
        if !self.prefix.is_empty()
            && (own.starts_with(&self.prefix) || self.prefix.starts_with(&own))
        {
            let (prefix, namespace) = (&self.prefix, &self.namespace);
            return Err(format!(
                "prefix {prefix:?} would take the channels of namespace {namespace:?} for raw ones; choose another of the two"
            ));
        }
        if self.cluster && self.first.redis_settings().db() != 0 {
            return Err("a Cluster has database 0 only".to_owned());
        }
        if !self.others.is_empty() && !self.cluster {
            return Err("node is for a Cluster; add cluster=true".to_owned());
        }
        Ok(())
    }

    fn describe(&self) -> String {
        let place = match self.first.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                format!("{host}:{port}")
            }
            other => other.to_string(),
        };
        if self.cluster {
            format!("redis cluster at {place}")
        } else {
            format!("redis at {place}/{}", self.first.redis_settings().db())
        }
    }

    /// The same credentials and encryption, at another node.
    pub(super) fn at(&self, host: &str, port: u16) -> ConnectionInfo {
        let addr = match self.first.addr() {
            ConnectionAddr::TcpTls {
                insecure,
                tls_params,
                ..
            } => ConnectionAddr::TcpTls {
                host: host.to_owned(),
                port,
                insecure: *insecure,
                tls_params: tls_params.clone(),
            },
            _ => ConnectionAddr::Tcp(host.to_owned(), port),
        };
        self.first.clone().set_addr(addr)
    }

    /// The nodes that are asked which others the Cluster has.
    pub(super) fn seeds(&self) -> Vec<ConnectionInfo> {
        let others = self.others.iter().map(|(host, port)| self.at(host, *port));
        std::iter::once(self.first.clone()).chain(others).collect()
    }
}

fn node(text: &str) -> Result<(String, u16), String> {
    let parts = text.rsplit_once(':');
    let parsed = parts.and_then(|(host, port)| Some((host, port.parse().ok()?)));
    match parsed {
        Some((host, port)) if !host.is_empty() => {
            Ok((host.trim_matches(['[', ']']).to_owned(), port))
        }
        _ => Err(format!("node must be host:port, not {text:?}")),
    }
}

fn shortened(scheme: &str) -> String {
    let is_scheme = scheme.len() < 20
        && scheme
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '+');
    if is_scheme {
        scheme.to_owned()
    } else {
        String::new()
    }
}

fn wrong(address: &str, reason: &str) -> BackendError {
    BackendError::Address {
        address: address.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_read_and_the_password_is_not_shown() {
        let text = "redis://ann:s3cret@cache:7000/2?prefix=&namespace=app&timeout_ms=250";
        let address = Address::parse(text).unwrap();
        assert_eq!(address.name, "redis at cache:7000/2");
        assert_eq!(
            (address.prefix.as_str(), address.namespace.as_str()),
            ("", "app")
        );
        assert_eq!(address.timeout, Duration::from_millis(250));
        assert_eq!(address.first.redis_settings().password(), Some("s3cret"));
        let text = "rediss://a:7000?cluster=true&node=b:7001&node=[::1]:7002";
        let address = Address::parse(text).unwrap();
        assert_eq!(address.name, "redis cluster at a:7000");
        let seeds: Vec<String> = address
            .seeds()
            .iter()
            .map(|seed| seed.addr().to_string())
            .collect();
        assert_eq!(seeds, ["a:7000", "b:7001", "::1:7002"]);
    }

    #[test]
    fn what_is_wrong_with_an_address_is_said_without_its_password() {
        for text in [
            "http://ann:s3cret@cache",
            "ann:s3cret@cache",
            "redis://ann:s3cret@cache/x",
            "redis://ann:s3cret@cache?prefx=a",
            "redis://ann:s3cret@cache?prefix=tide",
            "redis://ann:s3cret@cache?namespace=a{b}",
            "redis://ann:s3cret@cache?timeout_ms=0",
            "redis://ann:s3cret@cache/1?cluster=true",
            "redis://ann:s3cret@cache?node=b:1",
            "redis://ann:s3cret@cache?cluster=true&node=b",
        ] {
            let Err(error) = Address::parse(text) else {
                panic!("{text} was taken");
            };
            assert!(matches!(error, BackendError::Address { .. }), "{text}");
            assert!(!error.to_string().contains("s3cret"), "{error}");
        }
    }
}
