//! How commands react to refusals, to unexpected answers, and to a server that goes away.

use std::process::Stdio;

use crate::support::program::{Server, finish, program, run};
use crate::support::within;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{ChildStdout, Command};

#[cfg(unix)]
#[tokio::test]
async fn a_job_ends_for_its_watchers_however_often_its_updates_are_refused() {
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        "--publish-rate=1",
    ]))
    .await;
    let command = "echo 10%; read -r go; echo 20%; echo 30%";
    let arguments = ["run", "--server", &server.url, "--job", "nightly", "--"];
    let mut job = program(&arguments);
    job.args(["sh", "-c", command]).stdin(Stdio::piped());
    let mut job = job.spawn().unwrap();
    let watch = ["sub", "--server", &server.url, "job:nightly", "--json"];
    let mut lines = start(program(&watch)).await;
    while !next(&mut lines).await.contains(r#""progress":0.1"#) {}
    let mut stdin = job.stdin.take().unwrap();
    stdin.write_all(b"\n").await.unwrap();
    let mut last = next(&mut lines).await;
    while !last.contains(r#"{"end":"#) {
        last = next(&mut lines).await;
    }
    assert_eq!(last, r#"{"end":"complete"}"#);
    let told = finish(job).await;
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
}

#[tokio::test]
async fn an_update_that_is_never_taken_is_told() {
    let server = Server::start_with(program(&[
        "serve",
        "--backend=memory",
        "--listen=127.0.0.1:0",
        "--payload-bytes=100",
    ]))
    .await;
    let arguments = ["run", "--server", &server.url, "--job", "long", "--"];
    let mut job = program(&arguments);
    job.args(["sh", "-c", &format!("echo {}", "x".repeat(200))]);
    let told = finish(job.spawn().unwrap()).await;
    assert_eq!(told.code, 0);
    assert!(told.stderr.contains("too_large"), "{told:?}");
}

#[tokio::test]
async fn json_that_no_program_can_hold_is_printed_as_it_is() {
    let server = Server::start().await;
    let values = [
        "1e999",
        r#""\ud800""#,
        r#"{"a":1e-999,"a":[12345678901234567890123]}"#,
    ];
    for value in values {
        let told = run(&["pub", "--server", &server.url, "odd", value]).await;
        assert_eq!(told.code, 0, "{told:?}");
        let arguments = ["sub", "--server", &server.url, "odd", "--json", "--count=1"];
        let told = run(&arguments).await;
        assert_eq!(told.code, 0, "{told:?}");
        assert!(
            told.stdout.contains(&format!(r#""data":{value}}}"#)),
            "{told:?}"
        );
    }
}

#[tokio::test]
async fn a_server_that_goes_and_comes_back_is_told() {
    let mut server = Server::start().await;
    let published = run(&["pub", "--server", &server.url, "a", "1"]).await;
    assert_eq!(published.code, 0, "{published:?}");
    let mut lines = start(program(&["sub", "--server", &server.url, "a", "--json"])).await;
    assert!(next(&mut lines).await.contains(r#""data":1"#));
    server.kill().await;
    assert_eq!(next(&mut lines).await, r#"{"stale":true}"#);
    let _server = Server::start_at(&server.address).await;
    assert_eq!(next(&mut lines).await, r#"{"stale":false}"#);
}

/// Starts a program, and returns the lines that it prints.
async fn start(mut program: Command) -> Lines<BufReader<ChildStdout>> {
    let mut child = program.spawn().unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    // It ends with the test's runtime at the latest.
    tokio::spawn(async move { child.wait().await });
    lines
}

async fn next(lines: &mut Lines<BufReader<ChildStdout>>) -> String {
    let line = within("a line", lines.next_line()).await.unwrap();
    line.expect("the program goes on")
}
