//! Who may connect to the program, as its users configure it.

use crate::support::eventually;
use crate::support::http::request;
use crate::support::program::{Outcome, Server, finish, program, run};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::json;

pub(super) const SECRET: &str = "a secret of at least thirty-two bytes";

pub(super) fn token(claims: &serde_json::Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).unwrap()
}

/// A token that expires in this number of seconds.
fn brief_token(seconds: u64) -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let exp = now.unwrap().as_secs() + seconds;
    token(&json!({ "sub": "ada", "exp": exp, "subscribe": ["job:*"] }))
}

/// The outcome of `tidegate pub` with this token.
async fn publish(server: &Server, topic: &str, token: String) -> Outcome {
    let mut publish = program(&["pub", "--server", &server.url, topic, "1"]);
    finish(publish.env("TIDEGATE_TOKEN", token).spawn().unwrap()).await
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
    let publish = |topic, token| publish(&server, topic, token);
    let published = publish("job:1", token.clone()).await;
    assert_eq!(published.code, 0, "{published:?}");
    let elsewhere = publish("task:1", token).await;
    assert_eq!(elsewhere.code, 1);
    assert!(elsewhere.stderr.contains("forbidden"), "{elsewhere:?}");
    for nothing in ["", "forged"] {
        let refused = publish("job:1", nothing.to_owned()).await;
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(refused.stderr.contains("unauthorized"), "{refused:?}");
    }
}

#[tokio::test]
async fn the_program_makes_tokens_that_its_servers_accept_and_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let file = format!("--jwt-secret-file={}", secret.to_str().unwrap());
    let audience = "--jwt-audience=live";
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        &file,
        audience,
    ]))
    .await;
    let make = async |arguments: &[&str]| run(&[&["token", &file], arguments].concat()).await;
    let made = make(&["--user=ada", "--publish=job:*", "--for=5m", audience]).await;
    assert_eq!((made.code, made.stderr.as_str()), (0, ""));
    let token = made.stdout.trim_end().to_owned();
    assert_eq!(publish(&server, "job:1", token.clone()).await.code, 0);
    let elsewhere = publish(&server, "task:1", token).await;
    assert!(elsewhere.stderr.contains("forbidden"), "{elsewhere:?}");
    let meant_for_nobody = make(&["--publish=job:*"])
        .await
        .stdout
        .trim_end()
        .to_owned();
    let refused = publish(&server, "job:1", meant_for_nobody).await;
    assert!(refused.stderr.contains("`aud`"), "{refused:?}");

    let long = "u".repeat(10_000);
    for (arguments, why) in [
        (&[][..], "allows nothing"),
        (&["--publish=job::1"], "job::1"),
        (&["--user", &long], "a user's name"),
        (&["--user=ada", "--for=0s"], "a time above zero"),
    ] {
        let refused = make(arguments).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains(why), "{refused:?}");
        assert_eq!(refused.stdout, "");
    }
    for (secret, why) in [(None, "--jwt-secret-file"), (Some("/nowhere"), "/nowhere")] {
        let mut unsigned = program(&["token", "--user=ada"]);
        unsigned.envs(secret.map(|path| ("TIDEGATE_JWT_SECRET_FILE", path)));
        let unsigned = finish(unsigned.spawn().unwrap()).await;
        assert_eq!(unsigned.code, 2, "{unsigned:?}");
        assert!(unsigned.stderr.contains(why), "{unsigned:?}");
    }
}

/// The key of RFC 8037, appendix A, as PKCS #8, and as the set that a server is given.
const ED25519: [u8; 48] = [
    0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20,
    0x9d, 0x61, 0xb1, 0x9d, 0xef, 0xfd, 0x5a, 0x60, 0xba, 0x84, 0x4a, 0xf4, 0x92, 0xec, 0x2c, 0xc4,
    0x44, 0x49, 0xc5, 0x69, 0x7b, 0x32, 0x69, 0x19, 0x70, 0x3b, 0xac, 0x03, 0x1c, 0xae, 0x7f, 0x60,
];
const ED25519_SET: &str = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"rfc8037","alg":"EdDSA","use":"sig","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;

