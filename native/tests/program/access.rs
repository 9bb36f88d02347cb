//! Whom the program lets in, as its users say it.

use crate::support;
use crate::support::program::{Server, finish, program, run};
use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;

pub(super) const SECRET: &str = "a secret of at least thirty-two bytes";

pub(super) fn token(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

/// A token that ends so many seconds from now.
fn brief_token(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let exp = now.unwrap().as_secs() + seconds;
    token(&json!({ "sub": "ada", "exp": exp, "subscribe": ["job:*"] }))
}

#[tokio::test]
async fn a_server_that_asks_serves_whoever_has_a_token() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "a secret of at least thirty-two bytes\n").unwrap();
    let secret = secret.to_str().unwrap();
    let server = Server::start_with(program(&[
        "serve",
        "--backend",
        "memory",
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret-file",
        secret,
    ]))
    .await;
    let token = token(&json!({ "exp": 4_000_000_000_u64, "publish": ["job:*"] }));
    let publish = async |topic: &str, token: &str| {
        let mut publish = program(&["pub", "--server", &server.url, topic, "1"]);
        finish(publish.env("TIDEGATE_TOKEN", token).spawn().unwrap()).await
    };
    let published = publish("job:1", &token).await;
    assert_eq!(published.code, 0, "{published:?}");
    let elsewhere = publish("task:1", &token).await;
    assert_eq!(elsewhere.code, 1);
    assert!(elsewhere.stderr.contains("forbidden"), "{elsewhere:?}");
    for nothing in ["", "forged"] {
        let refused = publish("job:1", nothing).await;
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(refused.stderr.contains("unauthorized"), "{refused:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_that_prints_tokens_keeps_a_subscription_alive() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    std::fs::write(path("secret"), SECRET).unwrap();
    let server = Server::start_with(program(&[
        "serve",
        "--backend",
        "memory",
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret-file",
        &path("secret"),
    ]))
    .await;
    // Each token lasts a few seconds; the command takes the first of those that are left.
    let tokens: Vec<String> = (0..40).map(|number| brief_token(6 + number * 4)).collect();
    std::fs::write(path("tokens"), tokens.join("\n")).unwrap();
    let next = format!(
        "cd {} && echo x >>runs && sed -n \"$(wc -l <runs)p\" tokens",
        folder.path().display()
    );
    let subscribe = [
        "sub",
        "--server",
        &server.url,
        "job:1",
        "--token-command",
        &next,
    ];
    let mut subscriber = program(&subscribe);
    let subscriber = subscriber.spawn().unwrap();
    let runs = || std::fs::read_to_string(path("runs")).map_or(0, |runs| runs.lines().count());
    support::eventually("two renewals", async || runs() >= 3).await;
    let done = token(&json!({ "exp": 4_000_000_000_u64, "publish": ["job:*"] }));
    let mut publish = program(&[
        "pub",
        "--server",
        &server.url,
        "job:1",
        "7",
        "--end",
        "complete",
    ]);
    let published = finish(publish.env("TIDEGATE_TOKEN", &done).spawn().unwrap()).await;
    assert_eq!(published.code, 0, "{published:?}");
    let told = finish(subscriber).await;
    assert_eq!(
        (told.code, told.stdout.as_str()),
        (0, "job:1 #1 7\n"),
        "{told:?}"
    );
    assert_eq!(told.stderr, "tidegate: job:1: complete\n");
}

#[cfg(unix)]
#[tokio::test]
async fn a_command_that_prints_no_token_is_quoted() {
    for (command, word) in [
        ("echo locked >&2; exit 7", "locked"),
        ("true", "printed nothing"),
    ] {
        let server = "http://127.0.0.1:9";
        let refused = run(&[
            "pub",
            "--server",
            server,
            "job:1",
            "1",
            "--token-command",
            command,
        ])
        .await;
        assert_eq!(refused.code, 1, "{refused:?}");
        assert!(refused.stderr.contains(word), "{refused:?}");
    }
}

#[tokio::test]
async fn what_serve_is_told_of_access_is_checked_before_it_starts() {
    for (arguments, word) in [
        (&["--jwt-secret-file", "/nowhere"][..], "/nowhere"),
        (&["--jwks", "/nowhere"], "/nowhere"),
        (&["--jwt-audience", "x"], "--jwks"),
        (&["--origin", "app.example"], "https://app.example"),
        (&["--floor", "job:**"], "job:**=100ms"),
        (&["--browsers-publish", "a::b"], "a::b"),
    ] {
        let all = [&["serve", "--listen", "127.0.0.1:0"], arguments].concat();
        let refused = run(&all).await;
        assert_ne!(refused.code, 0);
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
}
