//! Remembers from which inputs a step's outputs were made, so that the step is skipped while neither changes.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// The state of files, hashed to a number.
///
/// Two versions of this program may compute different numbers for the same files, at the cost of one needless run of
/// the step.
#[derive(Default)]
pub(crate) struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// Adds a value that the step depends on, such as an option.
    pub(crate) fn value(mut self, value: &str) -> Self {
        value.hash(&mut self.0);
        self
    }

    /// Adds a file, or all files below a folder, by path and content. A path that doesn't exist has a fingerprint, too.
    /// Folders whose names are in `without` are left out.
    pub(crate) fn tree(mut self, path: &Path, without: &[&str]) -> Result<Self> {
        let mut files = Vec::new();
        collect(path, without, &mut files)?;
        files.sort();
        for file in files {
            let content = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
            file.hash(&mut self.0);
            content.hash(&mut self.0);
        }
        Ok(self)
    }

    fn number(&self) -> u64 {
        self.0.finish()
    }
}

fn collect(path: &Path, without: &[&str], files: &mut Vec<PathBuf>) -> Result<()> {
    if path.is_file() {
        files.push(path.to_path_buf());
    } else if path.is_dir() {
        let entries = fs::read_dir(path).with_context(|| format!("reading {}", path.display()))?;
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            if !without.iter().any(|skipped| name == *skipped) {
                collect(&entry.path(), without, files)?;
            }
        }
    }
    Ok(())
}

/// The record of one step: its inputs and outputs when it last succeeded.
pub(crate) struct Stamp {
    file: PathBuf,
}

impl Stamp {
    /// The record of the step with this name.
    pub(crate) fn of(workspace: &Workspace, step: &str) -> Self {
        Self {
            file: workspace.target.join("xtask-stamps").join(step),
        }
    }

    /// Whether the outputs are still those that the step made from these inputs.
    pub(crate) fn holds(&self, inputs: &Fingerprint, outputs: &Fingerprint) -> bool {
        fs::read_to_string(&self.file).is_ok_and(|recorded| recorded == content(inputs, outputs))
    }

    /// Records a success.
    pub(crate) fn set(&self, inputs: &Fingerprint, outputs: &Fingerprint) -> Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        fs::write(&self.file, content(inputs, outputs))
            .with_context(|| format!("writing {}", self.file.display()))
    }
}

fn content(inputs: &Fingerprint, outputs: &Fingerprint) -> String {
    format!("{:016x} {:016x}\n", inputs.number(), outputs.number())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
            fs::create_dir_all(path.join("src")).expect("a temporary folder");
            Self(path)
        }

        fn write(&self, file: &str, text: &str) {
            fs::write(self.0.join(file), text).expect("a temporary file");
        }

        fn number(&self) -> u64 {
            let print = Fingerprint::default().tree(&self.0, &["node_modules"]);
            print.expect("a readable folder").number()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            // Leftovers in the temporary folder do no harm.
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    #[test]
    fn a_change_a_rename_and_a_new_file_are_noticed() {
        let folder = Folder::new("fingerprint-changes");
        folder.write("src/a", "1");
        let first = folder.number();
        folder.write("src/a", "2");
        let changed = folder.number();
        assert_ne!(first, changed);
        fs::rename(folder.0.join("src/a"), folder.0.join("src/b")).expect("a rename");
        assert_ne!(changed, folder.number());
        folder.write("src/b", "1");
        folder.write("src/a", "1");
        assert_ne!(first, folder.number());
    }

    #[test]
    fn rewriting_the_same_content_changes_nothing() {
        let folder = Folder::new("fingerprint-same");
        folder.write("src/a", "1");
        let first = folder.number();
        folder.write("src/a", "1");
        assert_eq!(first, folder.number());
    }

    #[test]
    fn left_out_folders_do_not_count() {
        let folder = Folder::new("fingerprint-without");
        let first = folder.number();
        fs::create_dir_all(folder.0.join("src/node_modules")).expect("a folder");
        folder.write("src/node_modules/a", "1");
        assert_eq!(first, folder.number());
    }

    #[test]
    fn a_stamp_holds_only_for_the_same_inputs_and_outputs() {
        let folder = Folder::new("stamp");
        let stamp = Stamp {
            file: folder.0.join("stamps/step"),
        };
        let print = |value: &str| Fingerprint::default().value(value);
        assert!(!stamp.holds(&print("in"), &print("out")));
        stamp.set(&print("in"), &print("out")).expect("a stamp");
        assert!(stamp.holds(&print("in"), &print("out")));
        assert!(!stamp.holds(&print("other"), &print("out")));
        assert!(!stamp.holds(&print("in"), &print("lost")));
    }
}
