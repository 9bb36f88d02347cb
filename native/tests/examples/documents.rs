//! The code that the documents show is that of the examples.

use std::fs;
use std::path::{Path, PathBuf};

/// The lines of each block of a language, without their indentation.
fn blocks(text: &str, language: &str) -> Vec<Vec<String>> {
    let fence = format!("```{language}\n");
    let starts = text.split(&fence).skip(1);
    let blocks = starts.map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.map(lines).collect()
}

fn lines(text: &str) -> Vec<String> {
    text.lines().map(|line| line.trim().to_owned()).collect()
}

fn files(folder: &Path, kind: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path, kind));
        } else if path.extension().is_some_and(|extension| extension == kind) {
            found.push(path);
        }
    }
    found
}

#[test]
fn the_code_in_the_documents_is_that_of_the_examples() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let sources = |kind: &str| -> Vec<Vec<String>> {
        let files = files(&root.join("examples"), kind).into_iter();
        files
            .map(|file| lines(&fs::read_to_string(file).unwrap()))
            .collect()
    };
    let (rust, pages) = (sources("rs"), sources("html"));
    let documents = files(&root.join("../docs/examples"), "md");
    let mut compared = 0;
    for document in &documents {
        let text = fs::read_to_string(document).unwrap();
        for (language, sources) in [("rust", &rust), ("js", &pages)] {
            for block in blocks(&text, language) {
                let is_shown = |source: &Vec<String>| {
                    source
                        .windows(block.len())
                        .any(|window| window == block.as_slice())
                };
                assert!(
                    sources.iter().any(is_shown),
                    "{}: no example has this:\n{}",
                    document.display(),
                    block.join("\n")
                );
                compared += 1;
            }
        }
    }
    assert!(compared >= 9, "{compared} blocks in {documents:?}");
}

#[test]
fn every_application_has_a_page_of_its_own_and_a_document() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let overview = fs::read_to_string(root.join("../docs/examples/README.md")).unwrap();
    let pages = files(&root.join("examples/pages"), "html");
    assert!(pages.len() >= 5, "{pages:?}");
    for page in pages {
        let name = page.file_stem().unwrap().to_str().unwrap().to_owned();
        let document = format!("{}.md", name.replace('_', "-"));
        assert!(
            overview.contains(&format!("[`{name}`]({document})")),
            "{name}"
        );
        let text = fs::read_to_string(root.join("../docs/examples").join(&document)).unwrap();
        assert!(
            text.contains(&format!("cargo run --example {name}")),
            "{document}"
        );
        let picture = document.replace(".md", ".png");
        assert!(text.contains(&format!("]({picture})")), "{document}");
        assert!(root.join("../docs/examples").join(picture).is_file());
    }
}
