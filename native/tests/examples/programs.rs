//! The examples, run as they are.

use crate::support::http::request;
use crate::support::program::{example, finish};
use crate::support::within;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader};

#[tokio::test]
async fn the_ten_lines_run_to_their_end() {
    let outcome = finish(example("in_process").spawn().unwrap()).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let expected = "\
        {\"done\":1,\"total\":3}\n{\"done\":2,\"total\":3}\n{\"done\":3,\"total\":3}\n\
        {\"result\":\"ready\"}\ncomplete\n";
    assert_eq!(outcome.stdout, expected);
}

#[tokio::test]
async fn an_application_starts_work_that_a_watcher_sees_through() {
    let mut application = example("axum_app").arg("127.0.0.1:0").spawn().unwrap();
    let mut lines = BufReader::new(application.stdout.take().unwrap()).lines();
    let line = within("the application's address", lines.next_line())
        .await
        .unwrap()
        .expect("a line");
    let (_, address) = line.split_once("http://").expect("an address");
    let order = |upto: u64| {
        let body = json!({"upto": upto}).to_string();
        async move {
            let headers = "Content-Type: application/json\r\n";
            request(address, "POST /count", headers, body).await
        }
    };
    assert_eq!(order(u64::MAX).await.status, 400);
    let answer = order(100_000).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let topic: Value = answer.json()["topic"].clone();
    let url = format!("http://{address}/live");
    let watcher = example("watch_job")
        .args([&url, topic.as_str().unwrap()])
        .spawn()
        .unwrap();
    let outcome = finish(watcher).await;
    assert_eq!(outcome.code, 0, "{outcome:?}");
    assert!(
        outcome.stdout.ends_with("100% 9592 primes\ncomplete\n"),
        "{outcome:?}"
    );
}

#[tokio::test]
async fn a_watcher_without_a_server_says_so() {
    let watcher = example("watch_job")
        .args(["http://127.0.0.1:1", "job:1"])
        .spawn()
        .unwrap();
    let outcome = finish(watcher).await;
    assert_eq!(outcome.code, 1);
    assert!(outcome.stderr.contains("127.0.0.1:1"), "{outcome:?}");
}
