//! How the board looks after a server's answers, and what keys do to it.

use std::time::{Duration, Instant};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use serde_json::json;

use super::board::{Board, ServerStats};
use super::{draw, keys};

fn stats(publishes: u64, offsets: [u64; 3]) -> ServerStats {
    let topic = |name: &str, offset: u64, subscribers: usize, idle_ms: u64, value: &str| {
        json!({
            "topic": name, "epoch": 7, "offset": offset, "subscribers": subscribers, "lag": offset % 10, "idle_ms": idle_ms, "value": value,
        })
    };
    serde_json::from_value(json!({
        "version": "0.1.0",
        "backend": { "name": "memory", "why": null, "link": "live", "stale": false, "last_error": null },
        "connections": 12, "sse_connections": 3, "subscriptions": 40, "topics": 7, "gates": 2,
        "uplink": { "followed": 0, "behind": 0, "parked": 0, "publishes": 0 },
        "done": { "publishes": publishes, "frames": publishes * 20, "messages": publishes },
        "latest_topics": [
            topic("job:build", offsets[0], 4, 120, r#"{"progress":0.42,"message":"src/lib.rs"}"#),
            topic("job:hash", offsets[1], 12, 5_000, r#"{"status":"COMPLETE"}"#),
            topic("task:7:log", offsets[2], 1, 90_000, "\"\u{1b}[2Jevil\""),
        ],
    }))
    .unwrap()
}

/// A board after two answers, two seconds apart.
fn board() -> Board {
    let mut board = Board::new("http://127.0.0.1:8420");
    let now = Instant::now();
    board.take(now, stats(100, [10, 40, 7]));
    board.take(now + Duration::from_secs(2), stats(160, [31, 40, 7]));
    board
}

fn screen(board: &Board, columns: u16, rows: u16) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).unwrap();
    terminal.draw(|frame| draw::draw(frame, board)).unwrap();
    let buffer = terminal.backend().buffer();
    let cell = |column, row| buffer[(column, row)].symbol();
    let line = |row| {
        (0..columns)
            .map(|column| cell(column, row))
            .collect::<String>()
    };
    (0..rows)
        .map(|row| line(row).trim_end().to_owned())
        .collect()
}

/// A line with single spaces between its columns.
fn words(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn press(board: &mut Board, keys: impl IntoIterator<Item = KeyCode>) -> bool {
    keys.into_iter().any(|code| {
        let event = Event::Key(KeyEvent::new(code, KeyModifiers::NONE));
        keys::handle(board, &event)
    })
}

/// The topics on the screen, in their order.
fn topics(board: &Board) -> Vec<String> {
    let lines = screen(board, 100, 12);
    let rows = lines.iter().filter(|line| line.contains(':'));
    let names = rows.filter_map(|line| line.split_whitespace().next());
    let is_topic = |name: &&str| name.starts_with("job:") || name.starts_with("task:");
    names.filter(is_topic).map(str::to_owned).collect()
}

#[test]
fn it_shows_the_server_and_its_topics_with_their_rates() {
    let lines = screen(&board(), 120, 9);
    let lines: Vec<String> = lines.iter().map(|line| words(line)).collect();
    assert_eq!(
        lines,
        [
            "Tidegate http://127.0.0.1:8420 0.1.0 · memory · live",
            "12 connections (3 event streams) · 40 subscriptions · 7 topics",
            "30 published/s · 600 frames sent/s · 2 held back by their pace · 0 topics behind the backend",
            "TOPIC RATE/s OFFSET SUBS LAG AGE LAST VALUE",
            r#"job:build 10.5 31 4 1 0s {"progress":0.42,"message":"src/lib.rs"}"#,
            r#"job:hash 0 40 12 0 5s {"status":"COMPLETE"}"#,
            "task:7:log 0 7 1 7 1m 30s \" [2Jevil\"",
            "",
            "r by rate s by subscribers l by lag a by age n by name / filter q quit",
        ]
    );
}

#[test]
fn keys_sort_and_filter() {
    let mut board = board();
    assert_eq!(topics(&board), ["job:build", "job:hash", "task:7:log"]);
    press(&mut board, [KeyCode::Char('s')]);
    assert_eq!(topics(&board), ["job:hash", "job:build", "task:7:log"]);
    press(&mut board, [KeyCode::Char('l')]);
    assert_eq!(topics(&board), ["task:7:log", "job:build", "job:hash"]);
    press(&mut board, [KeyCode::Char('a')]);
    assert_eq!(topics(&board), ["job:build", "job:hash", "task:7:log"]);
    let filter = ['/', 'h', 'q', 's'].map(KeyCode::Char);
    assert!(!press(&mut board, filter), "keys go into the filter");
    assert!(topics(&board).is_empty());
    press(
        &mut board,
        [KeyCode::Backspace, KeyCode::Backspace, KeyCode::Enter],
    );
    assert_eq!(topics(&board), ["job:hash"]);
    press(
        &mut board,
        [KeyCode::Char('c'), KeyCode::Char('n'), KeyCode::Down],
    );
    assert_eq!(
        topics(&board),
        ["job:hash", "task:7:log"],
        "one is scrolled past"
    );
    press(&mut board, [KeyCode::PageDown, KeyCode::PageDown]);
    assert_eq!(topics(&board), ["task:7:log"], "the last one stays");
    press(&mut board, [KeyCode::Home]);
    assert_eq!(topics(&board).len(), 3);
}

#[test]
fn it_is_left_by_q_and_ctrl_c_also_out_of_the_filter() {
    assert!(press(&mut board(), [KeyCode::Char('q')]));
    let mut filtering = board();
    press(&mut filtering, [KeyCode::Char('/')]);
    let ctrl_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert!(keys::handle(&mut filtering, &Event::Key(ctrl_c)));
}

#[test]
fn a_server_that_is_away_is_told_of_and_what_was_known_stays() {
    let mut board = board();
    board.fail("connection refused\u{1b}[2J".to_owned());
    let lines = screen(&board, 100, 9);
    assert_eq!(
        lines[0],
        "Tidegate http://127.0.0.1:8420  connection refused [2J"
    );
    assert_eq!(topics(&board).len(), 3);
}

#[test]
fn the_smallest_screens_are_drawn_on_too() {
    for (columns, rows) in [(1, 1), (7, 3), (20, 5), (300, 80)] {
        screen(&board(), columns, rows);
    }
}
