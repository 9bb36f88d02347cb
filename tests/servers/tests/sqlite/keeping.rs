//! What stays in the file, what is deleted, and what a closed backend leaves behind.

use std::time::Duration;

use tidegate::backend::{Backend, Keep, Sqlite};
use tidegate_core::history::{HistoryLimits, HistoryRules};
use tidegate_core::publication::Position;
use tidegate_server_tests::conformance::request;
use tidegate_server_tests::heard::{Heard, PATIENCE};
use tidegate_tests::{pattern, topic};

use crate::place::{File, json, number, open, publish, until};

/// Ten publications of each topic.
fn short_keep() -> Keep {
    Keep {
        history: HistoryLimits {
            count_max: 10,
            ..HistoryLimits::default()
        },
        ..Keep::default()
    }
}

const ROWS: &str = "SELECT count(*) FROM pubsub_events WHERE seq > 0";

/// Makes everything in the file an hour older, and a sweep due.
const OLDER: &str = "UPDATE pubsub_events SET placed_at = placed_at - 3600000;
     UPDATE tidegate_topics SET updated_at = updated_at - 3600000;
     UPDATE tidegate_state SET value = 0 WHERE name = 'swept_at'";

#[tokio::test]
async fn rows_beyond_the_count_go_once_others_had_time_to_read_them() {
    let file = File::new();
    let backend = Sqlite::new(file.path(), short_keep()).unwrap();
    let _heard = open(&backend).await;
    for number in 0..100 {
        publish(&backend, "job:1", &number.to_string()).await;
    }
    let program = file.program();
    assert_eq!(number(&program, ROWS), 100);
    until("trimming", &backend, || number(&program, ROWS) == 10).await;
    let oldest = number(
        &program,
        "SELECT min(\"offset\") FROM pubsub_events WHERE seq > 0",
    );
    assert_eq!(oldest, 91);
}

/// More topics than one step looks at, each with something that must be kept for a moment.
#[tokio::test]
async fn topics_that_are_always_published_to_keep_no_other_from_being_trimmed() {
    const BUSY: usize = 150;
    let file = File::new();
    let mut keep = short_keep();
    keep.history.count_max = 1;
    let backend = Sqlite::new(file.path(), keep).unwrap();
    let _heard = open(&backend).await;
    for number in 0..10 {
        publish(&backend, "quiet", &number.to_string()).await;
    }
    let batch: Vec<_> = (0..BUSY)
        .map(|number| request(&format!("busy:{number}"), "1"))
        .collect();
    let program = file.program();
    let quiet = "SELECT count(*) FROM pubsub_events WHERE seq > 0 AND channel = 'quiet'";
    let started = std::time::Instant::now();
    while number(&program, quiet) > 1 {
        assert!(started.elapsed() < PATIENCE, "trimming takes too long");
        backend.publish(&batch).await.unwrap();
    }
}

#[tokio::test]
async fn old_publications_go_and_the_latest_of_each_topic_and_old_rows_stay() {
    let file = File::new();
    let program = file.program();
    program
        .execute_batch(
            "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel TEXT, data TEXT, created_at TEXT);
             INSERT INTO pubsub_events (channel, data) VALUES ('mine', '1'), ('mine', '2');",
        )
        .unwrap();
    let (backend, _heard) = file.open().await;
    for number in 0..20 {
        publish(&backend, "a", &number.to_string()).await;
        publish(&backend, "b", &number.to_string()).await;
    }
    backend.close().await.unwrap();
    program.execute_batch(OLDER).unwrap();
    let (backend, _heard) = file.open().await;
    until("ageing", &backend, || number(&program, ROWS) == 2).await;
    for name in ["a", "b"] {
        let kept = backend.read(&topic(name), None).await.unwrap();
        assert_eq!(kept.publications[0].payload, json("19"));
    }
    assert_eq!(
        number(&program, "SELECT count(*) FROM pubsub_events WHERE seq = 0"),
        2
    );
}

#[tokio::test]
async fn silent_topics_are_forgotten_with_all_that_belongs_to_them() {
    let file = File::new();
    let (backend, _heard) = file.open().await;
    publish(&backend, "silent", "1").await;
    backend.close().await.unwrap();
    let program = file.program();
    program.execute_batch(OLDER).unwrap();
    let keep = Keep {
        retention: std::time::Duration::from_secs(1800),
        ..Keep::default()
    };
    let backend = Sqlite::new(file.path(), keep).unwrap();
    let _heard = open(&backend).await;
    publish(&backend, "lively", "1").await;
    until("forgetting", &backend, || {
        number(&program, "SELECT count(*) FROM tidegate_topics") == 1
    })
    .await;
    assert_eq!(number(&program, ROWS), 1);
    let kept = backend.read(&topic("silent"), None).await.unwrap();
    assert_eq!(kept.position, Position::default());
}

