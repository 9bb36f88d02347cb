//! Which proxies a hub trusts, and where their clients are.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use axum::http::header::FORWARDED;
use axum::http::{HeaderMap, HeaderName};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Proxies that are trusted to say who their clients are. None by default, because anybody can write a header.
///
/// The address that they report counts for the limit by address, and is passed to
/// [`Authenticate`](crate::auth::Authenticate).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies {
    /// The networks that proxies are in.
    pub networks: Vec<Network>,
    /// Whether connections over a Unix socket come from a proxy.
    pub unix: bool,
    /// The header that they use. The other one is ignored, because a proxy passes on whatever its clients write there.
    pub header: ForwardedBy,
}

/// The header by which proxies name their clients.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ForwardedBy {
    /// `X-Forwarded-For: 192.0.2.7, 10.0.0.2`
    #[default]
    XForwardedFor,
    /// `Forwarded: for=192.0.2.7;proto=https, for="[2001:db8::7]:4711"` (RFC 7239)
    Forwarded,
}

/// An address, or all addresses that share its first bits: `10.0.0.0/8`, `192.0.2.7`, `2001:db8::/32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

/// A text that is not a network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no network; expected an address such as 192.0.2.7, or one with a number of bits such as 10.0.0.0/8"
)]
pub struct NetworkError {
    text: String,
}

impl Network {
    /// Whether it contains an address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let apart = u32::from(own) ^ u32::from(other);
                apart.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let apart = u128::from(own) ^ u128::from(other);
                apart.leading_zeros() >= u32::from(self.bits)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let wrong = || NetworkError {
            text: text.to_owned(),
        };
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| wrong())?;
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        let bits = match bits {
            Some(bits) => bits.parse().map_err(|_| wrong())?,
            None => bits_max,
        };
        if bits > bits_max {
            return Err(wrong());
        }
        Ok(Self { address, bits })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

impl Proxies {
    /// Whether `address`, or a Unix socket if there is none, belongs to a proxy.
    pub(crate) fn include(&self, address: Option<IpAddr>, is_unix: bool) -> bool {
        match address {
            Some(address) => self
                .networks
                .iter()
                .any(|network| network.contains(address)),
            None => is_unix && self.unix,
        }
    }

    /// The address of the client behind a request from `peer`: the last one in the header that is not a proxy itself.
    /// Anything before it may be made up by the client.
    ///
    /// If a proxy names no client, or not by an address, there is nothing to count by.
    pub(crate) fn client(
        &self,
        peer: Option<IpAddr>,
        is_unix: bool,
        headers: &HeaderMap,
    ) -> Option<IpAddr> {
        if !self.include(peer, is_unix) {
            return peer;
        }
        let mut named = match self.header {
            ForwardedBy::XForwardedFor => listed(headers, &X_FORWARDED_FOR, address),
            ForwardedBy::Forwarded => listed(headers, &FORWARDED, forwarded),
        };
        while let Some(last) = named.pop() {
            let last = last?;
            if named.is_empty() || !self.include(Some(last), false) {
                return Some(last);
            }
        }
        None
    }
}

/// Whether a proxy forwards the request of another machine.
pub(crate) fn is_for_others(headers: &HeaderMap) -> bool {
    let named = listed(headers, &X_FORWARDED_FOR, address).into_iter();
    let mut named = named.chain(listed(headers, &FORWARDED, forwarded));
    named.any(|named| named.is_none_or(|address| !address.is_loopback()))
}

/// The addresses that the items of a header's list name.
fn listed(
    headers: &HeaderMap,
    name: &HeaderName,
    read: impl Fn(&str) -> Option<IpAddr>,
) -> Vec<Option<IpAddr>> {
    let lines = headers.get_all(name).iter();
    lines
        .flat_map(|line| line.to_str().unwrap_or_default().split(','))
        .map(|item| read(item.trim()))
        .collect()
}

/// The node of an item of `Forwarded`.
fn forwarded(item: &str) -> Option<IpAddr> {
    item.split(';').find_map(|pair| {
        let (name, value) = pair.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        name.trim()
            .eq_ignore_ascii_case("for")
            .then(|| address(value))?
    })
}

