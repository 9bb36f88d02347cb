//! `tidegate get`: what is published to topics, printed once.

use crate::commands::{json_lines, publish};
use crate::support::program::{Outcome, Server, program, run};
use serde_json::json;

async fn get(server: &Server, arguments: &[&str]) -> Outcome {
    run(&[&["get", "--server", &server.url], arguments].concat()).await
}

#[tokio::test]
async fn the_latest_values_are_printed_by_topic() {
    let server = Server::start().await;
    for (topic, value) in [
        ("job:2", "2"),
        ("job:1", "1"),
        ("job:1", "3"),
        ("doc:1", "4"),
    ] {
        assert_eq!(publish(&server, &[topic, value]).await.code, 0);
    }
    publish(&server, &["job:2", "5", "--end", "failed"]).await;
    let outcome = get(&server, &["job:*", "doc:1"]).await;
    assert_eq!(outcome.stdout, "doc:1 #1 4\njob:1 #2 3\njob:2 #2 5\n");
    assert_eq!(outcome.code, 0, "{outcome:?}");
    let outcome = get(&server, &["job:2", "--json"]).await;
    let told = &json_lines(&outcome.stdout)[0];
    assert_eq!(
        (&told["topic"], &told["data"]),
        (&json!("job:2"), &json!(5))
    );
    assert_eq!(told["end"], "failed");
    let outcome = get(&server, &["none:*"]).await;
    assert_eq!((outcome.code, outcome.stdout.as_str()), (1, ""));
    assert!(outcome.stderr.contains("none:*"), "{outcome:?}");
}

#[tokio::test]
async fn more_than_an_answer_has_is_asked_for_in_parts() {
    let server = Server::start().await;
    let topics: Vec<String> = (0..2_500)
        .map(|number| format!("job:{number:04} %&é"))
        .collect();
    let topics: Vec<String> = topics.iter().map(|it| it.replace(' ', "+")).collect();
    for some in topics.chunks(1_000) {
        let body: Vec<_> = some
            .iter()
            .map(|it| json!({"topic": it, "data": 1}))
            .collect();
        let answer = crate::support::http::publish(&server.address, &json!(body)).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let outcome = get(&server, &["job:*"]).await;
    let due: Vec<String> = topics.iter().map(|it| format!("{it} #1 1")).collect();
    assert_eq!(outcome.stdout.lines().collect::<Vec<_>>(), due);
}

#[tokio::test]
async fn what_keeps_it_from_being_told_is_said() {
    let nobody = run(&["get", "--server", "http://127.0.0.1:1", "job:1"]).await;
    assert_eq!(nobody.code, 3, "{nobody:?}");
    let wrong = run(&["get", "a b"]).await;
    assert_eq!(wrong.code, 2, "{wrong:?}");
    let directory = tempfile::tempdir().unwrap();
    let secret = directory.path().join("secret");
    std::fs::write(&secret, "x".repeat(40)).unwrap();
    let server = Server::start_with(program(&[
        "serve",
        "--backend",
        "memory",
        "--listen",
        "127.0.0.1:0",
        "--jwt-secret-file",
        secret.to_str().unwrap(),
    ]))
    .await;
    let stranger = get(&server, &["job:1"]).await;
    assert_eq!(stranger.code, 1, "{stranger:?}");
    assert!(stranger.stderr.contains("token"), "{stranger:?}");
}

#[cfg(feature = "sqlite")]
#[tokio::test]
async fn a_backend_is_asked_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let backend = format!("sqlite:{}", directory.path().join("a.db").display());
    for (topic, value) in [("job:1", "1"), ("job:2", "2")] {
        let told = run(&["pub", "--backend", &backend, topic, value]).await;
        assert_eq!(told.code, 0, "{told:?}");
    }
    let outcome = run(&["get", "--backend", &backend, "job:*"]).await;
    assert_eq!(outcome.stdout, "job:1 #1 1\njob:2 #1 2\n", "{outcome:?}");
    let outcome = run(&["get", "--backend", &backend, "doc:1"]).await;
    assert_eq!(outcome.code, 1, "{outcome:?}");
}
