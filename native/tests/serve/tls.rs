//! TLS that is terminated by the server, with third-party clients, and certificates that are replaced.
#![cfg(all(feature = "tls", unix))]

use crate::support;
use std::sync::Arc;
use std::time::Duration;

use crate::support::certificates::self_signed;
use crate::support::http::get;
use crate::support::last_word::{close_code_after, text};
use crate::support::socket::Socket;
use crate::support::{end, eventually, publish_range, until_counts, within};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use serde_json::json;
use tidegate::Hub;
use tidegate::serve::{Listener, ServeConfig, Server, Tls, TlsError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::runtime::Handle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A hub with TLS, and also without.
struct Served {
    folder: tempfile::TempDir,
    tls: Tls,
    hub: Hub,
    address: String,
    plain: String,
}

impl Served {
    async fn start(change: impl FnOnce(&mut ServeConfig)) -> Self {
        Self::start_with(Hub::new(support::config()).unwrap(), change).await
    }

    async fn start_with(hub: Hub, change: impl FnOnce(&mut ServeConfig)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        self_signed(folder.path(), "first");
        let [chain, key] = ["server.crt", "server.key"].map(|name| folder.path().join(name));
        let tls = Tls::from_pem_files(chain, key).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let [address, plain_address] =
            [&listener, &plain].map(|listener| listener.local_addr().unwrap().to_string());
        let mut config = ServeConfig::default();
        change(&mut config);
        let server = Server::new(config)
            .listen_tls(listener, tls.clone())
            .listen(Listener::from(plain));
        tokio::spawn(server.run(tidegate::axum::router(hub.clone()), std::future::pending()));
        Self {
            folder,
            tls,
            hub,
            address,
            plain: plain_address,
        }
    }

    /// Connects, and returns the server's certificate.
    async fn connect(&self) -> (TlsStream<TcpStream>, CertificateDer<'static>) {
        let mut roots = rustls::RootCertStore::empty();
        let own = CertificateDer::from_pem_file(self.folder.path().join("server.crt")).unwrap();
        roots.add(own).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(&self.address).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
        let stream = within("a handshake", connecting).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap()[0].clone();
        (stream, shown.into_owned())
    }

    async fn curl(&self, arguments: &[&str], path: &str) -> String {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--show-error", "--max-time", "60"])
            .arg("--cacert")
            .arg(self.folder.path().join("server.crt"))
            .args(arguments)
            .arg(format!("https://{}{path}", self.address))
            .kill_on_drop(true);
        let output = within("curl", curl.output()).await.unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn metric(&self, name: &str) -> String {
        let metrics = get(&self.plain, "/metrics").await.body;
        let line = metrics.lines().find_map(|line| line.strip_prefix(name));
        line.unwrap_or_else(|| panic!("no {name} in {metrics}"))
            .trim()
            .to_owned()
    }
}

#[tokio::test]
async fn curl_is_served_by_either_version_of_http() {
    let served = Served::start(|_| {}).await;
    let write_out = ["--write-out", "%{http_version}"];
    for (flag, version) in [("--http1.1", "1.1"), ("--http2", "2")] {
        let told = served
            .curl(&[&[flag], &write_out[..]].concat(), "/healthz")
            .await;
        assert_eq!(told, format!("ok\n{version}"));
        end(&served.hub, &format!("a:{version}").replace('.', "-")).await;
    }
    for (flag, topic) in [("--http1.1", "a:1-1"), ("--http2", "a:2")] {
        let stream = served
            .curl(&[flag, "--no-buffer"], &format!("/events?topic={topic}"))
            .await;
        assert!(stream.starts_with("retry: 2000\n\n"), "{stream}");
        assert!(stream.contains("event: end\n"), "{stream}");
    }
    until_counts(&served.hub, 0, 0).await;
}

#[tokio::test]
async fn what_is_answered_before_its_body_was_read_reaches_curl_by_either_version_of_http() {
    let served = Served::start(|_| {}).await;
    let body = served.folder.path().join("body");
    std::fs::write(&body, vec![b'x'; 3 << 20]).unwrap();
    let data = format!("@{}", body.display());
    let status = ["--output", "/dev/null", "--write-out", "%{http_code}"];
    for flag in ["--http1.1", "--http2"] {
        for (path, told) in [
            ("/nowhere", "405"),
            ("/publish", "413"),
            ("/healthz", "405"),
        ] {
            for data in ["x", &data] {
                let told = if data == "x" && told == "413" {
                    "400"
                } else {
                    told
                };
                let arguments = [&[flag, "--data-binary", data], &status[..]].concat();
                assert_eq!(
                    served.curl(&arguments, path).await,
                    told,
                    "{flag} {path} {data}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_last_reaches_whoever_is_sending() {
    let served = Served::start(|_| {}).await;
    let large = [text(&"x".repeat(4_000_000))];
    for _ in 0..20 {
        let (stream, _) = served.connect().await;
        assert_eq!(close_code_after(stream, &large).await, Ok(1009));
    }
    for _ in 0..5 {
        let (mut stream, _) = served.connect().await;
        let head = "POST /publish HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 20000000\r\n\r\n";
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(&vec![b'x'; 20_000_000]).await.unwrap();
        let mut answer = String::new();
        let read = within("the end", stream.read_to_string(&mut answer)).await;
        read.unwrap();
        assert!(answer.starts_with("HTTP/1.1 413 "), "{answer}");
    }
}

#[tokio::test]
async fn a_websocket_passes_through() {
    let served = Served::start(|_| {}).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let (stream, _) = served.connect().await;
    let mut socket = Socket::over(stream).await;
    socket.subscribe("a", json!({})).await;
    // The shard has the connection itself: no task is left that passes bytes on.
    eventually("no task of the connection's", async || tasks() <= before).await;
    publish_range(&served.hub, "a", 1..=3).await;
    for number in 1..=3 {
        assert_eq!(socket.expect("pub").await["data"], number);
    }
    drop(socket);
    until_counts(&served.hub, 0, 0).await;
}

/// Publications that no socket accepts at once, each larger than a TLS record.
const PUBLICATIONS: u64 = 400;
const FILLING_BYTES: usize = 40 * 1024;

async fn publish_large(hub: &Hub, topic: &str) {
    let filling = "x".repeat(FILLING_BYTES);
    for number in 1..=PUBLICATIONS {
        let data = json!({"n": number, "filling": &filling});
        hub.publish(topic, &data).await.unwrap();
    }
    end(hub, topic).await;
}

/// A hub in which all of that may wait for a connection.
fn patient_hub() -> Hub {
    support::hub_with(|config| config.outbox_bytes_max = 64 * 1024 * 1024)
}

#[tokio::test]
async fn whoever_reads_a_websocket_later_is_given_all_of_it() {
    let served = Served::start_with(patient_hub(), |_| {}).await;
    let (stream, _) = served.connect().await;
    let mut socket = Socket::over(stream).await;
    socket.subscribe("a", json!({})).await;
    publish_large(&served.hub, "a").await;
    for number in 1..=PUBLICATIONS {
        let data = &socket.expect("pub").await["data"];
        assert_eq!(data["n"], number);
        assert_eq!(data["filling"].as_str().map(str::len), Some(FILLING_BYTES));
    }
    assert_eq!(socket.expect("pub").await["data"], "end");
    socket.expect("end").await;
    // The other direction takes more than a record, too.
    let large = "y".repeat(FILLING_BYTES);
    let publish = json!({"type": "publish", "ref": 1, "topic": "b", "data": large});
    socket.send(publish).await;
    socket.expect("published").await;
    drop(socket);
    until_counts(&served.hub, 0, 0).await;
}

#[tokio::test]
async fn whoever_reads_an_event_stream_later_is_given_all_of_it_and_its_end() {
    let served = Served::start_with(patient_hub(), |_| {}).await;
    let (mut stream, _) = served.connect().await;
    let request = "GET /events?topic=a HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n";
    stream.write_all(request.as_bytes()).await.unwrap();
    until_counts(&served.hub, 1, 1).await;
    publish_large(&served.hub, "a").await;
    let mut answer = Vec::new();
    // An end that TLS has not announced is an error here.
    let read = within("the end", stream.read_to_end(&mut answer)).await;
    read.expect("an end that was meant");
    let answer = String::from_utf8(answer).unwrap();
    for number in 1..=PUBLICATIONS {
        assert!(
            answer.contains(&format!("\"n\":{number}}}")),
            "{number} is missing"
        );
    }
    assert!(answer.contains("event: end\n") && answer.ends_with("\r\n0\r\n\r\n"));
    until_counts(&served.hub, 0, 0).await;
}

#[tokio::test]
async fn a_certificate_is_replaced_while_connections_go_on() {
    let served = Served::start(|_| {}).await;
    let (stream, first) = served.connect().await;
    let mut socket = Socket::over(stream).await;
    socket.subscribe("a", json!({})).await;
    assert!(!served.tls.reload().unwrap(), "nothing has changed");

    self_signed(served.folder.path(), "second");
    assert!(served.tls.reload().unwrap());
    let (_, second) = served.connect().await;
    assert_ne!(first, second);
    publish_range(&served.hub, "a", 1..=1).await;
    assert_eq!(socket.expect("pub").await["data"], 1);

    let key = served.folder.path().join("server.key");
    std::fs::write(&key, "no key").unwrap();
    let error = served.tls.reload().unwrap_err();
    assert!(matches!(error, TlsError::NoKey { .. }), "{error}");
    assert!(
        !served.tls.reload().unwrap(),
        "the same wrong file is told of once"
    );
    assert_eq!(served.connect().await.1, second);
}

#[tokio::test]
async fn files_that_do_not_fit_together_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    self_signed(folder.path(), "one");
    let [chain, key] = ["server.crt", "server.key"].map(|name| folder.path().join(name));
    let other = folder.path().join("other.key");
    std::fs::copy(&key, &other).unwrap();
    self_signed(folder.path(), "another");
    let nowhere = folder.path().join("nowhere");
    for (chain, key, word) in [
        (&chain, &other, "other.key"),
        (&key, &key, "no certificate"),
        (&chain, &chain, "no private key"),
        (&nowhere, &key, "nowhere"),
    ] {
        let error = Tls::from_pem_files(chain, key).unwrap_err().to_string();
        assert!(error.contains(word), "{word}: {error}");
    }
}

#[tokio::test]
async fn a_handshake_that_comes_to_nothing_is_cut_and_counted() {
    let served =
        Served::start(|config| config.handshake_timeout = Duration::from_millis(100)).await;
    let mut silent = TcpStream::connect(&served.address).await.unwrap();
    let mut plain = TcpStream::connect(&served.address).await.unwrap();
    plain
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    for stream in [&mut silent, &mut plain] {
        let mut answer = Vec::new();
        let _ = within("an end", stream.read_to_end(&mut answer)).await;
        assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    }
    eventually("two that are counted", async || {
        served.metric("tidegate_cut_total{reason=\"tls\"}").await == "2"
    })
    .await;
}

#[tokio::test]
async fn a_head_that_does_not_come_is_cut_behind_tls_as_well() {
    let served = Served::start(|config| config.head_timeout = Duration::from_millis(500)).await;
    let (mut stream, _) = served.connect().await;
    stream.write_all(b"GET / HTTP/1.1\r\nx: ").await.unwrap();
    let mut answer = Vec::new();
    let _ = within("an end", stream.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.1 408 "), "{answer:?}");
}