/// An address, with or without a port.
fn address(text: &str) -> Option<IpAddr> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?.0,
        None if text.matches(':').count() == 1 => text.split_once(':')?.0,
        None => text,
    };
    let address: IpAddr = bare.parse().ok()?;
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;
    use proptest::prelude::*;

    use super::*;

    fn proxies(header: ForwardedBy) -> Proxies {
        let networks = ["10.0.0.0/8", "2001:db8:1::/48", "127.0.0.1"];
        Proxies {
            networks: networks.map(|text| text.parse().expect("a network")).into(),
            unix: true,
            header,
        }
    }

    fn client(peer: Option<&str>, header: ForwardedBy, lines: &[&str]) -> Option<String> {
        let name = match header {
            ForwardedBy::XForwardedFor => X_FORWARDED_FOR,
            ForwardedBy::Forwarded => FORWARDED,
        };
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, HeaderValue::from_str(line).expect("valid"));
        }
        let peer = peer.map(|peer| peer.parse().expect("an address"));
        let client = proxies(header).client(peer, peer.is_none(), &headers);
        client.map(|address| address.to_string())
    }

    #[test]
    fn whoever_is_no_proxy_is_not_believed() {
        let by = ForwardedBy::XForwardedFor;
        let own = Some("192.0.2.9".to_owned());
        assert_eq!(client(Some("192.0.2.9"), by, &["198.51.100.1"]), own);
        let nobody = Proxies::default();
        let mut headers = HeaderMap::new();
        headers.insert(X_FORWARDED_FOR, HeaderValue::from_static("198.51.100.1"));
        let near: IpAddr = [127, 0, 0, 1].into();
        assert_eq!(nobody.client(Some(near), false, &headers), Some(near));
        assert_eq!(nobody.client(None, true, &headers), None);
    }

    #[test]
    fn the_last_one_named_that_is_no_proxy_is_the_client() {
        let by = ForwardedBy::XForwardedFor;
        let found = Some("192.0.2.7".to_owned());
        for lines in [
            &["192.0.2.7"][..],
            &["203.0.113.1, 192.0.2.7"],
            &["nonsense, 192.0.2.7, 10.1.1.1"],
            &["203.0.113.1", "192.0.2.7,10.1.1.1"],
            &["192.0.2.7:4711"],
            &["::ffff:192.0.2.7"],
        ] {
            for peer in [Some("10.9.9.9"), Some("::ffff:10.9.9.9"), None] {
                assert_eq!(client(peer, by, lines), found, "{lines:?}");
            }
        }
        assert_eq!(
            client(Some("10.9.9.9"), by, &["10.1.1.1"]).as_deref(),
            Some("10.1.1.1")
        );
        assert_eq!(client(Some("10.9.9.9"), by, &["unknown"]), None);
        assert_eq!(client(Some("10.9.9.9"), by, &[]), None);
    }

    #[test]
    fn the_standard_header_is_read_with_its_quotes_and_ports() {
        let by = ForwardedBy::Forwarded;
        for (line, found) in [
            ("for=192.0.2.7;proto=https;by=10.0.0.1", "192.0.2.7"),
            ("for=\"[2001:db8:9::7]:4711\"", "2001:db8:9::7"),
            (
                "For=203.0.113.1, proto=http;For=\"192.0.2.7:80\"",
                "192.0.2.7",
            ),
        ] {
            assert_eq!(
                client(Some("10.9.9.9"), by, &[line]).as_deref(),
                Some(found)
            );
        }
        for hidden in ["for=_hidden", "for=unknown", "proto=https", ""] {
            assert_eq!(client(Some("10.9.9.9"), by, &[hidden]), None, "{hidden}");
        }
    }

    #[test]
    fn only_who_is_named_and_on_this_machine_is_no_other() {
        let is_for_others = |name: HeaderName, line: &'static str| {
            let mut headers = HeaderMap::new();
            headers.append(name, HeaderValue::from_static(line));
            super::is_for_others(&headers)
        };
        for here in [
            "127.0.0.1",
            "::1, 127.0.0.1:5173",
            "[::1]:80",
            "::ffff:127.0.0.1",
        ] {
            assert!(!is_for_others(X_FORWARDED_FOR, here), "{here}");
        }
        for there in [
            "192.0.2.7",
            "127.0.0.1, 192.0.2.7",
            "192.0.2.7, ::1",
            "unknown",
            "",
        ] {
            assert!(is_for_others(X_FORWARDED_FOR, there), "{there}");
        }
        assert!(!is_for_others(FORWARDED, "for=\"[::1]:9\";proto=http"));
        assert!(is_for_others(FORWARDED, "for=192.0.2.7"));
        assert!(is_for_others(FORWARDED, "proto=https"));
        assert!(!super::is_for_others(&HeaderMap::new()));
    }

    #[test]
    fn what_is_no_network_is_refused() {
        for text in [
            "",
            "10.0.0.0/33",
            "::/129",
            "10.0.0/8",
            "10.0.0.0/",
            "a/8",
            "10.0.0.0/-1",
        ] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
        assert_eq!(
            "10.0.0.0/8".parse::<Network>().expect("one").to_string(),
            "10.0.0.0/8"
        );
        assert_eq!(
            "::1".parse::<Network>().expect("one").to_string(),
            "::1/128"
        );
    }

    proptest! {
        #[test]
        fn a_network_has_the_addresses_that_share_its_first_bits(own: u128, other: u128, bits in 0_u8..=128) {
            let network = Network { address: IpAddr::V6(own.into()), bits };
            let share = bits == 0 || own >> (128 - bits) == other >> (128 - bits);
            let other = IpAddr::V6(other.into());
            prop_assume!(other.to_canonical() == other);
            prop_assert_eq!(network.contains(other), share);
        }

        #[test]
        fn nothing_that_is_written_there_does_any_harm(line in "[ -~]{0,60}") {
            for by in [ForwardedBy::XForwardedFor, ForwardedBy::Forwarded] {
                client(Some("10.0.0.1"), by, &[&line]);
            }
        }
    }
}
