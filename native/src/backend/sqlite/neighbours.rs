//! The backends in this process that have the same file open: what one writes, the others read at once.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::Sender;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::command::Command;

static OPEN: Mutex<BTreeMap<PathBuf, Vec<Entry>>> = Mutex::new(BTreeMap::new());

struct Entry {
    id: u64,
    commands: Sender<Command>,
}

/// A backend's registration among those that have its file open. It ends when this is dropped.
pub(super) struct Neighbours {
    path: PathBuf,
    id: u64,
}

impl Neighbours {
    /// Registers among those that have the file at `path` open, which must exist.
    pub(super) fn join(path: &Path, commands: Sender<Command>) -> Self {
        // Without a canonical path, there are no neighbours. They check the file themselves in any case.
        let path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut open = open();
        let entries = open.entry(path.clone()).or_default();
        let id = entries.last().map_or(0, |entry| entry.id + 1);
        entries.push(Entry { id, commands });
        Self { path, id }
    }

    /// Tells the others to check the file.
    pub(super) fn wake(&self) {
        let open = open();
        let others = open.get(&self.path).into_iter().flatten();
        for other in others.filter(|other| other.id != self.id) {
            // A backend that has just ended needs no telling.
            let _ = other.commands.send(Command::Look);
        }
    }
}

impl Drop for Neighbours {
    fn drop(&mut self) {
        let mut open = open();
        if let Some(entries) = open.get_mut(&self.path) {
            entries.retain(|entry| entry.id != self.id);
            if entries.is_empty() {
                open.remove(&self.path);
            }
        }
    }
}

fn open() -> MutexGuard<'static, BTreeMap<PathBuf, Vec<Entry>>> {
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
