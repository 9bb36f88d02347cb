//! What must never be in a log: anything that grants access.

use std::path::Path;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::Command;

use crate::access::SECRET;
use crate::support::certificates::self_signed;
use crate::support::http::request;
use crate::support::program::{finish, program};
use crate::support::socket::Socket;
use crate::support::within;

const TICKET_SECRET: &str = "another secret, that tickets are signed by";

/// Tokens, each of which the server sees once, and the log never.
#[derive(Default)]
struct Tokens(Vec<String>);

impl Tokens {
    /// A good one, unlike all others.
    fn issue(&mut self) -> String {
        let claims = json!({
            "sub": 7, "jti": self.0.len(), "exp": 4_000_000_000_u64, "subscribe": ["**"], "publish": ["**"],
        });
        let key = EncodingKey::from_secret(SECRET.as_bytes());
        self.note(encode(&Header::default(), &claims, &key).unwrap())
    }

    /// A token signed with another secret: it may be valid elsewhere.
    fn forge(&mut self) -> String {
        let claims = json!({ "sub": 8, "jti": self.0.len(), "exp": 4_000_000_000_u64 });
        let key = EncodingKey::from_secret(b"a secret that is another server's own");
        self.note(encode(&Header::default(), &claims, &key).unwrap())
    }

    fn note(&mut self, token: String) -> String {
        self.0.push(token.clone());
        token
    }
}

/// Sends tokens in every possible way, good ones and others.
async fn show_all(address: &str, tokens: &mut Tokens) {
    for is_good in [true, false] {
        let mut next = || {
            if is_good {
                tokens.issue()
            } else {
                tokens.forge()
            }
        };
        let shown = [
            ("authorization", format!("Bearer {}", next())),
            (
                "sec-websocket-protocol",
                format!("tidegate.v1.json, tidegate.token.{}", next()),
            ),
            ("cookie", format!("tidegate_token={}", next())),
        ];
        for (name, value) in shown {
            let stream = TcpStream::connect(address).await.unwrap();
            let opened = Socket::with_headers(stream, &[(name, &value)]).await;
            assert_eq!(opened.is_ok(), is_good, "{name}");
        }
        let stream = TcpStream::connect(address).await.unwrap();
        let mut socket = Socket::over(stream).await;
        let hello = json!({ "type": "hello", "token": next() });
        socket.send(hello).await;
        socket
            .expect(if is_good { "subscribed" } else { "error" })
            .await;
        let header = format!("Authorization: Bearer {}\r\n", next());
        let body = json!({ "topic": "a", "data": 1 }).to_string();
        let status = if is_good { 200 } else { 401 };
        let published = request(address, "POST /publish", &header, body).await;
        assert_eq!(published.status, status);
        let answer = request(address, "POST /ticket", &header, "").await;
        let ticket: Value = answer.json()["ticket"].clone();
        let ticket = ticket.as_str().unwrap_or("forged-ticket").to_owned();
        let path = format!("/ws?ticket={ticket}");
        let stream = TcpStream::connect(address).await.unwrap();
        assert_eq!(Socket::at(&path, stream, &[]).await.is_ok(), is_good);
        tokens.note(ticket);
    }
}

/// The same over HTTP/2, where another library encodes headers.
async fn show_over_http2(url: &str, tokens: &mut Tokens) {
    for token in [tokens.issue(), tokens.forge()] {
        let mut curl = Command::new("curl");
        curl.args(["--silent", "--insecure", "--http2", "--output", "/dev/null"])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--cookie", &format!("tidegate_token={token}")])
            .args([
                "--write-out",
                "%{http_version}",
                &format!("{url}/user/devices"),
            ]);
        let told = within("curl", curl.output()).await.unwrap();
        assert_eq!(told.stdout, b"2", "{told:?}");
    }
}

/// Serves at these addresses with everything logged while `act` runs; returns the log.
async fn log_of(folder: &Path, arguments: &[&str], act: impl AsyncFnOnce(&str)) -> String {
    let mut command = program(&["serve", "--backend=memory", "--listen=127.0.0.1:0"]);
    command
        .args(arguments)
        .current_dir(folder)
        .env("RUST_LOG", "trace")
        .env("TIDEGATE_JWT_SECRET", SECRET)
        .env("TIDEGATE_TICKET_SECRET", TICKET_SECRET);
    let mut child = command.spawn().unwrap();
    let pid = i32::try_from(child.id().unwrap()).unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // Read its log while it is written, or the server would block.
    let ended = tokio::spawn(finish(child));
    let line = within("an address", lines.next_line()).await.unwrap();
    let line = line.expect("it listens");
    act(line.strip_prefix("tidegate: listening on ").unwrap()).await;
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    ended.await.unwrap().stderr
}

#[tokio::test]
async fn nothing_that_opens_a_door_is_in_the_log_however_much_that_says() {
    let folder = tempfile::tempdir().unwrap();
    self_signed(folder.path(), "localhost");
    let mut tokens = Tokens::default();
    let plain = log_of(folder.path(), &[], async |url| {
        show_all(url.strip_prefix("http://").unwrap(), &mut tokens).await;
    })
    .await;
    let encrypted = ["--tls-cert=server.crt", "--tls-key=server.key"];
    let encrypted = log_of(folder.path(), &encrypted, async |url| {
        show_over_http2(url, &mut tokens).await;
    })
    .await;
    for log in [plain, encrypted] {
        assert!(log.contains("DEBUG"), "{log}");
        for secret in tokens
            .0
            .iter()
            .map(String::as_str)
            .chain([SECRET, TICKET_SECRET])
        {
            // Only the part of a token after the last dot can't be made by others.
            let sealed = secret.rsplit('.').next().unwrap();
            let found = log.lines().find(|line| line.contains(sealed));
            assert_eq!(found, None, "{secret}");
        }
    }
}