/// A long history of one topic must not make other topics keep more.
#[tokio::test]
async fn each_topic_is_trimmed_and_forgotten_by_its_own_rule() {
    let file = File::new();
    let (backend, _heard) = file.open().await;
    for number in 0..20 {
        for name in ["job:1", "user:7", "quick"] {
            publish(&backend, name, &number.to_string()).await;
        }
    }
    backend.close().await.unwrap();
    let program = file.program();
    program.execute_batch(OLDER).unwrap();
    let as_before =
        "UPDATE tidegate_topics SET updated_at = updated_at + 3600000 WHERE channel = 'quick'";
    program.execute_batch(as_before).unwrap();
    let limits = |count_max, seconds| HistoryLimits {
        count_max,
        age_max: std::time::Duration::from_secs(seconds),
        ..HistoryLimits::default()
    };
    let keep = Keep {
        history: limits(256, 3000),
        histories: HistoryRules::none()
            .with(pattern("user:*"), limits(15, 7 * 24 * 3600))
            .with(pattern("quick"), limits(256, 600)),
        retention: std::time::Duration::from_secs(1800),
        ..Keep::default()
    };
    let backend = Sqlite::new(file.path(), keep).unwrap();
    let _heard = open(&backend).await;
    publish(&backend, "user:7", "20").await;
    let counts = "SELECT group_concat(channel || ' ' || count, ', ') FROM
         (SELECT channel, count(*) AS count FROM pubsub_events WHERE seq > 0 GROUP BY channel ORDER BY channel)";
    let told = || -> String {
        let told: Option<String> = program.query_row(counts, [], |row| row.get(0)).unwrap();
        told.unwrap_or_default()
    };
    until("trimming", &backend, || told() == "quick 1, user:7 15").await;
    let user = topic("user:7");
    let all = backend.read(&user, Some(Position::default())).await;
    assert_eq!(all.unwrap().publications.len(), 15);
}

#[tokio::test]
async fn the_log_of_writes_stays_small_while_others_read() {
    let file = File::new();
    let (backend, _heard) = file.open().await;
    let (reader, mut heard) = file.open().await;
    let text = format!("\"{}\"", "x".repeat(8 * 1024));
    for _ in 0..2_000 {
        publish(&backend, "job:1", &text).await;
        reader.probe().await.unwrap();
    }
    heard.lines(2_000).await;
    let mut wal = file.path().into_os_string();
    wal.push("-wal");
    let bytes = std::fs::metadata(wal).unwrap().len();
    assert!(bytes < 12 * 1024 * 1024, "{bytes} bytes");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_closed_backend_leaves_no_thread_and_no_open_file() {
    let file = File::new();
    let threads = || {
        let tasks = std::fs::read_dir("/proc/self/task").unwrap();
        let names = tasks
            .filter_map(|task| std::fs::read_to_string(task.unwrap().path().join("comm")).ok());
        names
            .filter(|name| name.trim() == "tidegate-sqlite")
            .count()
    };
    let path = file.path();
    let open_files = || {
        let files = std::fs::read_dir("/proc/self/fd").unwrap();
        let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
        let ours = path.to_str().unwrap();
        targets
            .filter(|target| target.to_string_lossy().starts_with(ours))
            .count()
    };
    let (first, _heard) = file.open().await;
    let (second, _heard) = file.open().await;
    publish(&first, "a", "1").await;
    publish(&second, "a", "2").await;
    // nextest runs each test in its own process; with other runners, other tests may have files open.
    assert!(threads() >= 2);
    assert!(open_files() >= 2);
    first.close().await.unwrap();
    second.close().await.unwrap();
    assert_eq!(open_files(), 0);
    let (third, _heard) = file.open().await;
    drop(third);
    let started = std::time::Instant::now();
    while open_files() > 0 {
        assert!(
            started.elapsed() < PATIENCE,
            "a dropped backend lets go, too"
        );
        tokio::task::yield_now().await;
    }
}

/// As when `tidegate pub` is run again and again.
#[tokio::test]
async fn what_processes_leave_that_live_for_a_moment_is_trimmed_by_one_that_stays() {
    let file = File::new();
    let mut keep = short_keep();
    let is_swept_often = HistoryLimits {
        age_max: Duration::from_secs(2),
        ..HistoryLimits::default()
    };
    keep.histories = HistoryRules::none().with(pattern("quick:*"), is_swept_often);
    let stays = Sqlite::new(file.path(), keep.clone()).unwrap();
    stays.open(Heard::new().0).await.unwrap();
    let program = file.program();
    for _ in 0..2 {
        for number in 0..15 {
            let publisher = Sqlite::new(file.path(), keep.clone()).unwrap();
            publisher.open(Heard::new().0).await.unwrap();
            publish(&publisher, "job:1", &number.to_string()).await;
            publisher.close().await.unwrap();
        }
        until("trimming", &stays, || number(&program, ROWS) == 10).await;
    }
    let top = "SELECT max(\"offset\") FROM pubsub_events WHERE seq > 0";
    assert_eq!(number(&program, top), 30);
}
