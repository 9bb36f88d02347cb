//! How many instructions core paths execute, compared with the figures that were accepted.
//!
//! Instructions are counted by callgrind, so that it doesn't matter how busy the machine is. They depend on the compiler
//! and its settings, which is why this is built by a profile of its own and compared only with what the same
//! compiler was accepted with.
//!
//! ```console
//! $ cargo bench -p tidegate-core --profile instructions --bench instructions               # compares
//! $ cargo bench -p tidegate-core --profile instructions --bench instructions -- --accept   # writes the figures down
//! ```

mod allocator;
mod callgrind;
mod cases;
mod table;

use std::error::Error;
use std::process::ExitCode;

use cases::CASES;
use table::{Table, Verdict};

/// By how much a figure may differ from the accepted one, in percent.
const TOLERANCE_PERCENT: f64 = 3.0;

/// How this program tells itself, below callgrind, to execute a case.
const COUNT: &str = "--count";

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [flag, name] = arguments.as_slice()
        && flag == COUNT
    {
        cases::execute(name);
        return Ok(ExitCode::SUCCESS);
    }
    let is_accepting = arguments.iter().any(|argument| argument == "--accept");
    let filter = arguments
        .iter()
        .find(|argument| !argument.starts_with('-'))
        .map_or("", String::as_str);
    let mut table = Table::read()?;
    let compiler = table::compiler()?;
    println!("instructions for each operation, and allocations\n");
    let mut differs = false;
    for case in CASES.iter().filter(|case| case.name.contains(filter)) {
        let counted = callgrind::count(case.name)?;
        let verdict = table.verdict(&compiler, case.name, counted);
        println!("  {}", table::line(case.name, counted, verdict));
        differs |= matches!(verdict, Verdict::Costlier(_) | Verdict::Cheaper(_));
        table.set(case.name, counted);
    }
    println!();
    if is_accepting {
        table.write(&compiler)?;
        println!("accepted: {}", table::FILE);
        return Ok(ExitCode::SUCCESS);
    }
    if !table.is_of(&compiler) {
        println!(
            "not compared: figures are those of {}, and this is {compiler}; \
             `cargo xtask bench instructions --accept` writes down its own",
            table.compiler()
        );
    } else if differs {
        println!(
            "what differs by more than {TOLERANCE_PERCENT} % must be meant: \
             `cargo xtask bench instructions --accept` writes it down, and the commit says why"
        );
        return Ok(ExitCode::FAILURE);
    }
    Ok(ExitCode::SUCCESS)
}
