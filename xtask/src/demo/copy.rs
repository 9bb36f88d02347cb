//! The files of the job that fails: a copy of a part of the tree, its checksums, and one corrupted file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::child::Step;
use crate::workspace::Workspace;

/// How much is copied: enough to watch, and little enough to be copied in a second.
const BYTES_MAX: u64 = 48 * 1024 * 1024;
const FILES_MAX: usize = 600;
/// Larger files would make the copy uneven.
const FILE_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// The name of the copied tree.
pub(super) const TREE: &str = "copy";
/// The name of the list of checksums, from before one of the files was corrupted.
pub(super) const LIST: &str = "checksums";

/// The copied tree with its list of checksums.
pub(super) struct Sample {
    /// The folder that holds both.
    pub(super) folder: PathBuf,
    /// How many bytes the copy has.
    pub(super) bytes: u64,
}

/// Copies some files of the tree, records their checksums, and then corrupts one of the copies.
pub(super) fn prepare(workspace: &Workspace, hash_tree: &Path, tree: &Path) -> Result<Sample> {
    let folder = workspace.target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("emptying {}", folder.display()))?;
    }
    let copy = folder.join(TREE);
    fs::create_dir_all(&copy)?;
    let mut copier = Copier {
        to: copy.clone(),
        files: Vec::new(),
        bytes: 0,
    };
    copier.visit(tree)?;
    ensure!(
        !copier.files.is_empty(),
        "{} has no files to hash; name another folder: cargo xtask demo -- PATH",
        tree.display()
    );
    let mut record = Command::new(hash_tree);
    record.arg("record").arg(&copy).arg(folder.join(LIST));
    Step::new(workspace, "recording checksums of a copy", record).run()?;
    spoil(&copier.files[copier.files.len() * 7 / 10])?;
    Ok(Sample {
        folder,
        bytes: copier.bytes,
    })
}

struct Copier {
    to: PathBuf,
    /// The copies, in the order of their names.
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Copier {
    fn visit(&mut self, folder: &Path) -> Result<()> {
        let mut entries: Vec<PathBuf> = fs::read_dir(folder)
            .with_context(|| format!("reading {}", folder.display()))?
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<std::io::Result<_>>()?;
        entries.sort();
        for path in entries {
            if self.bytes >= BYTES_MAX || self.files.len() >= FILES_MAX {
                return Ok(());
            }
            let about = fs::symlink_metadata(&path)?;
            if about.is_dir() {
                self.visit(&path)?;
            } else if about.is_file() && (1..=FILE_BYTES_MAX).contains(&about.len()) {
                self.copy(&path, about.len())?;
            }
        }
        Ok(())
    }

    fn copy(&mut self, path: &Path, bytes: u64) -> Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let copy = self.to.join(format!("{:04}-{name}", self.files.len()));
        fs::copy(path, &copy).with_context(|| format!("copying {}", path.display()))?;
        self.files.push(copy);
        self.bytes += bytes;
        Ok(())
    }
}

/// Flips one bit in the middle of a file, as a failing disk does.
fn spoil(file: &Path) -> Result<()> {
    let mut content = fs::read(file)?;
    let middle = content.len() / 2;
    content[middle] ^= 1;
    // The copy may be read-only, so it is replaced rather than overwritten.
    fs::remove_file(file)?;
    fs::write(file, content).with_context(|| format!("writing {}", file.display()))
}
