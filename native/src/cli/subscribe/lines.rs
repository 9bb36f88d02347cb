//! Prints events as lines to standard output.

use std::io::{IsTerminal as _, Write};

use serde::Serialize;
use serde_json::json;
use tidegate::core::lifecycle::EndReason;
use tidegate::{Event, Json, Publication};

use crate::cli::say::say;
use crate::cli::terminal::has_colors;
use crate::cli::text::clean;

/// How events become lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Form {
    /// For people, and for programs that read text for people.
    Plain,
    /// For people at a terminal: texts of others are cleaned, so that the terminal can't take them for commands.
    Shown { has_colors: bool },
    /// One JSON object per event.
    Json,
}

impl Form {
    /// The form of lines on standard output for people to read.
    pub(in crate::cli) fn for_people() -> Self {
        let out = std::io::stdout();
        if !out.is_terminal() {
            return Self::Plain;
        }
        Self::Shown {
            has_colors: has_colors(&out),
        }
    }
}

/// Prints an event of the subscription to `pattern`.
pub(in crate::cli) fn print(event: &Event, pattern: &str, form: Form) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    match event {
        event if form == Form::Json => writeln!(out, "{}", as_json(event)?)?,
        Event::Publication(publication) => print_line(&mut out, publication, form)?,
        Event::Batch(publications) => {
            publications
                .iter()
                .try_for_each(|publication| print_line(&mut out, publication, form))?;
        }
        event => {
            if let Some(note) = note(event, pattern) {
                say(note);
            }
        }
    }
    out.flush()
}

/// A note about an event that is not a publication.
pub(super) fn note(event: &Event, pattern: &str) -> Option<String> {
    match event {
        Event::Reset { topic, .. } => Some(format!("{topic}: publications in between are lost")),
        Event::Lagged { missed } => Some(format!("too slow: {missed} publications were dropped")),
        Event::End { reason } => Some(format!("{pattern}: {reason}")),
        Event::Stale => Some("stale: the server, or its backend, can't be reached".to_owned()),
        Event::Live => Some("live again".to_owned()),
        Event::Publication(_) | Event::Batch(_) | Event::Refused(_) => None,
    }
}

fn print_line(out: &mut impl Write, publication: &Publication, form: Form) -> std::io::Result<()> {
    let (topic, payload) = (publication.topic.as_str(), publication.payload.as_str());
    let offset = publication.position.offset;
    let Form::Shown { has_colors } = form else {
        return writeln!(out, "{topic} #{offset} {payload}");
    };
    let (topic, payload) = (clean(topic), clean(payload));
    let (dim, usual) = if has_colors {
        ("\x1b[2m", "\x1b[0m")
    } else {
        ("", "")
    };
    writeln!(out, "{topic} {dim}#{offset}{usual} {payload}")
}

/// A publication as JSON. Its data stays the original text, because JSON can express more than this program's types for numbers and
/// strings.
#[derive(Serialize)]
struct Line<'a> {
    topic: &'a str,
    epoch: u64,
    offset: u64,
    end: Option<EndReason>,
    data: &'a Json,
}

impl<'a> Line<'a> {
    fn of(publication: &'a Publication) -> Self {
        Self {
            topic: publication.topic.as_str(),
            epoch: publication.position.epoch,
            offset: publication.position.offset,
            end: publication.end,
            data: &publication.payload,
        }
    }
}

fn as_json(event: &Event) -> serde_json::Result<String> {
    let lines = |publications: &[Publication]| -> serde_json::Result<String> {
        let lines: Vec<_> = publications.iter().map(Line::of).collect();
        Ok(format!(r#"{{"batch":{}}}"#, serde_json::to_string(&lines)?))
    };
    let note = match event {
        Event::Publication(item) => return serde_json::to_string(&Line::of(item)),
        Event::Batch(items) => return lines(items),
        Event::Reset { topic, position } => {
            json!({"reset": topic, "epoch": position.epoch, "offset": position.offset})
        }
        Event::Lagged { missed } => json!({"lagged": missed}),
        Event::End { reason } => json!({"end": reason}),
        Event::Stale => json!({"stale": true}),
        Event::Live => json!({"stale": false}),
        Event::Refused(error) => json!({"error": {"code": error.code, "message": error.message}}),
    };
    Ok(note.to_string())
}
