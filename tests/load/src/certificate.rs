//! Makes a certificate for this machine with OpenSSL, for servers that speak TLS.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use tempfile::TempDir;

const ARGUMENTS: [&str; 16] = [
    "req",
    "-x509",
    "-newkey",
    "ec",
    "-pkeyopt",
    "ec_paramgen_curve:prime256v1",
    "-nodes",
    "-days",
    "2",
    "-subj",
    "/CN=localhost",
    "-addext",
    "subjectAltName=IP:127.0.0.1",
    "-addext",
    "basicConstraints=critical,CA:FALSE",
    "-batch",
];

/// A self-signed certificate, in a folder that is removed with it.
pub(crate) struct Certificate {
    folder: TempDir,
}

impl Certificate {
    /// # Errors
    /// If there is no `openssl`, or it fails.
    pub(crate) fn make() -> Result<Self> {
        let folder = TempDir::new()?;
        let made = Command::new("openssl")
            .args(ARGUMENTS)
            .args(["-keyout", "server.key", "-out", "server.crt"])
            .current_dir(folder.path())
            .stderr(Stdio::null())
            .status()
            .context("cannot start openssl, which makes a certificate; install it")?;
        ensure!(made.success(), "openssl made no certificate: {made}");
        Ok(Self { folder })
    }

    /// The chain and the key, as PEM.
    pub(crate) fn files(&self) -> (PathBuf, PathBuf) {
        let folder = self.folder.path();
        (folder.join("server.crt"), folder.join("server.key"))
    }
}
