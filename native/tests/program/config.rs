//! How the program is configured, as its users see it.

use std::path::Path;

use crate::support::http;
use crate::support::program::{Outcome, Server, finish, program, run};
use serde_json::json;

const SECRET: &str = "a secret of at least thirty-two bytes";

async fn run_with(arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
    let mut command = program(arguments);
    finish(command.envs(variables.iter().copied()).spawn().unwrap()).await
}

fn written(folder: &Path, text: &str) -> String {
    let path = folder.join("tidegate.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_server_does_what_its_file_says() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(
        folder.path(),
        "listen = \"127.0.0.1:0\"\nbackend = \"memory\"\npayload_bytes = 100\n",
    );
    for (arguments, variable) in [
        (vec!["--config", path.as_str()], ""),
        (vec![], path.as_str()),
    ] {
        let mut command = program(&[&["serve"], arguments.as_slice()].concat());
        command.env("TIDEGATE_CONFIG", variable);
        let server = Server::start_with(command).await;
        let publish = async |data: &str| {
            let body = json!({"topic": "a", "data": data});
            http::publish(&server.address, &body).await
        };
        let small = publish("x").await;
        assert_eq!(small.status, 200, "{small:?}");
        let large = publish(&"x".repeat(200)).await;
        assert_eq!(large.error(), (413, "too_large".to_owned()));
    }
}

#[tokio::test]
async fn a_wrong_configuration_is_refused_by_its_place_before_anything_starts() {
    let folder = tempfile::tempdir().unwrap();
    let path = written(folder.path(), "\nhistroy = 5\nheartbeat = \"soon\"\n");
    for arguments in [
        &["serve", "--config", &path][..],
        &["config", "check", &path],
    ] {
        let refused = run(arguments).await;
        assert_eq!(refused.code, 2, "{refused:?}");
        assert_eq!(refused.stdout, "");
        for words in [
            "tidegate.toml:2:1: no setting is called \"histroy\"; did you mean history?",
            "tidegate.toml:3:13: heartbeat: \"soon\": expected a time",
        ] {
            assert!(refused.stderr.contains(words), "{words}: {refused:?}");
        }
    }
}

#[tokio::test]
async fn a_check_tells_what_would_be_in_force_and_where_it_comes_from_without_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "shards = 2\nticket_secret = \"{SECRET}\"\nbackend = \"redis://me:hush@cache/0\"\nhistory = 7\n"
    );
    let path = written(folder.path(), &text);
    let variables = [("TIDEGATE_JWT_SECRET", SECRET), ("TIDEGATE_HISTORY", "9")];
    let arguments = ["config", "check", &path, "--heartbeat", "30s"];
    let told = run_with(&arguments, &variables).await;
    assert_eq!(told.code, 0, "{told:?}");
    let lines: Vec<String> = told
        .stdout
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .map(|line| line.replace(&path, "FILE"))
        .collect();
    for line in [
        "shards = 2 # FILE:1",
        "ticket_secret = \"(hidden)\" # FILE:2",
        "backend = \"redis://cache/0\" # FILE:3",
        "history = 9 # TIDEGATE_HISTORY",
        "jwt_secret = \"(hidden)\" # TIDEGATE_JWT_SECRET",
        "heartbeat = \"30s\" # flag",
        "connections = 100000 # default",
    ] {
        assert!(lines.iter().any(|told| told == line), "{line}: {lines:#?}");
    }
    let printed = run_with(&["config", "print", &path], &variables).await;
    for outcome in [&told, &printed] {
        let all = format!("{}{}", outcome.stdout, outcome.stderr);
        assert!(!all.contains(SECRET) && !all.contains("hush"), "{all}");
    }
}

#[tokio::test]
async fn a_check_finds_what_would_keep_a_server_from_starting() {
    for (text, words) in [
        ("listen = \"0.0.0.0:1\"", "--open-to-everyone"),
        ("jwks = \"/nowhere\"", "/nowhere"),
        ("jwt_secret = \"short\"", "jwt_secret"),
        ("ticket_secret = \"short\"", "ticket_secret"),
        ("backend = \"sqlight:x\"", "tidegate.toml:1:11: backend"),
        ("compress_above = true", "or off"),
        ("drain_window = \"20s\"", "drain_deadline"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = written(folder.path(), text);
        let refused = run(&["config", "check", &path]).await;
        assert_ne!(refused.code, 0, "{text}");
        assert!(refused.stderr.contains(words), "{text}: {refused:?}");
    }
}

/// The file in `deploy/` for people to start with.
fn example() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/tidegate.toml");
    std::fs::read_to_string(path).unwrap()
}

#[tokio::test]
async fn the_example_file_has_every_setting_and_its_default() {
    let printed = run(&["config", "print"]).await;
    assert_eq!(
        printed.stdout,
        example(),
        "write it anew: cargo run -p tidegate -- config print > deploy/tidegate.toml"
    );
}

#[tokio::test]
async fn the_example_file_means_the_same_with_its_defaults_written_out() {
    let folder = tempfile::tempdir().unwrap();
    let is_setting = |line: &&str| line.contains(" = ");
    let lines: Vec<&str> = example()
        .leak()
        .lines()
        .filter_map(|line| line.strip_prefix("# "))
        .filter(is_setting)
        .collect();
    assert!(lines.len() > 20, "{lines:?}");
    let path = written(folder.path(), &lines.join("\n"));
    let told = run(&["config", "check", &path]).await;
    assert_eq!(told.code, 0, "{told:?}");
    let values = |text: &str| -> Vec<String> {
        let lines = text.lines().map(|line| line.split("  # ").next());
        lines.map(|line| line.unwrap().trim().to_owned()).collect()
    };
    let default = run(&["config", "check"]).await;
    assert_eq!(values(&told.stdout), values(&default.stdout));
}

#[tokio::test]
async fn a_configuration_that_can_not_be_meant_so_has_the_exit_status_for_that() {
    let serve = ["serve", "--backend=memory", "--listen=127.0.0.1:0"];
    for wrong in [
        vec!["--jwt-secret-file=/nowhere/secret"],
        vec!["--tls-cert=server.crt"],
        vec!["--drain-window=9s", "--drain-deadline=8s"],
    ] {
        let refused = run(&[serve.as_slice(), wrong.as_slice()].concat()).await;
        assert_eq!(refused.code, 2, "{refused:?}");
    }
    let no_json = run(&["pub", "--backend=sqlite::memory:", "job:1", "hello"]).await;
    assert_eq!(no_json.code, 2, "{no_json:?}");
}
