//! Where the program listens: Unix sockets, inherited sockets, TLS; and what it does at the limit of open files.
#![cfg(unix)]

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use crate::support::program::{finish, program, run};
use crate::support::socket::Socket;
use crate::support::{eventually, http, within};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader, Lines};
use tokio::net::{TcpStream, UnixStream};
use tokio::process::{Child, ChildStdout, Command};

/// A server, and the lines that it prints.
struct Started {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Started {
    fn new(command: &mut Command) -> Self {
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next address that it listens on.
    async fn address(&mut self) -> String {
        let line = within("an address", self.lines.next_line()).await.unwrap();
        let line = line.expect("it listens");
        line.strip_prefix("tidegate: listening on ")
            .unwrap()
            .to_owned()
    }

    fn terminate(&self) {
        let pid = i32::try_from(self.process.id().unwrap()).unwrap();
        let pid = rustix::process::Pid::from_raw(pid).unwrap();
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    }
}

fn serve(arguments: &[&str]) -> Command {
    program(&[&["serve", "--backend", "memory"], arguments].concat())
}

async fn curl(socket: &Path, path: &str) -> String {
    let mut curl = Command::new("curl");
    curl.args([
        "--silent",
        "--show-error",
        "--max-time",
        "60",
        "--no-buffer",
        "--unix-socket",
    ])
    .arg(socket)
    .arg(format!("http://localhost{path}"))
    .kill_on_drop(true);
    let output = within("curl", curl.output()).await.unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[tokio::test]
async fn a_unix_socket_serves_whoever_may_open_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.sock");
    let listen = format!("unix:{}", path.display());
    let mut server = Started::new(&mut serve(&[
        "--listen",
        &listen,
        "--listen",
        "127.0.0.1:0",
    ]));
    assert_eq!(server.address().await, listen);
    let tcp = server.address().await;
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);

    assert_eq!(curl(&path, "/healthz").await, "ok\n");
    assert!(curl(&path, "/debug").await.contains("\"backend\""));
    let address = tcp.strip_prefix("http://").unwrap();
    let body = serde_json::json!({"topic": "a", "data": 1, "end": "complete"});
    assert_eq!(http::publish(address, &body).await.status, 200);
    let events = curl(&path, "/events?topic=a").await;
    assert!(
        events.contains("\"data\":1") && events.contains("event: end"),
        "{events}"
    );
    let stream = UnixStream::connect(&path).await.unwrap();
    let mut socket = Socket::over(stream).await;
    socket.subscribe("b", serde_json::json!({})).await;

    server.terminate();
    eventually("the socket's file to go", async || !path.exists()).await;
    assert!(
        within("an end", server.process.wait())
            .await
            .unwrap()
            .success()
    );
}

#[tokio::test]
async fn the_command_line_and_clients_find_a_server_on_its_unix_socket() {
    let folder = tempfile::tempdir().unwrap();
    let listen = format!("unix:{}", folder.path().join("a.sock").display());
    let missing = run(&["pub", "--server", &listen, "job:1", "0"]).await;
    assert_eq!(missing.code, 3, "{missing:?}");
    assert!(missing.stderr.contains(&listen), "{missing:?}");
    let mut server = Started::new(&mut serve(&["--listen", &listen]));
    server.address().await;
    let published = run(&["pub", "--server", &listen, "job:1", "1"]).await;
    assert_eq!(published.code, 0, "{published:?}");
    let client = within("a connection", tidegate::Client::connect(&listen));
    let client = client.await.unwrap();
    assert_eq!(client.place(), listen);
    let last = tidegate::Publish::end(tidegate::EndReason::Complete);
    let position = client.publish_with("job:1", &2, last).await.unwrap();
    assert_eq!(position.offset, 2);
    let told = run(&["sub", "--server", &listen, "job:1"]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains('2'), "{told:?}");
}

#[tokio::test]
async fn a_socket_that_was_left_behind_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.sock");
    let listen = format!("unix:{}", path.display());
    let mut killed = Started::new(&mut serve(&["--listen", &listen]));
    killed.address().await;
    let rival = finish(serve(&["--listen", &listen]).spawn().unwrap()).await;
    assert_eq!(rival.code, 1, "{rival:?}");
    assert!(rival.stderr.contains("another server"), "{rival:?}");
    assert_eq!(rival.stderr.matches("os error").count(), 1, "{rival:?}");
    let elsewhere = run(&[
        "serve",
        "--backend=memory",
        "--open-to-everyone",
        "--listen=192.0.2.1:1",
    ])
    .await;
    assert!(
        elsewhere.stderr.contains("not an address of this machine"),
        "{elsewhere:?}"
    );
    assert!(
        !elsewhere.stderr.contains("another server"),
        "{elsewhere:?}"
    );
    killed.process.kill().await.unwrap();
    assert!(path.exists());
    let mut next = Started::new(&mut serve(&["--listen", &listen]));
    next.address().await;
    assert_eq!(curl(&path, "/healthz").await, "ok\n");

