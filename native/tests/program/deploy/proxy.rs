//! nginx in front of a server, with the example configuration.

use std::path::Path;
use std::process::Stdio;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::text;
use crate::support::program::{Server, program};
use crate::support::socket::Socket;
use crate::support::{eventually, http, within};

/// An nginx before a server, which listens on a Unix socket.
struct Nginx {
    folder: tempfile::TempDir,
    _process: Child,
}

/// The part of the example outside the server block, without its comment signs.
fn beside(example: &str) -> String {
    let (_, rest) = example
        .split_once("# To be put beside the server block:\n#\n")
        .expect("the map");
    let lines = rest.lines().map(|line| line.trim_start_matches('#'));
    lines.collect::<Vec<_>>().join("\n")
}

async fn serve(arguments: &[&str]) -> Server {
    let common = ["serve", "--backend=memory", "--listen=127.0.0.1:0"];
    Server::start_with(program(&[&common, arguments].concat())).await
}

impl Nginx {
    /// The example starts no server. One without authentication needs to be told that everyone may connect.
    async fn and_server() -> (Self, Server) {
        let server = serve(&["--open-to-everyone"]).await;
        (Self::before(&server).await, server)
    }

    async fn before(server: &Server) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let example = text("nginx.conf");
        let location = example.replace("127.0.0.1:8420", &server.address);
        assert_ne!(location, example, "it passes on to the default address");
        let map = beside(&example);
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("{name}_temp_path {name};"));
        let configuration = format!(
            "daemon off; master_process off; pid nginx.pid; error_log stderr; events {{}}\n\
             http {{ access_log off; {}\n{map}\nserver {{ listen unix:nginx.sock;\n{location}\n}} }}\n",
            temporary.concat()
        );
        std::fs::write(folder.path().join("nginx.conf"), configuration).unwrap();
        let folder_path = folder.path().to_str().unwrap().to_owned();
        let program = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].iter();
        let program = program.copied().find(|path| Path::new(path).exists());
        let process = Command::new(program.unwrap_or("nginx"))
            .args(["-p", &folder_path, "-c", "nginx.conf"])
            .current_dir(&folder_path)
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .expect("nginx is installed");
        let nginx = Self {
            folder,
            _process: process,
        };
        eventually("nginx to listen", async || nginx.connect().await.is_ok()).await;
        nginx
    }

    async fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.folder.path().join("nginx.sock")).await
    }

    /// Sends a request, and reads the answer until `is_enough` holds.
    async fn read(&self, request: &str, is_enough: impl Fn(&str) -> bool) -> String {
        let mut stream = self.connect().await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        while !is_enough(&String::from_utf8_lossy(&answer)) {
            let read = within("more of an answer", stream.read_buf(&mut answer)).await;
            assert_ne!(read.unwrap(), 0, "{}", String::from_utf8_lossy(&answer));
        }
        String::from_utf8(answer).unwrap()
    }
}

#[tokio::test]
async fn events_pass_nginx_as_they_come() {
    let (nginx, server) = Nginx::and_server().await;
    for number in 1..=3 {
        let body = json!({ "topic": "a", "data": { "number": number } });
        assert_eq!(http::publish(&server.address, &body).await.status, 200);
        // A subscriber gets the latest publication at once, and nothing after it that could push it through a buffer.
        let request = "GET /events?topic=a HTTP/1.1\r\nHost: app.example\r\n\r\n";
        let event = format!("\"data\":{{\"number\":{number}}}");
        let answer = nginx.read(request, |text| text.contains(&event)).await;
        assert!(answer.contains("text/event-stream"), "{answer}");
    }
}

#[tokio::test]
async fn sockets_pass_nginx_with_the_host_that_the_browser_sees() {
    let (nginx, server) = Nginx::and_server().await;
    // The host that this client asks for.
    let own = [("Origin", "http://127.0.0.1")];
    let stream = nginx.connect().await.unwrap();
    let mut socket = Socket::with_headers(stream, &own).await.unwrap();
    socket.subscribe("a", json!({})).await;
    let body = json!({ "topic": "a", "data": 7 });
    assert_eq!(http::publish(&server.address, &body).await.status, 200);
    assert_eq!(socket.expect("pub").await["data"], 7);
    let other = [("Origin", "http://evil.example")];
    let stream = nginx.connect().await.unwrap();
    assert!(Socket::with_headers(stream, &other).await.is_err());
}

#[tokio::test]
async fn what_is_for_the_operator_does_not_pass_nginx() {
    let (nginx, _server) = Nginx::and_server().await;
    for path in ["/metrics", "/debug"] {
        let request = format!("GET {path} HTTP/1.1\r\nHost: app.example\r\n\r\n");
        let answer = nginx
            .read(&request, |text| text.contains("forbidden"))
            .await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
}

#[tokio::test]
async fn a_server_that_asks_nobody_answers_none_of_those_who_come_through_nginx() {
    let server = serve(&["--origin=https://app.example"]).await;
    let nginx = Nginx::before(&server).await;
    for (host, hint) in [
        ("evil.example", "--origin"),
        ("app.example", "--open-to-everyone"),
    ] {
        let request = format!("GET /events?topic=a HTTP/1.1\r\nHost: {host}\r\n\r\n");
        let answer = nginx.read(&request, |text| text.contains(hint)).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{answer}");
    }
}
