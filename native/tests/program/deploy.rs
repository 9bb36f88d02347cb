//! The files in `deploy/`: each uses options that the program accepts, and does what it says.

mod image;
mod proxy;
mod unit;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::support::program::{finish, program};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy")
}

fn text(name: &str) -> String {
    std::fs::read_to_string(folder().join(name)).unwrap()
}

/// The settings that result from these variables: their values, and where each comes from.
async fn in_force(variables: &BTreeMap<String, String>) -> BTreeMap<String, (String, String)> {
    let checked = program(&["config", "check"])
        .envs(variables)
        .spawn()
        .unwrap();
    let checked = finish(checked).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    assert_eq!(checked.stderr, "", "every variable is one");
    let lines = checked.stdout.lines().filter_map(|line| {
        let (setting, source) = line.rsplit_once("# ")?;
        let (name, value) = setting.split_once(" = ")?;
        let value = value.trim().trim_matches('"').to_owned();
        Some((name.trim().to_owned(), (value, source.to_owned())))
    });
    lines.collect()
}

/// A time as settings write it, in seconds.
fn seconds(text: &str) -> u64 {
    let number = text.strip_suffix('s').expect("seconds");
    number.parse().unwrap()
}

/// The most connections that a server has open by its defaults.
async fn connections_max() -> u64 {
    let defaults = in_force(&BTreeMap::new()).await;
    let number = |name: &str| defaults[name].0.parse::<u64>().unwrap();
    number("connections") + number("open_requests")
}

/// How long a server takes to stop by its defaults.
async fn drain_deadline() -> u64 {
    seconds(&in_force(&BTreeMap::new()).await["drain_deadline"].0)
}
