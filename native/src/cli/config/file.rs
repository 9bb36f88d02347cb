//! A configuration file: keys with values, and the place of each.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Location, Problem};

/// The content of a file, ordered by key.
pub(super) struct File {
    pub(super) entries: Vec<Entry>,
    /// What is not TOML, or not a value that a setting can have.
    pub(super) problems: Vec<Problem>,
}

/// A key and what it is set to.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) place: Location,
    /// As for flags: one text, or, for a list, one for each item.
    pub(super) values: Vec<(Location, String)>,
    pub(super) is_list: bool,
}

impl File {
    pub(super) fn read(path: &Path) -> Self {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(path, &text),
            Err(error) => Self {
                entries: Vec::new(),
                problems: vec![Problem::Unreadable {
                    path: path.display().to_string(),
                    error,
                }],
            },
        }
    }

    pub(super) fn parse(path: &Path, text: &str) -> Self {
        let text = Text {
            path: path.into(),
            text,
        };
        let (table, errors) = DeTable::parse_recoverable(text.text);
        let mut file = Self {
            entries: Vec::new(),
            problems: errors.iter().map(|error| text.syntax(error)).collect(),
        };
        // What follows a syntax error may be misread, so it is checked once the error is fixed.
        if file.problems.is_empty() {
            for (key, value) in table.get_ref().iter() {
                file.take(&text, key.span(), key.get_ref(), value);
            }
        }
        file
    }

    fn take(
        &mut self,
        text: &Text<'_>,
        key: Range<usize>,
        name: &str,
        value: &Spanned<DeValue<'_>>,
    ) {
        let array = value.get_ref().as_array();
        let values: &mut dyn Iterator<Item = &Spanned<DeValue<'_>>> = match array {
            Some(array) => &mut array.iter(),
            None => &mut std::iter::once(value),
        };
        let mut entry = Entry {
            name: name.to_owned(),
            place: text.place(key.start),
            values: Vec::new(),
            is_list: array.is_some(),
        };
        for value in values {
            let place = text.place(value.span().start);
            match scalar(value.get_ref()) {
                Some(value) => entry.values.push((place, value)),
                None => {
                    self.problems.push(Problem::WrongKind {
                        place,
                        name: entry.name,
                        expected: "a text, a number, true or false; settings have no tables",
                    });
                    return;
                }
            }
        }
        self.entries.push(entry);
    }
}

fn scalar(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.clone().into_owned()),
        DeValue::Integer(number) if number.radix() == 10 => Some(number.as_str().to_owned()),
        DeValue::Boolean(value) => Some(value.to_string()),
        DeValue::Integer(_)
        | DeValue::Float(_)
        | DeValue::Datetime(_)
        | DeValue::Array(_)
        | DeValue::Table(_) => None,
    }
}

struct Text<'a> {
    path: Arc<Path>,
    text: &'a str,
}

impl Text<'_> {
    fn place(&self, at: usize) -> Location {
        let before = self.text.get(..at).unwrap_or(self.text);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Location {
            path: Arc::clone(&self.path),
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }

    fn syntax(&self, error: &toml::de::Error) -> Problem {
        Problem::Syntax {
            place: self.place(error.span().map_or(0, |span| span.start)),
            reason: error.message().to_owned(),
        }
    }
}
