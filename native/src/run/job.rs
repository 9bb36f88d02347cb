//! Which command to run, and the name that the job goes by.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::hash::{BuildHasher as _, RandomState};
use std::path::Path;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

/// The longest job id, in bytes: what the longest topic leaves after `job:`.
const ID_BYTES_MAX: usize = 255 - "job:".len();

/// The most bytes of the command's name in a generated id.
const ID_STEM_BYTES_MAX: usize = 40;

/// The digits of an id's suffix: few enough to read out, enough not to collide by chance.
const ID_SUFFIX_DIGITS: usize = 6;

/// The longest [name](JobSpec::name) of a job, in characters.
pub const NAME_CHARS_MAX: usize = 120;

/// What is wrong with a job as asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum JobSpecError {
    /// There is no command.
    #[error("no command to run; write it after `--`, as in `tidegate run -- make -j8`")]
    NoCommand,
    /// The id is empty or too long.
    #[error("a job id has 1 to {ID_BYTES_MAX} bytes, this one has {bytes}")]
    IdLength {
        /// Its length.
        bytes: usize,
    },
    /// The id can't be a segment of a topic.
    #[error(
        "job id {id:?} has {found:?} at byte {at}; colons, `*`, spaces and control characters can't be in it"
    )]
    IdCharacter {
        /// The id as given.
        id: String,
        /// The character.
        found: char,
        /// Where it stands.
        at: usize,
    },
}

/// The id of a job: a single segment of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(String);

impl JobId {
    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A new id that starts with the name of `program`, so that a person recognises it.
    #[must_use]
    pub fn for_program(program: &OsStr) -> Self {
        let name = Path::new(program).file_name().unwrap_or(program);
        let stem: String = name
            .to_string_lossy()
            .chars()
            .map(|char| match char {
                'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' | '-' => char,
                _ => '-',
            })
            .take(ID_STEM_BYTES_MAX)
            .collect();
        let stem = stem.trim_matches(['-', '.']);
        let stem = if stem.is_empty() { "job" } else { stem };
        let mut suffix = String::new();
        // The keys of the standard library's hasher are random; hashing the time in addition makes sure.
        let mut rest =
            RandomState::new().hash_one(SystemTime::now().duration_since(UNIX_EPOCH).ok());
        for _ in 0..ID_SUFFIX_DIGITS {
            suffix.extend(char::from_digit((rest % 36) as u32, 36));
            rest /= 36;
        }
        Self(format!("{stem}-{suffix}"))
    }
}

impl FromStr for JobId {
    type Err = JobSpecError;

