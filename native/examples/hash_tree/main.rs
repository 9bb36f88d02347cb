//! Hashes every file of a folder tree, and lets people watch.
//!
//! `hash_tree publish PATH` makes a job of each part of the tree and publishes its progress to a
//! Tidegate server, as a program of yours would. `hash_tree record` and `hash_tree check` write and
//! check a list of checksums; they know nothing of Tidegate and print lines such as `[12/340] name`,
//! which `tidegate run -- hash_tree check …` turns into progress.

mod list;
mod pace;
mod publish;
mod tree;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Hashes every file of a folder tree
#[derive(Parser)]
#[command(name = "hash_tree")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Hashes a tree in several jobs, and publishes the progress of each
    Publish(publish::Arguments),
    /// Writes the checksums of a tree's files to a list
    Record {
        /// The folder tree
        tree: PathBuf,
        /// The file to write
        list: PathBuf,
    },
    /// Compares a tree's files with a list of checksums, up to the first difference
    Check {
        /// Reads no faster than this; as fast as it can, if absent
        #[arg(long)]
        bytes_per_second: Option<u64>,
        /// The folder tree
        tree: PathBuf,
        /// The list
        list: PathBuf,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Publish(arguments) => publish::run(&arguments),
        Command::Record { tree, list } => list::record(&tree, &list),
        Command::Check {
            bytes_per_second,
            tree,
            list,
        } => list::check(&tree, &list, bytes_per_second),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hash_tree: {error:#}");
            ExitCode::FAILURE
        }
    }
}
