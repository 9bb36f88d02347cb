//! Clients of servers with TLS: which certificates they trust, and the errors for those that they must not.
#![cfg(all(feature = "tls", unix))]

use crate::support::certificates::{Authority, Time};
use crate::support::program::{Outcome, Server, finish, program};
use crate::support::within;
use futures_util::StreamExt as _;
use serde_json::json;
use tidegate::client::{ClientError, ClientOptions, HandshakeError, Trust, TrustError};
use tidegate::{Client, Event};
use tokio::io::AsyncReadExt as _;

/// A server whose certificate is for this name and time, and who has issued it.
async fn served(name: &str, time: Time) -> (Server, Authority) {
    let authority = Authority::new();
    let issued = authority.issue(name, time);
    let mut serve = program(&["serve", "--backend", "memory", "--listen", "127.0.0.1:0"]);
    serve.arg("--tls-cert").arg(&issued.chain);
    serve.arg("--tls-key").arg(&issued.key);
    (Server::start_with(serve).await, authority)
}

fn trusting(authority: &Authority) -> ClientOptions {
    ClientOptions {
        trust: Trust::from_pem_file(authority.certificate()).unwrap(),
        ..ClientOptions::default()
    }
}

/// Why a client that trusts the server's authority can't connect to `url`.
async fn refused(url: &str, authority: &Authority) -> ClientError {
    let connecting = Client::connect_with(url, trusting(authority));
    let connected = within("an answer", connecting).await;
    connected.map(|_| ()).unwrap_err()
}

/// Runs the program with an authority to trust.
async fn run(arguments: &[&str], server: &Server, authority: Option<&Authority>) -> Outcome {
    let mut command = program(arguments);
    command.args(["--server", &server.url]);
    if let Some(authority) = authority {
        command.args(["--ca", &authority.certificate()]);
    }
    finish(command.spawn().unwrap()).await
}

