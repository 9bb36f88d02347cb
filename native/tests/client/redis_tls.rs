//! Redis over TLS: what `rediss://` encrypts, and which certificates it trusts.
#![cfg(feature = "redis")]

use std::process::Command;

use crate::servers::redis::RedisServer;
use crate::support::certificates::self_signed;
use crate::support::place::Place;
use crate::support::program::{finish, program};

#[tokio::test]
async fn rediss_encrypts_and_trusts_whom_the_system_trusts() {
    let folder = tempfile::tempdir().unwrap();
    self_signed(folder.path(), "127.0.0.1");
    let certificate = folder.path().join("server.crt");
    let key = folder.path().join("server.key");
    let place = Place::new();
    let (_, port) = place.address.split_once(':').unwrap();
    let _redis = RedisServer::start_with(&[
        "--save",
        "",
        "--tls-port",
        port,
        "--tls-cert-file",
        certificate.to_str().unwrap(),
        "--tls-key-file",
        key.to_str().unwrap(),
        "--tls-auth-clients",
        "no",
    ]);
    let address = format!("rediss://127.0.0.1:{port}");
    let publish = || program(&["pub", "--backend", &address, "job:1", "{\"progress\":0.5}"]);

    // A variable that rustls reads as OpenSSL does: the certificates to trust.
    let trusting = publish()
        .env("SSL_CERT_FILE", &certificate)
        .spawn()
        .unwrap();
    let outcome = finish(trusting).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");

    let stranger = finish(publish().spawn().unwrap()).await;
    assert_eq!(stranger.code, 3, "{stranger:?}");
    assert!(stranger.stderr.contains("certificate"), "{stranger:?}");

    let mut plain = Command::new("redis-cli");
    let plain = plain.args(["-p", port, "PING"]).output().unwrap();
    assert!(
        !String::from_utf8_lossy(&plain.stdout).contains("PONG"),
        "the port speaks TLS only: {plain:?}"
    );
}
