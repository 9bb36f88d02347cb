//! Pages of other allowed origins: browsers let them read the answers, too.

use crate::support::http::{Answer, request};
use crate::support::{config, serve};
use serde_json::json;
use tidegate::Hub;

const LISTED: &str = "https://app.example";

/// A server that pages of one other origin may use, also to publish.
async fn served() -> (Hub, String) {
    let mut config = config();
    config.access.origins = vec![LISTED.into()];
    config.access.browsers_publish = vec!["chat:*".parse().unwrap()];
    let hub = Hub::new(config).unwrap();
    let address = serve(tidegate::axum::router(hub.clone())).await;
    (hub, address)
}

async fn ask(address: &str, line: &str, origin: &str, more: &str, body: &str) -> Answer {
    let headers = format!("Origin: {origin}\r\n{more}");
    request(address, line, &headers, body).await
}

#[tokio::test]
async fn a_browser_that_asks_first_is_told_what_a_listed_page_may_send() {
    let (_hub, address) = served().await;
    let asked = "Access-Control-Request-Method: POST\r\n\
                 Access-Control-Request-Headers: authorization,content-type\r\n";
    for place in ["/publish", "/events", "/ticket", "/user/devices"] {
        let line = format!("OPTIONS {place}");
        let answer = ask(&address, &line, LISTED, asked, "").await;
        assert_eq!(answer.status, 200, "{place}");
        let allowed = |name: &str| {
            let name = format!("access-control-allow-{name}");
            answer.header(&name).unwrap_or("").to_lowercase()
        };
        assert_eq!(allowed("origin"), LISTED);
        assert_eq!(allowed("credentials"), "true");
        for method in ["get", "post", "delete"] {
            assert!(allowed("methods").contains(method), "{place} {method}");
        }
        for header in ["authorization", "content-type", "last-event-id"] {
            assert!(allowed("headers").contains(header), "{place} {header}");
        }
        let other = ask(&address, &line, "https://evil.example", asked, "").await;
        assert_eq!(other.header("access-control-allow-origin"), None);
    }
}

#[tokio::test]
async fn a_listed_page_may_read_answers_and_errors_and_no_other_may() {
    let (_hub, address) = served().await;
    let payload = json!({ "topic": "chat:1", "data": 1, "end": "complete" }).to_string();
    let refused = json!({ "topic": "job:1", "data": 1 }).to_string();
    for (line, body, status) in [
        ("POST /publish", payload.as_str(), 200),
        ("POST /publish", refused.as_str(), 403),
        ("GET /events?topic=chat:1", "", 200),
        ("GET /events", "", 400),
    ] {
        let answer = ask(&address, line, LISTED, "", body).await;
        assert_eq!(answer.status, status, "{line}");
        let allowed = answer.header("access-control-allow-origin");
        assert_eq!(allowed, Some(LISTED), "{line}");
        let varies = answer.header("vary").unwrap_or("").to_lowercase();
        assert!(varies.contains("origin"), "{line}: {varies}");
        let other = ask(&address, line, "https://evil.example", "", body).await;
        assert_eq!(other.status, 403, "{line}");
        assert_eq!(other.header("access-control-allow-origin"), None, "{line}");
    }
}
