//! The image, and the Compose file with Redis.

use std::collections::BTreeMap;
use std::path::Path;

use tokio::process::Command;
use yaml_rust2::{Yaml, YamlLoader};

use super::{connections_max, drain_deadline, folder, in_force, seconds, text};
use crate::access::SECRET;
use crate::support::program::{finish, program};
use crate::support::{eventually, within};

/// The instructions of an image, with their arguments.
fn instructions(text: &str) -> Vec<(String, String)> {
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().map(str::trim);
    let lines = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let split = lines.map(|line| line.split_once(' ').expect("an instruction says something"));
    split
        .map(|(name, rest)| (name.to_owned(), rest.trim().to_owned()))
        .collect()
}

fn of<'a>(instructions: &'a [(String, String)], name: &str) -> Vec<&'a str> {
    let named = instructions.iter().filter(|(found, _)| found == name);
    named.map(|(_, rest)| rest.as_str()).collect()
}

/// The variables of the image that the program runs in.
fn variables(instructions: &[(String, String)]) -> BTreeMap<String, String> {
    let pairs = of(instructions, "ENV")
        .last()
        .unwrap()
        .split_whitespace()
        .map(|pair| pair.split_once('=').expect("NAME=VALUE"));
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

fn words(json: &str) -> Vec<String> {
    serde_json::from_str(json).expect("a list of words")
}

#[test]
fn what_the_image_copies_is_there() {
    let root = folder().join("..");
    let instructions = instructions(&text("Dockerfile"));
    let mut stages = Vec::new();
    let mut workdir = String::new();
    for (name, rest) in &instructions {
        let parts: Vec<&str> = rest.split_whitespace().collect();
        if name == "FROM" {
            stages.extend(rest.split_once(" AS ").map(|(_, stage)| stage));
        } else if name == "WORKDIR" {
            workdir.clone_from(rest);
        } else if name == "COPY"
            && let Some(stage) = parts[0].strip_prefix("--from=")
        {
            assert!(
                stages.contains(&stage),
                "no stage before it is called {stage}"
            );
            if stage == "build" {
                assert_eq!(parts[1], format!("{workdir}/target/release/tidegate"));
            }
        } else if name == "COPY" {
            for source in &parts[..parts.len() - 1] {
                assert!(root.join(source).exists(), "{source}");
            }
        }
    }
    for line in text("Dockerfile.dockerignore").lines() {
        let needed = [
            "Cargo.toml",
            "Cargo.lock",
            "core",
            "native",
            "pkg",
            "wasm",
            "xtask",
            ".cargo",
        ];
        assert!(!needed.contains(&line), "{line} is built of");
    }
}

#[tokio::test]
async fn the_program_takes_what_its_image_says_and_asks_for_a_key() {
    let instructions = instructions(&text("Dockerfile"));
    let mut variables = variables(&instructions);
    let check = program(&["config", "check"])
        .envs(&variables)
        .spawn()
        .unwrap();
    let refused = finish(check).await;
    assert!(refused.stderr.contains("--open-to-everyone"), "{refused:?}");
    variables.insert("TIDEGATE_JWT_SECRET".into(), SECRET.into());
    let in_force = in_force(&variables).await;
    let (listen, source) = &in_force["listen"];
    assert_eq!(source, "TIDEGATE_LISTEN");
    let port = listen
        .trim_end_matches(['"', ']'])
        .rsplit_once(':')
        .unwrap()
        .1;
    assert_eq!(of(&instructions, "EXPOSE"), [port]);
    assert_eq!(in_force["log"].0, "json");
    let entry = words(of(&instructions, "ENTRYPOINT")[0]);
    let copied = of(&instructions, "COPY");
    assert!(copied.last().unwrap().ends_with(&entry[0]), "{copied:?}");
    let command = words(of(&instructions, "CMD")[0]);
    let mut command: Vec<&str> = command.iter().map(String::as_str).collect();
    command.push("--help");
    assert_eq!(finish(program(&command).spawn().unwrap()).await.code, 0);
    let file = Path::new(&variables["TIDEGATE_SQLITE"]);
    let user = of(&instructions, "USER")[0];
    assert!(file.starts_with(format!("/home/{user}")), "{file:?}");
}

/// A Compose file, with its variables filled in.
fn composition() -> Yaml {
    let text = text("compose.yaml");
    let (before, rest) = text
        .split_once("${TIDEGATE_JWT_SECRET:?")
        .expect("a secret is asked for");
    let (_, after) = rest.split_once('}').unwrap();
    let filled = format!("{before}{SECRET}{after}");
    YamlLoader::load_from_str(&filled).unwrap().remove(0)
}

fn strings(list: &Yaml) -> Vec<String> {
    let list = list.as_vec().expect("a list").iter();
    list.map(|item| item.as_str().expect("a text").to_owned())
        .collect()
}

#[tokio::test]
async fn the_composition_agrees_with_the_image_and_the_program() {
    let image = instructions(&text("Dockerfile"));
    let composition = composition();
    let service = &composition["services"]["tidegate"];
    let context = folder().join(service["build"]["context"].as_str().unwrap());
    let file = context.join(service["build"]["dockerfile"].as_str().unwrap());
    assert_eq!(
        file.canonicalize().unwrap(),
        folder().join("Dockerfile").canonicalize().unwrap()
    );
    let mut variables = variables(&image);
    for (name, value) in service["environment"].as_hash().unwrap() {
        let (name, value) = (name.as_str().unwrap(), value.as_str().unwrap());
        variables.insert(name.to_owned(), value.to_owned());
    }
    let in_force = in_force(&variables).await;
    let (backend, source) = &in_force["backend"];
    assert_eq!(
        (backend.as_str(), source.as_str()),
        ("redis://redis:6379/0", "TIDEGATE_BACKEND")
    );
    assert!(composition["services"]["redis"].as_hash().is_some());
    for port in strings(&service["ports"]) {
        let (_, inside) = port.rsplit_once(':').unwrap();
        assert_eq!(of(&image, "EXPOSE"), [inside]);
    }
    let grace = seconds(service["stop_grace_period"].as_str().unwrap());
    assert!(
        grace > drain_deadline().await,
        "it is killed before its time"
    );
    let files = service["ulimits"]["nofile"].as_i64().unwrap();
    assert!(u64::try_from(files).unwrap() > connections_max().await);
    let redis = &composition["services"]["redis"];
    for volume in strings(&redis["volumes"]) {
        let (name, _) = volume.split_once(':').unwrap();
        assert!(
            composition["volumes"]
                .as_hash()
                .unwrap()
                .contains_key(&Yaml::String(name.into()))
        );
    }
}

#[tokio::test]
async fn the_redis_of_the_composition_starts_and_is_found_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let redis = &composition()["services"]["redis"];
    let command = strings(&redis["command"]);
    let aside = ["--port", "0", "--unixsocket", "redis.sock"];
    let _server = Command::new(&command[0])
        .args(&command[1..])
        .args(aside)
        .current_dir(folder.path())
        .stdout(std::process::Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let check = strings(&redis["healthcheck"]["test"]);
    assert_eq!(check[0], "CMD");
    let is_healthy = async || {
        let mut asking = Command::new(&check[1]);
        asking
            .args(["-s", "redis.sock"])
            .args(&check[2..])
            .current_dir(folder.path());
        within("an answer", asking.output()).await.unwrap().stdout == b"PONG\n"
    };
    eventually("it to be healthy", is_healthy).await;
}
