//! The files of a folder tree, and its division into jobs.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// A file of the tree.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) path: PathBuf,
    pub(crate) bytes: u64,
}

/// A part of the tree that is hashed by one job: one top-level folder, or several neighbours.
#[derive(Debug)]
pub(crate) struct Part {
    /// Its name, for people: `serde`, or `serde – syn` for neighbours.
    pub(crate) name: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) bytes: u64,
}

/// All regular files below a folder, in the order of their paths. Links are not followed.
pub(crate) fn files(folder: &Path) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<Entry>) -> Result<()> {
    for path in children(folder)? {
        let about =
            fs::symlink_metadata(&path).with_context(|| format!("reading {}", path.display()))?;
        if about.is_dir() {
            collect(&path, found)?;
        } else if about.is_file() {
            found.push(Entry {
                path,
                bytes: about.len(),
            });
        }
    }
    Ok(())
}

/// Divides a tree into at most `parts_max` parts of about equal size, along its top-level folders.
///
/// A folder that contains nothing but one folder is skipped: the top level is the first one with a choice.
pub(crate) fn parts(folder: &Path, parts_max: usize) -> Result<Vec<Part>> {
    let mut top = folder.to_path_buf();
    let mut below = children(&top)?;
    while let [only] = below.as_slice()
        && only.is_dir()
    {
        top = only.clone();
        below = children(&top)?;
    }
    let mut folders = Vec::new();
    for path in below {
        let entries = if path.is_dir() && !path.is_symlink() {
            files(&path)?
        } else {
            Vec::new()
        };
        folders.push(Part::new(&path, entries));
    }
    let loose = files(&top)?
        .into_iter()
        .filter(|entry| entry.path.parent() == Some(&top))
        .collect();
    folders.push(Part::new(&top, loose));
    folders.retain(|part| part.bytes > 0);
    Ok(join_neighbours(folders, parts_max))
}

impl Part {
    fn new(path: &Path, entries: Vec<Entry>) -> Self {
        let name = path.file_name().unwrap_or(path.as_os_str());
        Self {
            name: name.to_string_lossy().into_owned(),
            bytes: entries.iter().map(|entry| entry.bytes).sum(),
            entries,
        }
    }
}

/// Joins neighbours until each part has its share of the bytes.
fn join_neighbours(folders: Vec<Part>, parts_max: usize) -> Vec<Part> {
    if folders.len() <= parts_max {
        return folders;
    }
    let total: u64 = folders.iter().map(|part| part.bytes).sum();
    let share = total.div_ceil(parts_max.max(1) as u64);
    let mut parts: Vec<Part> = Vec::new();
    let mut before = 0;
    for folder in folders {
        let bytes = folder.bytes;
        // Folders belong together if their midpoints are in the same share of the whole.
        let slot = (before + bytes / 2) / share;
        let last_slot = parts.len() as u64;
        match parts.last_mut() {
            Some(part) if slot < last_slot => join(part, folder),
            _ => parts.push(folder),
        }
        before += bytes;
    }
    parts
}

fn join(part: &mut Part, next: Part) {
    let first = part.name.split(" – ").next().unwrap_or_default();
    part.name = format!("{first} – {}", next.name);
    part.entries.extend(next.entries);
    part.bytes += next.bytes;
}

fn children(folder: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading {}", folder.display());
    let mut children = fs::read_dir(folder)
        .with_context(reading)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<Vec<_>>>()
        .with_context(reading)?;
    children.sort();
    Ok(children)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folders(sizes: &[u64]) -> Vec<Part> {
        let part = |(index, &bytes): (usize, &u64)| Part {
            name: index.to_string(),
            entries: Vec::new(),
            bytes,
        };
        sizes.iter().enumerate().map(part).collect()
    }

    #[test]
    fn few_folders_stay_as_they_are() {
        assert_eq!(join_neighbours(folders(&[1, 2, 3]), 3).len(), 3);
    }

    #[test]
    fn joining_keeps_every_byte_and_stays_within_the_number() {
        for sizes in [
            vec![5; 40],
            vec![900, 1, 1, 1, 1, 1],
            vec![1, 1, 1, 1, 1, 900],
        ] {
            let parts = join_neighbours(folders(&sizes), 4);
            assert!(parts.len() <= 4, "{parts:?}");
            let bytes: u64 = parts.iter().map(|part| part.bytes).sum();
            assert_eq!(bytes, sizes.iter().sum::<u64>());
        }
    }

    #[test]
    fn a_joined_part_is_named_by_its_first_and_last_folder() {
        let parts = join_neighbours(folders(&[1; 9]), 3);
        assert_eq!(parts[0].name, "0 – 2");
    }
}
