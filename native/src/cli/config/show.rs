//! Shows configurations: as a table of what applies and why, and as a file that explains each setting.

use std::borrow::Cow;
use std::ffi::OsString;
use std::io::{self, Write};

use super::layers::{Chosen, InForce, Source};
use super::options::{Kind, Setting};
use crate::cli::place::shown_address;

/// Shown in place of a secret.
const HIDDEN: &str = "(hidden)";

/// What a printed file begins with.
const PREAMBLE: &str = "\
# A server's configuration: tidegate serve --config FILE, or TIDEGATE_CONFIG=FILE.
#
# Flags override variables, and variables override this file. Each setting has one name: publish_rate here is
# --publish-rate and TIDEGATE_PUBLISH_RATE. Lines that are commented out show the defaults; an empty text counts as not
# set. Write times as 500ms, 10s, 5m or 1h, and bytes as 65536, 64KiB, 1MiB or 1GiB. To check this file, run
# tidegate config check FILE.
";

/// The width of a printed file, in characters.
const LINE_CHARS: usize = 100;

/// A line for each setting: its value, and where that comes from.
pub(super) fn as_table(in_force: &InForce, out: &mut impl Write) -> io::Result<()> {
    let rows: Vec<(String, &Source)> = in_force
        .chosen
        .iter()
        .map(|chosen| (row(chosen), &chosen.source))
        .collect();
    let width = rows
        .iter()
        .map(|(row, _)| row.chars().count())
        .max()
        .unwrap_or_default();
    for (row, source) in rows {
        writeln!(out, "{row:width$}  # {source}")?;
    }
    Ok(())
}

fn row(chosen: &Chosen) -> String {
    format!("{} = {}", chosen.setting.name, value(chosen))
}

/// A configuration file. Settings with their default are commented out; secrets and passwords are left out.
pub(super) fn as_file(in_force: &InForce, out: &mut impl Write) -> io::Result<()> {
    out.write_all(PREAMBLE.as_bytes())?;
    let mut heading = None;
    for chosen in &in_force.chosen {
        if heading != Some(&chosen.setting.heading) {
            heading = Some(&chosen.setting.heading);
            let title = chosen.setting.heading.as_deref().unwrap_or("Server");
            writeln!(out, "\n## {title}")?;
        }
        writeln!(out)?;
        for line in wrapped(&chosen.setting.meaning) {
            writeln!(out, "# {line}")?;
        }
        let is_left_out = chosen.source == Source::Default || chosen.setting.kind == Kind::Secret;
        let mark = if is_left_out { "# " } else { "" };
        writeln!(out, "{mark}{}", row(chosen))?;
    }
    Ok(())
}

fn value(
    Chosen {
        setting, values, ..
    }: &Chosen,
) -> String {
    if setting.kind == Kind::Secret {
        return quoted(if values.is_empty() { "" } else { HIDDEN });
    }
    let texts: Vec<String> = if values.is_empty() {
        setting.defaults.iter().map(|text| literal(text)).collect()
    } else {
        let texts = values.iter().map(|value| shown(setting, value));
        texts.map(|text| literal(&text)).collect()
    };
    match texts.as_slice() {
        _ if setting.is_list => format!("[{}]", texts.join(", ")),
        [text] => text.clone(),
        _ => quoted(""),
    }
}

fn shown<'a>(setting: &Setting, value: &'a OsString) -> Cow<'a, str> {
    let text = value.to_string_lossy();
    if setting.kind == Kind::Address {
        return shown_address(&text).into();
    }
    text
}

/// A value in TOML, in which a number has no redundant sign and no leading zeros.
fn literal(text: &str) -> String {
    let number = text.parse::<u64>();
    let is_number = number.is_ok_and(|number| number.to_string() == text);
    let is_bare = is_number || text.parse::<bool>().is_ok();
    if is_bare {
        text.to_owned()
    } else {
        quoted(text)
    }
}

/// A string in quotes. JSON's escapes are valid in TOML, too.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn wrapped(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last().map_or(0, |line| line.chars().count());
        if line > 0 && line + 1 + word.chars().count() > LINE_CHARS {
            lines.push(String::new());
        }
        if let Some(line) = lines.last_mut() {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines
}
