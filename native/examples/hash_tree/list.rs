//! Lists of checksums, in the form that `sha256sum` writes: `DIGEST  PATH`.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;

use anyhow::{Context as _, Result, bail};

use super::pace::{Pace, hash_file};
use super::tree::files;

/// Writes the checksums of a tree's files, with paths relative to the tree.
pub(crate) fn record(tree: &Path, list: &Path) -> Result<()> {
    let file = File::create(list).with_context(|| format!("creating {}", list.display()))?;
    let mut lines = BufWriter::new(file);
    for entry in files(tree)? {
        let digest = digest(&entry.path, &mut Pace::new(None))?;
        let path = entry.path.strip_prefix(tree)?;
        writeln!(lines, "{digest}  {}", path.display())?;
    }
    lines.flush()?;
    Ok(())
}

/// Compares the tree's files with the list and prints how far it is.
///
/// # Errors
/// At the first file that is missing or differs.
pub(crate) fn check(tree: &Path, list: &Path, bytes_per_second: Option<u64>) -> Result<()> {
    let text = fs::read_to_string(list).with_context(|| format!("reading {}", list.display()))?;
    let total = text.lines().count();
    let mut pace = Pace::new(bytes_per_second);
    for (index, line) in text.lines().enumerate() {
        let Some((expected, path)) = line.split_once("  ") else {
            bail!(
                "line {} of {} is no `DIGEST  PATH`",
                index + 1,
                list.display()
            );
        };
        if digest(&tree.join(path), &mut pace)? != expected {
            bail!("{path} is corrupt: its checksum is not the recorded one");
        }
        println!("[{}/{total}] {path}", index + 1);
    }
    println!("all {total} files are as they were recorded");
    Ok(())
}

fn digest(path: &Path, pace: &mut Pace) -> Result<String> {
    let digest = hash_file(path, pace, |_| true);
    let digest = digest.with_context(|| format!("reading {}", path.display()))?;
    digest.context("the reading was ended")
}
