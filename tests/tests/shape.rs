//! Checks the shape of the sources: a file is about one thing, and seldom longer than a few screens.

use std::fs;
use std::path::{Path, PathBuf};

/// The most lines of a file.
const LINES_MAX: usize = 400;

/// Files that are longer by choice, with the lines that they may have: each is one mechanism, or the tests of one.
const LONGER_BY_CHOICE: &[(&str, usize)] = &[
    ("core/src/outbox/tests.rs", 640),
    ("tests/src/network.rs", 500),
];

/// Third-party and generated files.
const NOT_OURS: &[&str] = &[
    "target",
    "node_modules",
    "dist",
    "dist-test",
    "test-results",
];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            let is_hidden = name.starts_with('.');
            if !is_hidden && !NOT_OURS.iter().any(|other| name.starts_with(other)) {
                sources(&path, found);
            }
        } else if ["rs", "ts", "mts", "mjs"]
            .iter()
            .any(|kind| name.ends_with(&format!(".{kind}")))
        {
            found.push(path);
        }
    }
}

#[test]
fn files_are_short_or_long_by_choice() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = Vec::new();
    sources(root, &mut found);
    assert!(
        found.len() > 100,
        "the sources were looked for in the wrong place"
    );
    let mut too_long = Vec::new();
    for path in found {
        let name = path
            .strip_prefix(root)
            .unwrap()
            .to_str()
            .unwrap()
            .replace('\\', "/");
        let chosen = LONGER_BY_CHOICE.iter().find(|(file, _)| *file == name);
        let lines_max = chosen.map_or(LINES_MAX, |(_, lines_max)| *lines_max);
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        if lines > lines_max {
            too_long.push(format!("{name}: {lines} lines, {lines_max} allowed"));
        }
        if chosen.is_some() && lines <= LINES_MAX {
            too_long.push(format!("{name}: {lines} lines need no exception"));
        }
    }
    assert!(
        too_long.is_empty(),
        "split these by mechanism:\n{}",
        too_long.join("\n")
    );
}