#[tokio::test]
async fn publications_go_both_ways_over_tls() {
    let (server, authority) = served("IP:127.0.0.1", Time::Now).await;
    assert!(server.url.starts_with("https://"), "{}", server.url);
    let connecting = Client::connect_with(&server.url, trusting(&authority));
    let client = within("a welcome", connecting).await.unwrap();
    let mut events = client.subscribe("job:1").await.unwrap();
    let position = client.publish("job:1", &json!({"n": 1})).await.unwrap();
    match within("a publication", events.next()).await {
        Some(Event::Publication(publication)) => {
            assert_eq!(publication.position, position);
            assert_eq!(publication.payload.as_str(), r#"{"n":1}"#);
        }
        other => panic!("{other:?}"),
    }
    let socket = server.url.replace("https://", "wss://");
    let other = Client::start_with(&socket, trusting(&authority)).unwrap();
    let publishing = tokio::task::spawn_blocking(move || {
        let blocking = other.blocking();
        let position = blocking.publish("job:1", &2).unwrap();
        blocking.close().unwrap();
        position
    });
    let position = within("an answer", publishing).await.unwrap();
    assert_eq!(position.offset, 2);
    assert!(matches!(
        within("a publication", events.next()).await,
        Some(Event::Publication(_))
    ));
}

#[tokio::test]
async fn every_command_of_the_program_speaks_tls() {
    let (server, authority) = served("IP:127.0.0.1", Time::Now).await;
    let told = Some(&authority);
    let published = run(&["pub", "job:1", r#"{"n":1}"#], &server, told).await;
    assert_eq!(published.code, 0, "{published:?}");
    let heard = run(&["sub", "job:1", "--count", "1"], &server, told).await;
    assert!(heard.stdout.contains(r#"{"n":1}"#), "{heard:?}");

    // By the variable.
    let mut command = program(&["run", "--server", &server.url, "--job", "2", "--", "true"]);
    command.env("TIDEGATE_CA", authority.certificate());
    let outcome = finish(command.spawn().unwrap()).await;
    assert_eq!((outcome.code, outcome.stderr.as_str()), (0, ""));
    let ended = run(&["sub", "job:2"], &server, told).await;
    assert!(ended.stdout.contains("COMPLETE"), "{ended:?}");

    // By the system's own list, which this variable replaces.
    let mut command = program(&["pub", "job:3", "3", "--server", &server.url]);
    command.env("SSL_CERT_FILE", authority.certificate());
    let outcome = finish(command.spawn().unwrap()).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");

    let (mut pty, pts) = pty_process::open().unwrap();
    pty.resize(pty_process::Size::new(20, 120)).unwrap();
    let top = pty_process::Command::new(env!("CARGO_BIN_EXE_tidegate"))
        .args(["top", "--server", &server.url])
        .args(["--ca", &authority.certificate()])
        .env("TERM", "xterm")
        .kill_on_drop(true);
    let _top = top.spawn(pts).unwrap();
    let mut seen = String::new();
    let seeing = async {
        while !seen.contains("job:3") {
            let mut buffer = [0; 4096];
            let length = pty.read(&mut buffer).await.unwrap();
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    within("the topics", seeing).await;
}

#[tokio::test]
async fn a_server_that_nobody_vouches_for_is_refused_in_words() {
    let (server, authority) = served("IP:127.0.0.1", Time::Now).await;
    let stranger = within("an answer", Client::connect(&server.url)).await;
    let error = stranger.map(|_| ()).unwrap_err();
    let host = "127.0.0.1".to_owned();
    let expected = HandshakeError::UnknownIssuer { host };
    assert!(
        matches!(&error, ClientError::Insecure(told) if *told == expected),
        "{error:?}"
    );
    assert!(error.to_string().contains("--ca FILE"), "{error}");

    for command in [&["pub", "a", "1"][..], &["sub", "a"]] {
        let outcome = run(command, &server, None).await;
        assert_eq!(outcome.code, 3, "{outcome:?}");
        assert!(outcome.stderr.contains("--ca FILE"), "{outcome:?}");
    }
    let other = Authority::new();
    let outcome = run(&["pub", "a", "1"], &server, Some(&other)).await;
    assert_eq!(outcome.code, 3, "{outcome:?}");
    // A job runs nevertheless, and its progress is not published.
    let mut job = program(&["run", "--server", &server.url, "--", "sh", "-c", "exit 7"]);
    let outcome = finish(job.spawn().unwrap()).await;
    assert_eq!(outcome.code, 7, "{outcome:?}");
    assert!(outcome.stderr.contains("--ca FILE"), "{outcome:?}");
    // None of them has sent anything.
    let client = Client::start_with(&server.url, trusting(&authority)).unwrap();
    let position = within("an answer", client.publish("a", &1)).await.unwrap();
    assert_eq!(position.offset, 1);
}

#[tokio::test]
async fn certificates_of_others_and_of_other_times_are_refused_in_words() {
    let (server, authority) = served("DNS:progress.example", Time::Now).await;
    let error = refused(&server.url, &authority).await;
    let expected = HandshakeError::WrongName {
        host: "127.0.0.1".to_owned(),
        names: vec!["progress.example".to_owned()],
    };
    assert!(
        matches!(&error, ClientError::Insecure(told) if *told == expected),
        "{error:?}"
    );
    for (time, words) in [
        (Time::Over, "has expired"),
        (Time::ToCome, "is not valid yet"),
    ] {
        let (server, authority) = served("IP:127.0.0.1", time).await;
        let error = refused(&server.url, &authority).await;
        assert!(matches!(error, ClientError::Insecure(_)), "{error:?}");
        assert!(error.to_string().contains(words), "{error}");
    }
}

#[tokio::test]
async fn the_wrong_scheme_is_told_from_either_side() {
    let plain = Server::start().await;
    let url = format!("wss://{}", plain.address);
    let error = refused(&url, &Authority::new()).await;
    assert!(
        matches!(error, ClientError::Insecure(HandshakeError::NotTls { .. })),
        "{error:?}"
    );
    assert!(error.to_string().contains("write http://"), "{error}");

    let (secure, authority) = served("IP:127.0.0.1", Time::Now).await;
    let error = refused(&format!("http://{}", secure.address), &authority).await;
    assert!(
        matches!(error, ClientError::Unreachable { .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("write https://"), "{error}");
}

#[tokio::test]
async fn a_file_that_names_nobody_to_trust_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [missing, empty, damaged] =
        ["missing.pem", "empty.pem", "damaged.pem"].map(|name| folder.path().join(name));
    std::fs::write(&empty, "no certificate").unwrap();
    let pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&damaged, pem).unwrap();
    assert!(matches!(
        Trust::from_pem_file(&missing),
        Err(TrustError::Unreadable { .. })
    ));
    assert!(matches!(
        Trust::from_pem_file(&empty),
        Err(TrustError::NoCertificate { .. })
    ));
    assert!(matches!(
        Trust::from_pem_file(&damaged),
        Err(TrustError::Unusable { .. })
    ));
    let mut command = program(&["pub", "a", "1", "--server", "https://127.0.0.1:1", "--ca"]);
    let outcome = finish(command.arg(&empty).spawn().unwrap()).await;
    assert_eq!(outcome.code, 2, "{outcome:?}");
    assert!(outcome.stderr.contains("empty.pem"), "{outcome:?}");
}
