//! Whom the program lets in, as its users say it.

mod support;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::json;
use support::program::{Server, finish, program, run};

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
    let key = EncodingKey::from_secret(b"a secret of at least thirty-two bytes");
    let claims = json!({ "exp": 4_000_000_000_u64, "publish": ["job:*"] });
    let token = encode(&Header::default(), &claims, &key).unwrap();
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