    fn from_str(id: &str) -> Result<Self, JobSpecError> {
        if !(1..=ID_BYTES_MAX).contains(&id.len()) {
            return Err(JobSpecError::IdLength { bytes: id.len() });
        }
        let forbidden =
            |char: char| matches!(char, ':' | '*') || char.is_control() || char.is_whitespace();
        match id.char_indices().find(|&(_, char)| forbidden(char)) {
            Some((at, found)) => Err(JobSpecError::IdCharacter {
                id: id.to_owned(),
                found,
                at,
            }),
            None => Ok(Self(id.to_owned())),
        }
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A command to run as a job.
#[derive(Clone, Debug)]
pub struct JobSpec {
    id: JobId,
    program: OsString,
    args: Vec<OsString>,
}

impl JobSpec {
    /// The job that runs `command`, a program and its arguments; without an `id` one is
    /// [made up](JobId::for_program).
    ///
    /// # Errors
    /// [`JobSpecError::NoCommand`] if `command` is empty.
    pub fn new(id: Option<JobId>, command: Vec<OsString>) -> Result<Self, JobSpecError> {
        let mut command = command.into_iter();
        let program = command.next().ok_or(JobSpecError::NoCommand)?;
        Ok(Self {
            id: id.unwrap_or_else(|| JobId::for_program(&program)),
            program,
            args: command.collect(),
        })
    }

    /// The job's id.
    #[must_use]
    pub fn id(&self) -> &JobId {
        &self.id
    }

    /// The program to run, looked up as a shell does.
    #[must_use]
    pub fn program(&self) -> &OsStr {
        &self.program
    }

    /// Its arguments.
    #[must_use]
    pub fn args(&self) -> &[OsString] {
        &self.args
    }

    /// The command line as a person would write it, at most [`NAME_CHARS_MAX`] characters of it.
    #[must_use]
    pub fn name(&self) -> String {
        let mut line = String::new();
        for word in std::iter::once(&self.program).chain(&self.args) {
            if !line.is_empty() {
                line.push(' ');
            }
            push_word(&mut line, &word.to_string_lossy());
        }
        match line.char_indices().nth(NAME_CHARS_MAX) {
            None => line,
            Some(_) => line.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect(),
        }
    }
}

/// Adds a word of a command line, quoted where a shell would split or expand it.
fn push_word(line: &mut String, word: &str) {
    let readable = word
        .chars()
        .map(|char| if char.is_control() { ' ' } else { char });
    let plain = |char: char| char.is_alphanumeric() || "_-./=:,+@%^".contains(char);
    if !word.is_empty() && word.chars().all(plain) {
        line.push_str(word);
        return;
    }
    line.push('\'');
    for char in readable {
        match char {
            '\'' => line.push_str("'\\''"),
            char => line.push(char),
        }
    }
    line.push('\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(words: &[&str]) -> JobSpec {
        JobSpec::new(None, words.iter().map(OsString::from).collect()).unwrap()
    }

    #[test]
    fn an_id_is_one_segment_of_a_topic() {
        for id in [
            "build-42",
            "a",
            "größe",
            "x.y_z~",
            &"x".repeat(ID_BYTES_MAX),
        ] {
            assert_eq!(id.parse::<JobId>().unwrap().as_str(), id);
        }
        for (id, found, at) in [
            ("a:b", ':', 1),
            ("*", '*', 0),
            ("é x", ' ', 2),
            ("a\n", '\n', 1),
        ] {
            let expected = JobSpecError::IdCharacter {
                id: id.to_owned(),
                found,
                at,
            };
            assert_eq!(id.parse::<JobId>(), Err(expected));
        }
        for id in ["", &"x".repeat(ID_BYTES_MAX + 1)] {
            assert_eq!(
                id.parse::<JobId>(),
                Err(JobSpecError::IdLength { bytes: id.len() })
            );
        }
    }

    #[test]
    fn an_id_made_up_shows_the_program_and_is_new_every_time() {
        for (program, stem) in [
            ("/usr/bin/make", "make-"),
            ("my tool:*", "my-tool-"),
            ("", "job-"),
            ("..", "job-"),
            ("größe", "gr--e-"),
        ] {
            let id = JobId::for_program(OsStr::new(program));
            assert!(id.as_str().starts_with(stem), "{id} for {program:?}");
            assert_eq!(id.as_str().parse::<JobId>().as_ref(), Ok(&id));
            assert_ne!(id, JobId::for_program(OsStr::new(program)));
        }
        let long = JobId::for_program(OsStr::new(&"x".repeat(1000)));
        assert_eq!(
            long.as_str().len(),
            ID_STEM_BYTES_MAX + 1 + ID_SUFFIX_DIGITS
        );
    }

    #[test]
    fn a_name_is_the_command_line_made_readable() {
        assert_eq!(spec(&["make", "-j8", "all"]).name(), "make -j8 all");
        assert_eq!(
            spec(&["sh", "-c", "echo it's\n"]).name(),
            r"sh -c 'echo it'\''s '"
        );
        assert_eq!(spec(&["x", ""]).name(), "x ''");
        let long = spec(&["x".repeat(500).as_str()]).name();
        assert_eq!(long.chars().count(), NAME_CHARS_MAX);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn no_command_is_an_error() {
        let error = JobSpec::new(None, Vec::new()).unwrap_err();
        assert_eq!(error, JobSpecError::NoCommand);
    }
}
