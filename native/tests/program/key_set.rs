//! `tidegate serve --jwks https://…`: keys of tokens from an identity provider.

use std::sync::Arc;

use crate::support::certificates::{Authority, Time};
use crate::support::http::{get, request};
use crate::support::program::{Server, program, run};
use crate::support::provider::{FIRST, KeyPair, Provider, Reply, SECOND};
use crate::support::{eventually, within};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tidegate::serve::{ServeConfig, Server as Serving, Tls};
use tokio::net::{TcpListener, TcpSocket};
use tokio::process::Command;

/// A provider behind TLS; returns the URL of its keys.
async fn served(provider: &Arc<Provider>, authority: &Authority) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    serve_keys(provider, authority, listener);
    format!("https://{address}/keys?app=7")
}

fn serve_keys(provider: &Arc<Provider>, authority: &Authority, listener: TcpListener) {
    let issued = authority.issue("IP:127.0.0.1", Time::Now);
    let tls = Tls::from_pem_files(issued.chain, issued.key).unwrap();
    let server = Serving::new(ServeConfig::default()).listen_tls(listener, tls);
    tokio::spawn(server.run(provider.app(), std::future::pending()));
}

fn serve(url: &str) -> Command {
    program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        "--jwks",
        url,
    ])
}

async fn publish(server: &Server, key: &KeyPair) -> u16 {
    let header = format!("Authorization: Bearer {}\r\n", key.token());
    let body = json!({ "topic": "job:1", "data": 1 }).to_string();
    let answer = request(&server.address, "POST /publish", &header, body).await;
    answer.status
}

async fn is_ready(server: &Server) -> bool {
    get(&server.address, "/readyz").await.status == 200
}

async fn told(server: &Server) -> Value {
    get(&server.address, "/debug").await.json()["keys"].clone()
}

#[tokio::test]
async fn keys_come_from_a_url_and_are_fetched_again_for_a_new_one_and_when_the_server_is_told_to() {
    let (provider, authority) = (Provider::new(Reply::keys(&[&FIRST])), Authority::new());
    let url = served(&provider, &authority).await;
    let mut command = serve(&url);
    command.env("SSL_CERT_FILE", authority.certificate());
    let server = Server::start_with(command).await;
    // Without any client that needs them.
    eventually("the first fetch", async || provider.fetches() == 1).await;
    assert_eq!(publish(&server, &FIRST).await, 200);
    provider.replies(Reply::keys(&[&FIRST, &SECOND]));
    assert_eq!(publish(&server, &SECOND).await, 200);
    assert_eq!(publish(&server, &FIRST).await, 200);
    assert_eq!(provider.fetches(), 2);

    provider.replies(Reply::keys(&[&SECOND]));
    let pid = Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    kill_process(pid, Signal::HUP).unwrap();
    eventually("the withdrawal", async || {
        publish(&server, &FIRST).await == 401
    })
    .await;
    assert_eq!(publish(&server, &SECOND).await, 200);
    assert_eq!(provider.fetches(), 3);
}

#[tokio::test]
async fn a_server_starts_without_its_provider_and_lets_clients_in_once_that_is_there() {
    let (provider, authority) = (Provider::new(Reply::keys(&[&FIRST])), Authority::new());
    // The port is reserved, and nobody listens on it.
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let mut command = serve(&format!("https://{address}/keys?app=7"));
    command.env("SSL_CERT_FILE", authority.certificate());
    let server = Server::start_with(command).await;
    eventually("a failure", async || {
        told(&server).await["last_error"].is_string()
    })
    .await;
    assert_eq!(publish(&server, &FIRST).await, 503);
    assert!(!is_ready(&server).await);

    serve_keys(&provider, &authority, socket.listen(64).unwrap());
    eventually("the keys", async || is_ready(&server).await).await;
    assert_eq!(publish(&server, &FIRST).await, 200);
}

#[tokio::test]
async fn keys_of_somebody_who_is_not_trusted_are_not_taken() {
    let (provider, authority) = (Provider::new(Reply::keys(&[&FIRST])), Authority::new());
    let url = served(&provider, &authority).await;
    let mut command = serve(&url);
    command.env("SSL_CERT_FILE", Authority::new().certificate());
    let server = Server::start_with(command).await;
    eventually("a failure", async || {
        let told = told(&server).await;
        told["last_error"]
            .as_str()
            .is_some_and(|told| told.contains("SSL_CERT_FILE"))
    })
    .await;
    assert_eq!(
        (publish(&server, &FIRST).await, provider.fetches()),
        (503, 0)
    );
}

#[tokio::test]
async fn the_address_of_keys_is_checked_and_asked_for_nothing_by_a_check() {
    for (url, why) in [
        ("http://id.example/keys", "attacker"),
        ("https://ada:hush@id.example/keys", "a name or a password"),
        ("ftp://id.example/keys", "https://"),
    ] {
        let argument = format!("--jwks={url}");
        for command in [&["serve", "--listen=127.0.0.1:0"][..], &["config", "check"]] {
            let refused = run(&[command, &[argument.as_str()]].concat()).await;
            assert_ne!(refused.code, 0, "{url}: {refused:?}");
            assert!(refused.stderr.contains(why), "{url}: {refused:?}");
            assert!(!refused.stderr.contains("hush"), "{refused:?}");
        }
    }
    let provider = Provider::new(Reply::keys(&[&FIRST]));
    let url = provider.serve().await;
    for option in ["--jwks", "--oidc-issuer"] {
        let checked = within("a check", run(&["config", "check", option, &url])).await;
        assert_eq!(checked.code, 0, "{checked:?}");
        assert!(checked.stdout.contains(&url), "{checked:?}");
    }
    assert_eq!(provider.fetches(), 0);
    let twice = [
        "config",
        "check",
        "--oidc-issuer=https://id.example/",
        "--jwt-issuer=https://other.example/",
    ];
    let refused = run(&twice).await;
    assert_ne!(refused.code, 0, "{refused:?}");
    assert!(refused.stderr.contains("jwt_issuer"), "{refused:?}");
}

#[tokio::test]
async fn an_issuer_is_all_that_a_server_needs_to_know() {
    let provider = Provider::new(Reply::keys(&[&FIRST]));
    let keys = provider.serve().await;
    let issuer = keys.replace("keys?app=7", "tenant");
    provider.is_called(&issuer, &keys);
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        "--oidc-issuer",
        &issuer,
    ]))
    .await;
    eventually("the keys", async || is_ready(&server).await).await;
    let publish = async |token: String| {
        let header = format!("Authorization: Bearer {token}\r\n");
        let body = json!({ "topic": "job:1", "data": 1 }).to_string();
        let answer = request(&server.address, "POST /publish", &header, body).await;
        answer.status
    };
    assert_eq!(publish(FIRST.token_from(&issuer)).await, 200);
    assert_eq!(publish(FIRST.token()).await, 401);
}
