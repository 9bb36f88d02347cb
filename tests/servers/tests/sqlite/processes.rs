//! Several processes that share a file, one of which is killed.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use tidegate::backend::{Backend, Sqlite};
use tidegate_core::publication::Position;
use tidegate_tests::topic;

use crate::place::{File, insert, long_keep, open, publish, try_publish};

/// The variable that makes a process of this program a publisher.
const PATH: &str = "TIDEGATE_TEST_SQLITE_PATH";

/// The topics that a publishing process publishes to, in turn.
const TOPICS: u64 = 5;

/// A process that publishes until it is killed, at the latest by the end of the test.
struct Publisher {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Publisher {
    fn start(file: &File) -> Self {
        let name = "processes::in_a_process_of_its_own_publishes_until_killed";
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", name, "--ignored", "--nocapture"])
            .env(PATH, file.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Self { child, lines }
    }

    /// The next `count` publications that were confirmed to the process: topic, position, payload.
    fn stored(&mut self, count: usize) -> Vec<(String, Position, u64)> {
        let mut stored = Vec::new();
        while stored.len() < count {
            let mut line = String::new();
            assert_ne!(
                self.lines.read_line(&mut line).unwrap(),
                0,
                "it goes on publishing"
            );
            stored.extend(stored_in(&line));
        }
        stored
    }

    /// Kills it in the middle of its work, and returns the rest of its output.
    fn kill(mut self) -> Vec<(String, Position, u64)> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).unwrap();
        let whole = rest.rfind('\n').map_or("", |end| &rest[..=end]);
        whole.lines().filter_map(stored_in).collect()
    }
}

/// Parses a line of output. Other lines are the test harness's.
fn stored_in(line: &str) -> Option<(String, Position, u64)> {
    let (_, stored) = line.split_once("stored ")?;
    let mut words = stored.split_whitespace();
    let topic = words.next()?.to_owned();
    let position = words.next()?.parse().ok()?;
    Some((topic, position, words.next()?.parse().ok()?))
}

#[tokio::test]
#[ignore = "it is a part of other tests, which start it as a process"]
async fn in_a_process_of_its_own_publishes_until_killed() {
    let Some(path) = std::env::var_os(PATH) else {
        return;
    };
    std::thread::spawn(|| {
        // Exits when the process that started this one ends, however it ends.
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        std::process::exit(1);
    });
    let backend = Sqlite::new(path, long_keep()).unwrap();
    let _heard = open(&backend).await;
    for number in 0_u64.. {
        let name = format!("job:{}", number % TOPICS);
        let Ok(Ok(position)) = try_publish(&backend, &name, &number.to_string()).await else {
            continue;
        };
        writeln!(std::io::stdout(), "stored {name} {position} {number}").unwrap();
    }
}

/// Checks that no topic's history has a gap, and that each confirmed publication is at its position.
async fn check(backend: &Sqlite, stored: &[(String, Position, u64)]) {
    for number in 0..TOPICS {
        let name = format!("job:{number}");
        let kept = backend
            .read(&topic(&name), Some(Position::default()))
            .await
            .unwrap();
        assert_eq!(
            kept.publications.len() as u64,
            kept.position.offset,
            "{name} is whole"
        );
        for (_, position, payload) in stored.iter().filter(|(of, ..)| *of == name) {
            let index = usize::try_from(position.offset - 1).unwrap();
            let found = &kept.publications[index];
            assert_eq!(
                (found.position, found.payload.as_str()),
                (*position, &*payload.to_string())
            );
        }
    }
}

#[tokio::test]
async fn a_process_killed_while_it_publishes_loses_nothing_that_was_confirmed() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    let mut stored = Vec::new();
    for round in 0..3 {
        let mut publisher = Publisher::start(&file);
        stored.extend(publisher.stored(300));
        stored.extend(publisher.kill());
        publish(&backend, "round", &round.to_string()).await;
    }
    check(&backend, &stored).await;
    // The other process must have heard each publication once, in order.
    let lines = heard.until(&topic("round"), "2").await;
    let mut tops = std::collections::BTreeMap::new();
    for line in lines {
        let mut words = line.split_whitespace();
        let name = words.next().unwrap().to_owned();
        let offset: u64 = words.next().unwrap().parse().unwrap();
        let top = tops.entry(name).or_insert(0);
        assert_eq!(offset, *top + 1, "{line}");
        *top = offset;
    }
    for number in 0..TOPICS {
        let name = format!("job:{number}");
        let kept = backend.read(&topic(&name), None).await.unwrap();
        assert_eq!(tops[&name], kept.position.offset, "{name}");
    }
    assert!(heard.rest().is_empty());
}

#[tokio::test]
async fn two_processes_and_a_foreign_program_share_one_order() {
    let file = File::new();
    let (backend, _heard) = file.open().await;
    let mut publisher = Publisher::start(&file);
    let program = file.program();
    let mut stored = publisher.stored(1);
    for number in 0..200_u64 {
        let name = format!("job:{}", number % TOPICS);
        insert(&program, &name, "\"inserted\"");
        let payload = 1_000_000 + number;
        let position = publish(&backend, &name, &payload.to_string()).await;
        stored.push((name, position, payload));
    }
    stored.extend(publisher.stored(200));
    stored.extend(publisher.kill());
    check(&backend, &stored).await;
    let inserted = "SELECT count(*) FROM pubsub_events WHERE data = '\"inserted\"' AND seq > 0";
    crate::place::until("taking in", &backend, || {
        crate::place::number(&program, inserted) == 200
    })
    .await;
}

#[tokio::test]
async fn a_program_in_another_language_publishes() {
    let file = File::new();
    let (_backend, mut heard) = file.open().await;
    let script = "import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], timeout=30)
connection.execute('INSERT INTO pubsub_events (channel, data) VALUES (?, ?)', ('run_events', '{\"text\": \"häuser 🏠\"}'))
connection.commit()";
    let python = Command::new("python3")
        .args(["-c", script])
        .arg(file.path())
        .status();
    assert!(python.expect("python3 is installed").success());
    assert_eq!(heard.lines(1).await, ["1 {\"text\": \"häuser 🏠\"}"]);
}
