//! The unit for systemd.

use std::path::Path;
use std::process::Command;

use super::{connections_max, drain_deadline, seconds, text};
use crate::support::program::{finish, program};

const PROGRAM: &str = "/usr/local/bin/tidegate";
const CONFIGURATION: &str = "/etc/tidegate/tidegate.toml";

/// The values of a key.
fn values(unit: &str, key: &str) -> Vec<String> {
    let lines = unit.lines().filter_map(|line| line.split_once('='));
    let found = lines.filter(|(name, _)| *name == key);
    found.map(|(_, value)| value.to_owned()).collect()
}

#[tokio::test]
async fn the_program_takes_the_command_lines_of_the_unit() {
    let unit = text("tidegate.service");
    let configuration = super::folder().join("tidegate.toml");
    let arguments = |key: &str| -> Vec<String> {
        let line = values(&unit, key).remove(0);
        let line = line.replace(CONFIGURATION, configuration.to_str().unwrap());
        let mut words = line.split_whitespace().map(str::to_owned);
        assert_eq!(words.next().as_deref(), Some(PROGRAM));
        words.collect()
    };
    let check = arguments("ExecStartPre");
    let check: Vec<&str> = check.iter().map(String::as_str).collect();
    let checked = finish(program(&check).spawn().unwrap()).await;
    assert_eq!(checked.code, 0, "{checked:?}");
    let serve = arguments("ExecStart");
    let mut serve: Vec<&str> = serve.iter().map(String::as_str).collect();
    serve.push("--help");
    assert_eq!(finish(program(&serve).spawn().unwrap()).await.code, 0);
    let stop = seconds(&values(&unit, "TimeoutStopSec")[0]);
    assert!(
        stop > drain_deadline().await,
        "it is killed before its time"
    );
    let files: u64 = values(&unit, "LimitNOFILE")[0].parse().unwrap();
    assert!(files > connections_max().await);
    let state = format!("/var/lib/{}/", values(&unit, "StateDirectory")[0]);
    assert!(values(&unit, "Environment")[0].contains(&state));
}

#[test]
fn systemd_finds_nothing_wrong_with_the_unit() {
    let known = ["/usr/bin/systemd-analyze", "/bin/systemd-analyze"];
    let Some(analyze) = known.iter().find(|path| Path::new(path).exists()) else {
        eprintln!("passed over: there is no systemd-analyze here");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tidegate.service");
    // It looks for the program where the unit says.
    let unit = text("tidegate.service").replace(PROGRAM, env!("CARGO_BIN_EXE_tidegate"));
    std::fs::write(&path, unit).unwrap();
    let mut verify = Command::new(analyze);
    let verified = verify.args(["verify", "--man=no"]).arg(&path).output();
    let verified = verified.unwrap();
    let told = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && told.is_empty(), "{told}");
}
