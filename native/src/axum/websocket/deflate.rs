//! Negotiates permessage-deflate (RFC 7692, 7.1): which of a client's offers is accepted, and how.

use axum::http::HeaderMap;
use axum::http::header::SEC_WEBSOCKET_EXTENSIONS;

/// No context is carried over between messages, in either direction.
const ACCEPTED: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";

/// The same, for a client that limits the server's window to the largest size.
const ACCEPTED_WITH_WINDOW: &str = "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15";

/// The largest window, with which messages are compressed.
const WINDOW_BITS: &str = "15";

/// The answer to the first acceptable offer, if there is one.
pub(super) fn accept(headers: &HeaderMap) -> Option<&'static str> {
    let values = headers.get_all(SEC_WEBSOCKET_EXTENSIONS).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    values
        .flat_map(|value| value.split(','))
        .find_map(accept_offer)
}

fn accept_offer(offer: &str) -> Option<&'static str> {
    let mut parts = offer.split(';').map(str::trim);
    if parts.next() != Some("permessage-deflate") {
        return None;
    }
    let mut names = Vec::new();
    let mut answer = ACCEPTED;
    for parameter in parts {
        let (name, value) = match parameter.split_once('=') {
            Some((name, value)) => (name.trim(), Some(value.trim().trim_matches('"'))),
            None => (parameter, None),
        };
        match (name, value) {
            ("server_no_context_takeover" | "client_no_context_takeover", None) => {}
            // The size of the client's window doesn't matter: any can be decompressed.
            ("client_max_window_bits", None) => {}
            ("client_max_window_bits", Some(bits)) if is_window(bits) => {}
            ("server_max_window_bits", Some(WINDOW_BITS)) => answer = ACCEPTED_WITH_WINDOW,
            _ => return None,
        }
        if names.contains(&name) {
            return None;
        }
        names.push(name);
    }
    Some(answer)
}

fn is_window(bits: &str) -> bool {
    matches!(bits, "8" | "9" | "10" | "11" | "12" | "13" | "14" | "15")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepted(offers: &str) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        headers.insert(SEC_WEBSOCKET_EXTENSIONS, offers.parse().expect("valid"));
        accept(&headers)
    }

    #[test]
    fn what_browsers_and_others_offer_is_accepted() {
        for offer in [
            "permessage-deflate",
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate;client_max_window_bits=15 ; server_no_context_takeover",
            "permessage-deflate; client_no_context_takeover; server_no_context_takeover",
            "x-webkit-deflate-frame, permessage-deflate",
            "permessage-deflate; server_max_window_bits=10, permessage-deflate",
        ] {
            assert_eq!(accepted(offer), Some(ACCEPTED), "{offer}");
        }
        let offer = "permessage-deflate; server_max_window_bits=\"15\"";
        assert_eq!(accepted(offer), Some(ACCEPTED_WITH_WINDOW));
    }

    #[test]
    fn what_cannot_be_kept_is_not_accepted() {
        for offer in [
            "permessage-bzip2",
            "permessage-deflate; server_max_window_bits=10",
            "permessage-deflate; server_max_window_bits",
            "permessage-deflate; client_max_window_bits=7",
            "permessage-deflate; client_no_context_takeover=1",
            "permessage-deflate; client_max_window_bits; client_max_window_bits",
            "permessage-deflate; level=9",
        ] {
            assert_eq!(accepted(offer), None, "{offer}");
        }
        assert_eq!(accept(&HeaderMap::new()), None);
    }
}