    let file = folder.path().join("file");
    std::fs::write(&file, "kept").unwrap();
    let refused = finish(
        serve(&["--listen", &format!("unix:{}", file.display())])
            .spawn()
            .unwrap(),
    )
    .await;
    assert_eq!(refused.code, 1, "{refused:?}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "kept");
}

/// Starts a server with sockets that are open already, as a service manager does: a port of `host`, and one at `path`.
fn handed(host: &str, path: &Path, more: &[&str]) -> Command {
    let script = "import os, socket, sys\n\
        port = socket.create_server((sys.argv[1], 0)); os.dup2(port.fileno(), 3)\n\
        own = socket.socket(socket.AF_UNIX); own.bind(sys.argv[2]); own.listen(); os.dup2(own.fileno(), 4)\n\
        os.set_inheritable(3, True); os.set_inheritable(4, True)\n\
        os.environ.update(LISTEN_FDS='2', LISTEN_PID=str(os.getpid()))\n\
        os.execv(sys.argv[3], sys.argv[3:])";
    let mut command = Command::new("python3");
    command
        .args(["-c", script, host])
        .arg(path)
        .arg(env!("CARGO_BIN_EXE_tidegate"))
        .args(["serve", "--backend", "memory", "--listen", "inherited"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    command
}

#[tokio::test]
async fn sockets_that_were_opened_before_are_served() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("handed.sock");
    let mut server = Started::new(handed("127.0.0.1", &path, &[]).stderr(Stdio::null()));
    let port = server.address().await;
    let port = port.strip_prefix("http://").unwrap();
    server.address().await;
    assert_eq!(http::get(port, "/healthz").await.body, "ok\n");
    assert_eq!(curl(&path, "/healthz").await, "ok\n");
    let nothing = finish(serve(&["--listen", "inherited"]).spawn().unwrap()).await;
    assert!(nothing.stderr.contains("LISTEN_FDS"), "{nothing:?}");
}

#[tokio::test]
async fn sockets_that_others_reach_are_not_served_to_everyone_unless_told_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("refused.sock");
    let refused = finish(handed("0.0.0.0", &path, &[]).spawn().unwrap()).await;
    assert_eq!(refused.code, 2, "{refused:?}");
    for word in ["0.0.0.0:", "--open-to-everyone"] {
        assert!(refused.stderr.contains(word), "{word}: {refused:?}");
    }
    assert_eq!(refused.stdout, "");
    let path = folder.path().join("served.sock");
    let mut served = handed("0.0.0.0", &path, &["--open-to-everyone"]);
    let mut server = Started::new(served.stderr(Stdio::null()));
    server.address().await;
    server.address().await;
    assert_eq!(curl(&path, "/healthz").await, "ok\n");
}

#[tokio::test]
async fn a_server_without_files_left_says_so_once_and_goes_on_when_there_are_some() {
    let mut command = Command::new("sh");
    let script = "ulimit -n 64; exec \"$0\" serve --backend memory --listen 127.0.0.1:0";
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_tidegate")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut server = Started::new(&mut command);
    let address = server.address().await;
    let address = address.strip_prefix("http://").unwrap();
    let mut errors = BufReader::new(server.process.stderr.take().unwrap()).lines();
    let mut held = Vec::new();
    for _ in 0..100 {
        held.push(TcpStream::connect(address).await.unwrap());
    }
    let mut told = String::new();
    while !told.contains("no connection can be accepted") {
        told = within("a word", errors.next_line()).await.unwrap().unwrap();
    }
    drop(held);
    assert_eq!(http::get(address, "/healthz").await.status, 200);
    let metrics = http::get(address, "/metrics").await.body;
    let failures = metrics
        .lines()
        .find_map(|line| line.strip_prefix("tidegate_accept_errors_total "));
    let failures: u64 = failures.unwrap().parse().unwrap();
    // It waits longer and longer between attempts, so there are far fewer than in a busy loop.
    assert!((1..1_000).contains(&failures), "{failures}");
    server.terminate();
    let mut rest = String::new();
    let mut errors = errors.into_inner();
    within("an end", errors.read_to_string(&mut rest))
        .await
        .unwrap();
    assert!(!rest.contains("no connection can be accepted"), "{rest}");
}

#[tokio::test]
async fn tls_needs_a_certificate_and_its_key() {
    let half = finish(
        serve(&["--listen", "127.0.0.1:0", "--tls-cert", "a.pem"])
            .spawn()
            .unwrap(),
    )
    .await;
    assert_ne!(half.code, 0);
    assert!(half.stderr.contains("--tls-key"), "{half:?}");
    let both = [
        "--listen",
        "127.0.0.1:0",
        "--tls-cert",
        "/nowhere.pem",
        "--tls-key",
        "/nowhere.key",
    ];
    let missing = finish(serve(&both).spawn().unwrap()).await;
    assert_ne!(missing.code, 0);
    assert!(missing.stderr.contains("/nowhere.pem"), "{missing:?}");
}
