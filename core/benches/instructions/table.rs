//! The figures that were accepted: a text file beside this program.

use std::error::Error;
use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use crate::TOLERANCE_PERCENT;
use crate::callgrind::Counted;

/// Where the figures are.
pub(crate) const FILE: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/benches/instructions/accepted.txt"
);

const HEAD: &str = "\
# Instructions and allocations of one operation each, counted by `cargo xtask bench instructions`.
# With --accept it writes this file. A change that costs more says why in its commit.
";

/// Allocations are exact; a case that allocates once in many operations may do so one time more or less.
const ALLOCATIONS_TOLERANCE: f64 = 0.05;

/// What was accepted, and of which compiler's code.
pub(crate) struct Table {
    compiler: String,
    figures: Vec<(String, Counted)>,
}

/// How a figure compares with the accepted one.
#[derive(Clone, Copy)]
pub(crate) enum Verdict {
    /// Within the tolerance; the difference in percent.
    Same(f64),
    /// More than the tolerance, in percent.
    Costlier(f64),
    /// The same, in the other direction. It is to be accepted, too, or what was gained can be lost unseen.
    Cheaper(f64),
    /// There is nothing to compare with.
    New,
}

impl Table {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is there and can't be read or understood.
    pub(crate) fn read() -> Result<Self, Box<dyn Error>> {
        let text = if fs::exists(FILE)? {
            fs::read_to_string(FILE)?
        } else {
            String::new()
        };
        let mut table = Self {
            compiler: String::new(),
            figures: Vec::new(),
        };
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            if let Some(compiler) = line.strip_prefix("compiler: ") {
                compiler.clone_into(&mut table.compiler);
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(name), Some(instructions), Some(allocations)) =
                (words.next(), words.next(), words.next())
            else {
                return Err(
                    format!("{FILE}: this line is not a name and two numbers: {line}").into(),
                );
            };
            let counted = Counted {
                instructions: instructions.parse()?,
                allocations: allocations.parse()?,
            };
            table.figures.push((name.to_owned(), counted));
        }
        Ok(table)
    }

    /// The compiler that the figures hold for.
    pub(crate) fn compiler(&self) -> &str {
        if self.compiler.is_empty() {
            "no compiler yet"
        } else {
            &self.compiler
        }
    }

    /// Whether the figures hold for what this compiler makes.
    pub(crate) fn is_of(&self, compiler: &str) -> bool {
        self.compiler == compiler
    }

    /// Compares a figure.
    pub(crate) fn verdict(&self, compiler: &str, name: &str, counted: Counted) -> Verdict {
        let known = self.figures.iter().find(|(known, _)| known == name);
        let Some((_, accepted)) = known.filter(|_| self.is_of(compiler)) else {
            return Verdict::New;
        };
        let percent = (counted.instructions / accepted.instructions - 1.0) * 100.0;
        let allocations = counted.allocations - accepted.allocations;
        if percent > TOLERANCE_PERCENT || allocations > ALLOCATIONS_TOLERANCE {
            Verdict::Costlier(percent)
        } else if percent < -TOLERANCE_PERCENT || allocations < -ALLOCATIONS_TOLERANCE {
            Verdict::Cheaper(percent)
        } else {
            Verdict::Same(percent)
        }
    }

    /// Takes a figure in.
    pub(crate) fn set(&mut self, name: &str, counted: Counted) {
        match self.figures.iter_mut().find(|(known, _)| known == name) {
            Some((_, figure)) => *figure = counted,
            None => self.figures.push((name.to_owned(), counted)),
        }
    }

    /// Writes the file: the figures of all cases that there are.
    ///
    /// # Errors
    /// When it can't be written.
    pub(crate) fn write(&self, compiler: &str) -> Result<(), Box<dyn Error>> {
        let mut text = format!("{HEAD}compiler: {compiler}\n");
        for case in crate::CASES {
            if let Some((name, counted)) = self.figures.iter().find(|(name, _)| name == case.name) {
                let Counted {
                    instructions,
                    allocations,
                } = counted;
                writeln!(text, "{name:40} {instructions:>9.1} {allocations:>6.2}")?;
            }
        }
        fs::write(FILE, text)?;
        Ok(())
    }
}

/// A line for people.
pub(crate) fn line(name: &str, counted: Counted, verdict: Verdict) -> String {
    let compared = match verdict {
        Verdict::Same(percent) => format!("{percent:>+6.1} %"),
        Verdict::Costlier(percent) => format!("{percent:>+6.1} %  COSTLIER"),
        Verdict::Cheaper(percent) => format!("{percent:>+6.1} %  cheaper, to be accepted"),
        Verdict::New => String::new(),
    };
    let Counted {
        instructions,
        allocations,
    } = counted;
    format!("{name:40} {instructions:>9.1} {allocations:>6.2}  {compared}")
}

/// The compiler that builds this, with its target.
///
/// # Errors
/// When there is no rustc to ask.
pub(crate) fn compiler() -> Result<String, Box<dyn Error>> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let release = field("release: ").ok_or("rustc does not say its release")?;
    let host = field("host: ").ok_or("rustc does not say its host")?;
    Ok(format!("rustc {release} {host}"))
}
