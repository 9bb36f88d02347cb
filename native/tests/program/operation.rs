//! What the program reports to operators: through systemd, and in its log.

#![cfg(unix)]

use crate::support::http::get;
use crate::support::program::{Server, finish, program};
use crate::support::within;
use serde_json::Value;
use tokio::net::UnixDatagram;

const SERVE: [&str; 5] = ["serve", "--backend", "memory", "--listen", "127.0.0.1:0"];

async fn heard(socket: &UnixDatagram) -> String {
    let mut buffer = [0; 100];
    let bytes = within("a word to systemd", socket.recv(&mut buffer)).await;
    String::from_utf8(buffer[..bytes.unwrap()].to_vec()).unwrap()
}

#[tokio::test]
async fn systemd_is_told_that_the_server_listens_lives_and_stops() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut command = program(&SERVE);
    command
        .env("NOTIFY_SOCKET", &path)
        .env("WATCHDOG_USEC", "20000");
    let mut server = Server::start_with(command).await;
    let mut told = Vec::new();
    while told.len() < 4 {
        told.push(heard(&socket).await);
    }
    told.sort();
    told.dedup();
    assert_eq!(told, ["READY=1", "WATCHDOG=1"]);
    server.terminate();
    while heard(&socket).await != "STOPPING=1" {}
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_hangup_ends_no_server() {
    let server = Server::start_with(program(&SERVE)).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.id()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::HUP).unwrap();
    let ready = get(&server.address, "/readyz").await;
    assert_eq!((ready.status, ready.body.as_str()), (200, "ok\n"));
}

#[tokio::test]
async fn systemd_is_told_also_where_it_is_behind_with_others() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let other = UnixDatagram::unbound().unwrap();
    while other.try_send_to(b"of another service", &path).is_ok() {}
    let mut command = program(&SERVE);
    command.env("NOTIFY_SOCKET", &path);
    let _server = Server::start_with(command).await;
    // It is listening, and found no room to report that.
    while heard(&socket).await != "READY=1" {}
}

#[tokio::test]
async fn whoever_names_a_socket_that_is_none_has_a_server_all_the_same() {
    let mut command = program(&SERVE);
    command.env("NOTIFY_SOCKET", "/nowhere/notify");
    let mut server = Server::start_with(command).await;
    server.terminate();
    assert!(server.ended().await.success());
}

#[tokio::test]
async fn a_log_for_programs_has_a_json_object_a_line() {
    let mut command = program(&[&SERVE[..], &["--log", "json"]].concat());
    command.env("TIDEGATE_HISTROY", "5");
    let child = command.spawn().unwrap();
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap());
    let mut child = child;
    let mut stdout = tokio::io::BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let listening = tokio::io::AsyncBufReadExt::read_line(&mut stdout, &mut line);
    within("the server's address", listening).await.unwrap();
    rustix::process::kill_process(pid.unwrap(), rustix::process::Signal::TERM).unwrap();
    let outcome = finish(child).await;
    let lines: Vec<Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(lines.len() >= 2, "{lines:?}");
    assert!(
        lines
            .iter()
            .all(|line| line["level"].is_string() && line["timestamp"].is_string())
    );
    let warning = lines.iter().find(|line| line["level"] == "WARN").unwrap();
    assert!(
        warning["message"]
            .as_str()
            .unwrap()
            .contains("TIDEGATE_HISTORY"),
        "{warning}"
    );
}
