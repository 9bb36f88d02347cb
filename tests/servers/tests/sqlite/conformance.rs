//! Topics in an SQLite file keep the promises of every backend.

use std::sync::Arc;

use tempfile::TempDir;
use tidegate::backend::{Backend, Keep, Sqlite};
use tidegate_server_tests::conformance;
use tidegate_server_tests::conformance::Place;

/// A file in a directory of its own.
struct File {
    directory: TempDir,
    keep: Keep,
}

impl Place for File {
    async fn start(keep: Keep) -> Self {
        let directory = tempfile::tempdir().unwrap();
        Self { directory, keep }
    }

    async fn backend(&self) -> Arc<dyn Backend> {
        let path = self.directory.path().join("tidegate.db");
        Arc::new(Sqlite::new(path, self.keep.clone()).unwrap())
    }
}

conformance!(File);