#[tokio::test]
async fn a_server_with_public_keys_serves_whoever_one_of_them_has_signed_for() {
    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    std::fs::write(&keys, ED25519_SET).unwrap();
    let server = Server::start_with(program(&[
        "serve",
        "--backend",
        "memory",
        "--listen",
        "127.0.0.1:0",
        "--jwks",
        keys.to_str().unwrap(),
    ]))
    .await;
    let claims = json!({ "exp": 4_000_000_000_u64, "publish": ["job:*"] });
    let mut header = Header::new(Algorithm::EdDSA);
    header.kid = Some("rfc8037".to_owned());
    let signed = |key: &[u8]| encode(&header, &claims, &EncodingKey::from_ed_der(key)).unwrap();
    let publish = |topic, token| publish(&server, topic, token);
    let published = publish("job:1", signed(&ED25519)).await;
    assert_eq!(published.code, 0, "{published:?}");
    let elsewhere = publish("task:1", signed(&ED25519)).await;
    assert!(elsewhere.stderr.contains("forbidden"), "{elsewhere:?}");
    let mut other = ED25519;
    other[47] ^= 1;
    // A secret is not a key of the set, and neither is the set's public text.
    let by_secret = EncodingKey::from_secret(ED25519_SET.as_bytes());
    let by_secret = encode(&Header::default(), &claims, &by_secret).unwrap();
    for forged in [signed(&other), by_secret] {
        let refused = publish("job:1", forged).await;
        assert_ne!(refused.code, 0, "{refused:?}");
        assert!(refused.stderr.contains("unauthorized"), "{refused:?}");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn public_keys_are_read_again_when_the_server_is_told_to() {
    use rustix::process::{Pid, Signal, kill_process};

    let folder = tempfile::tempdir().unwrap();
    let keys = folder.path().join("keys.json");
    // A key with which nothing here is signed.
    let (start, rest) = ED25519_SET.split_once("11qYAYKx").unwrap();
    std::fs::write(&keys, format!("{start}AAAAAAAA{rest}")).unwrap();
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        "--jwks",
        keys.to_str().unwrap(),
    ]))
    .await;
    let claims = json!({ "exp": 4_000_000_000_u64, "publish": ["job:*"] });
    let key = EncodingKey::from_ed_der(&ED25519);
    let token = encode(&Header::new(Algorithm::EdDSA), &claims, &key).unwrap();
    let header = format!("Authorization: Bearer {token}\r\n");
    let body = json!({ "topic": "job:1", "data": 1 }).to_string();
    let publish = async || {
        let answer = request(&server.address, "POST /publish", &header, &body).await;
        answer.status
    };
    let tell = || {
        let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
    };
    assert_eq!(publish().await, 401);
    std::fs::write(&keys, ED25519_SET).unwrap();
    tell();
    eventually("the new key", async || publish().await == 200).await;
    // A file that isn't a key set changes nothing; a valid one after it does, and the server is still there.
    std::fs::write(&keys, "{}").unwrap();
    tell();
    for _ in 0..20 {
        assert_eq!(publish().await, 200);
    }
    std::fs::write(&keys, format!("{start}AAAAAAAA{rest}")).unwrap();
    tell();
    eventually("the old key", async || publish().await == 401).await;
}

#[cfg(unix)]
#[tokio::test]
async fn a_secret_is_read_again_when_the_server_is_told_to() {
    use rustix::process::{Pid, Signal, kill_process};

    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "another secret of thirty-two bytes or more\n").unwrap();
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        "--jwt-secret-file",
        secret.to_str().unwrap(),
    ]))
    .await;
    let token = token(&json!({ "exp": 4_000_000_000_u64, "publish": ["job:*"] }));
    let header = format!("Authorization: Bearer {token}\r\n");
    let body = json!({ "topic": "job:1", "data": 1 }).to_string();
    let publish = async || request(&server.address, "POST /publish", &header, &body).await;
    let refused = publish().await;
    assert_eq!(refused.status, 401);
    assert_eq!(refused.header("www-authenticate"), Some("Bearer"));
    std::fs::write(&secret, format!("{SECRET}\n")).unwrap();
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    eventually("the new secret", async || publish().await.status == 200).await;
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
    // Each token lasts a few seconds; the command takes the first of the remaining ones.
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
    eventually("two renewals", async || runs() >= 3).await;
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

#[tokio::test]
async fn the_program_ends_the_connections_of_a_user_by_a_token_that_may_do_everything() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, SECRET).unwrap();
    let file = format!("--jwt-secret-file={}", secret.to_str().unwrap());
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        &file,
    ]))
    .await;
    let disconnect = async |publish: &str| {
        let command = format!(
            "{} token '{file}' --subscribe '**' --publish '{publish}'",
            env!("CARGO_BIN_EXE_tidegate")
        );
        let arguments = [
            "disconnect",
            "ada",
            "--server",
            &server.url,
            "--token-command",
            &command,
        ];
        run(&arguments).await
    };
    let mut subscribe = program(&["sub", "--server", &server.url, "job:1"]);
    subscribe.env("TIDEGATE_TOKEN", brief_token(600));
    let subscriber = subscribe.spawn().unwrap();
    eventually("the connection's end", async || {
        let ended = disconnect("**").await;
        assert_eq!(ended.code, 0, "{ended:?}");
        ended.stdout == "1\n"
    })
    .await;
    let over = finish(subscriber).await;
    assert_eq!(over.code, 1, "{over:?}");
    assert!(over.stderr.contains("disconnected"), "{over:?}");
    let refused = disconnect("job:*").await;
    assert_eq!(refused.code, 1);
    assert!(refused.stderr.contains("publish to **"), "{refused:?}");
}
