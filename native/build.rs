//! Puts the built dashboard into the program, where it has been built.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

fn main() -> io::Result<()> {
    let manifest = PathBuf::from(env::var("CARGO_MANIFEST_DIR").expect("set by cargo"));
    let dashboard = manifest.join("../pkg/dist/dashboard");
    println!("cargo::rerun-if-changed={}", dashboard.display());
    let mut files = Vec::new();
    if dashboard.is_dir() {
        collect(&dashboard, &mut files)?;
    }
    files.sort();
    let mut source = String::from("static ASSETS: &[Asset] = &[\n");
    for file in files {
        let path = file.strip_prefix(&dashboard).expect("found below it");
        let name = path
            .to_str()
            .expect("our own files have plain names")
            .replace('\\', "/");
        let bytes = file.canonicalize()?;
        writeln!(
            source,
            "    Asset {{ path: {name:?}, bytes: include_bytes!({bytes:?}) }},"
        )
        .expect("a String");
    }
    source.push_str("];\n");
    fs::write(
        PathBuf::from(env::var("OUT_DIR").expect("set by cargo")).join("dashboard_assets.rs"),
        source,
    )
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else {
            files.push(path);
        }
    }
    Ok(())
}
