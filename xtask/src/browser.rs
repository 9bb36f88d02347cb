//! Finds a browser for the tests, or installs one.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use crate::apt;
use crate::workspace::{Workspace, find_program};

/// The names that Chromium has on the systems that package it.
const NAMES: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];
const MAC_PATHS: [&str; 2] = [
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
];

/// The browser to test with: that of `CHROMIUM`, an installed one, or else Debian's, which this installs.
///
/// # Errors
/// If there is none and none can be installed; the error says what to do.
pub(crate) fn find_or_bring(workspace: &Workspace) -> Result<PathBuf> {
    if let Some(path) = env::var_os("CHROMIUM") {
        let path = PathBuf::from(path);
        ensure!(
            path.is_file(),
            "CHROMIUM names {}, which is no file",
            path.display()
        );
        return Ok(path);
    }
    if let Some(path) = installed() {
        return Ok(path);
    }
    let next = "no Chromium was found; install it (package chromium), or set CHROMIUM to the path \
                of one";
    apt::install(workspace, &["chromium"]).context(next)?;
    installed().context(next)
}

fn installed() -> Option<PathBuf> {
    let on_mac = || {
        MAC_PATHS
            .iter()
            .map(PathBuf::from)
            .find(|path| Path::is_file(path))
    };
    find_program(&NAMES).or_else(on_mac)
}
