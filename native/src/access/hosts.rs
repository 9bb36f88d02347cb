//! Checks the host name that a request is addressed to, if nothing else reveals which page sends it.
//!
//! A page can make its own name resolve to its reader's machine ("DNS rebinding"). The browser then considers this server a part of the
//! page's origin, and lets the page read its answers; but `Host` reveals the name. An attacker can't own names that always mean this
//! machine, nor IP addresses, which are not resolved.

use std::net::{IpAddr, Ipv6Addr};

/// Whether no foreign page can have made `host`, as in the header, resolve to this machine: it is a name that means this machine
/// everywhere, an IP address, or the host of one of the `origins` that may connect.
pub(crate) fn is_own(host: &str, origins: &[String]) -> bool {
    let name = name(host);
    let is_local = name.eq_ignore_ascii_case("localhost")
        || name
            .len()
            .checked_sub(".localhost".len())
            .and_then(|at| name.get(at..))
            .is_some_and(|end| end.eq_ignore_ascii_case(".localhost"));
    is_local || is_address(name) || origins.iter().any(|origin| is_of(name, origin))
}

/// The name without the port, and without the final dot of a fully qualified name.
fn name(host: &str) -> &str {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    name.strip_suffix('.').unwrap_or(name)
}

fn is_address(name: &str) -> bool {
    let bracketed = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    match bracketed {
        Some(address) => address.parse::<Ipv6Addr>().is_ok(),
        None => name
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_ipv4()),
    }
}

fn is_of(wanted: &str, origin: &str) -> bool {
    let host = origin.split_once("://").map(|(_, host)| host);
    host.is_some_and(|host| name(host).eq_ignore_ascii_case(wanted))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine_addresses_and_configured_hosts_are_own() {
        let origins = [
            "https://app.example".to_owned(),
            "http://[2001:db8::7]:81".into(),
        ];
        for host in [
            "localhost",
            "LocalHost:8420",
            "localhost.:8420",
            "app.localhost:3000",
            "127.0.0.1:8420",
            "127.8.0.1",
            "[::1]:8420",
            "[::ffff:127.0.0.1]",
            "192.0.2.7:80",
            "app.example",
            "APP.example:8443",
            "app.example.",
        ] {
            assert!(is_own(host, &origins), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8420",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "notlocalhost",
            "app.example.evil.example",
            "evil.app.example",
            "xapp.example",
            "[localhost]",
            "::1",
            "127.0.0.1:x",
            "127.1",
        ] {
            assert!(!is_own(host, &origins), "{host}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_name_is_too_strange_to_be_looked_at(host in "\\PC*", origin in "\\PC*") {
            is_own(&host, std::slice::from_ref(&origin));
            let below = format!("{host}x.example");
            proptest::prop_assert!(!is_own(&below, &[]));
        }
    }
}
