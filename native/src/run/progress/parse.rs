//! The progress figure in one line of text, and how surely it is one.

use super::Reading;
use super::quantity::{Quantity, quantity};

/// A reading and how surely it is progress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) reading: Reading,
    pub(super) strength: Strength,
}

/// How surely a figure means progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strength {
    /// A plain `12/340`, which may mean something else.
    Weak,
    /// A percentage, or a count that is set off as such.
    Strong,
}

/// Words before a number that mark it as a count.
const COUNTING_WORDS: [&[u8]; 14] = [
    b"batch",
    b"chunk",
    b"epoch",
    b"file",
    b"item",
    b"iteration",
    b"layer",
    b"page",
    b"part",
    b"phase",
    b"stage",
    b"step",
    b"task",
    b"test",
];

/// A percentage and a count that differ by no more than this mean the same, because printed percentages are rounded.
const AGREEMENT: f64 = 0.011;

/// The progress in `line`. If the line isn't `finished`, its last number may yet get more digits, so it isn't read.
pub(super) fn line(line: &[u8], finished: bool) -> Option<Found> {
    if let Some(fraction) = percentage(line) {
        let agreeing = counts(line, finished)
            .find(|count| (count.reading.fraction - fraction).abs() <= AGREEMENT);
        let reading = match agreeing {
            Some(count) => Reading {
                fraction: if count.exact {
                    count.reading.fraction
                } else {
                    fraction
                },
                ..count.reading
            },
            None => plain(fraction),
        };
        return Some(Found {
            reading,
            strength: Strength::Strong,
        });
    }
    if let Some(fraction) = transfer_table(line) {
        return Some(Found {
            reading: plain(fraction),
            strength: Strength::Strong,
        });
    }
    let mut first = None;
    for count in counts(line, finished) {
        let found = Found {
            reading: count.reading,
            strength: count.strength,
        };
        if found.strength == Strength::Strong {
            return Some(found);
        }
        first = first.or(Some(found));
    }
    first
}

fn plain(fraction: f64) -> Reading {
    Reading {
        fraction,
        done: None,
        total: None,
    }
}

/// The first percentage from 0 to 100 in the line, as a fraction.
fn percentage(line: &[u8]) -> Option<f64> {
    (0..line.len())
        .filter(|&at| line[at] == b'%')
        .find_map(|sign| percentage_before(line, sign))
}

fn percentage_before(line: &[u8], sign: usize) -> Option<f64> {
    // `%20` in an address, `%d` in a format, `%%`.
    if line
        .get(sign + 1)
        .is_some_and(|next| next.is_ascii_alphanumeric() || matches!(next, b'_' | b'%'))
    {
        return None;
    }
    let end = sign - usize::from(sign > 0 && line[sign - 1] == b' ');
    let run = line[..end]
        .iter()
        .rev()
        .take_while(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b','))
        .count();
    // Dots before the number are a drawn line, as in `Reading...37%`.
    let dots = line[end - run..end]
        .iter()
        .take_while(|byte| !byte.is_ascii_digit())
        .count();
    let start = end - run + dots;
    if let Some(before) = start.checked_sub(1).map(|at| line[at])
        && (before.is_ascii_alphanumeric()
            || matches!(
                before,
                b'_' | b'/' | b'\\' | b'-' | b'+' | b'$' | b'%' | b'@' | b'&'
            ))
    {
        return None;
    }
    let text = std::str::from_utf8(&line[start..end]).ok()?;
    let (whole, decimals) = text.split_once(['.', ',']).unwrap_or((text, "0"));
    let digits = |text: &str, most| {
        (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !digits(whole, 3) || !digits(decimals, 6) {
        return None;
    }
    let percent: f64 = format!("{whole}.{decimals}").parse().ok()?;
    (percent <= 100.0).then_some(percent / 100.0)
}

/// A count of something done out of something.
struct Count {
    reading: Reading,
    strength: Strength,
    /// Whether both numbers are exact, so that their ratio is more precise than a percentage.
    exact: bool,
}

/// All counts of the line, from left to right.
fn counts(line: &[u8], finished: bool) -> impl Iterator<Item = Count> {
    let starts = (0..line.len()).filter(move |&at| {
        line[at].is_ascii_digit() && (at == 0 || may_precede_count(line[at - 1]))
    });
    starts.filter_map(move |start| count(line, start, finished))
}

/// What may stand right before a count. Letters, dots, slashes and the like make it a part of
/// something else: a path, a version, a date, an address.
fn may_precede_count(byte: u8) -> bool {
    byte == b' '
        || matches!(
            byte,
            b'[' | b'(' | b'{' | b'<' | b'|' | b'>' | b']' | b')' | b'*'
        )
        || !byte.is_ascii()
}

fn count(line: &[u8], start: usize, finished: bool) -> Option<Count> {
    let done = quantity(line, start)?;
    let second = separator(line, done.end)?;
    let total = quantity(line, second)?;
    if !ends_count(line, total.end, finished) {
        return None;
    }
    let unit = total.unit;
    let has_decimals = !(done.whole && total.whole);
    // A unit only before the slash, or decimals without any unit, mean a rate, a mark or a load.
    if (done.unit.is_some() || has_decimals) && unit.is_none() {
        return None;
    }
    let reading = ratio(&done, &total)?;
    let strength = strength(line, start, total.end);
    let (left, right) = (&line[start..done.end], &line[total.end..]);
    let is_date = (total.number <= 31.0 && followed_by_time(right))
        || (strength == Strength::Weak && left.len() == 2 && left.starts_with(b"0"));
    (!is_date).then_some(Count {
        reading,
        strength,
        exact: unit.is_none(),
    })
}

fn ratio(done: &Quantity, total: &Quantity) -> Option<Reading> {
    let (done, total) = (
        done.amount(done.unit.or(total.unit)),
        total.amount(total.unit),
    );
    (total > 0 && done <= total).then(|| Reading {
        fraction: done as f64 / total as f64,
        done: Some(done),
        total: Some(total),
    })
}

/// Where the second number starts, if the first, which ends at `at`, is followed by `/` or `of`.
fn separator(line: &[u8], at: usize) -> Option<usize> {
    let rest = &line[at..];
    let separators: [&[u8]; 4] = [b" out of ", b" of ", b" / ", b"/"];
    separators
        .iter()
        .find(|separator| rest.starts_with(separator))
        .map(|separator| at + separator.len())
}

/// Whether a count may end at `at`.
fn ends_count(line: &[u8], at: usize, finished: bool) -> bool {
    match line.get(at..) {
        None | Some([]) => finished,
        Some(
            [
                b' ' | b']' | b')' | b'}' | b'>' | b'|' | b';' | b'!' | b'"' | b'\'',
                ..,
            ],
        ) => true,
        // Punctuation, unless it goes on as a number: 1/2.5, 1/2,5, 1/2:30.
        Some([b'.' | b',' | b':', rest @ ..]) => match rest.first() {
            None => finished,
            Some(next) => !next.is_ascii_alphanumeric(),
        },
        Some([next, ..]) => !next.is_ascii(),
    }
}

fn strength(line: &[u8], start: usize, end: usize) -> Strength {
    let before = line[..start].trim_ascii_end();
    let spaced = before.len() < start;
    let opened = matches!(before.last(), Some(b'[' | b'(' | b'{'));
    let closed = matches!(
        line[end..].trim_ascii_start().first(),
        Some(b']' | b')' | b'}')
    );
    let directly = !spaced || closed;
    let after_bar = matches!(before.last(), Some(b']' | b'|' | b'>'));
    let word = before
        .rsplit(|byte| !byte.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    let counting = spaced
        && COUNTING_WORDS
            .iter()
            .any(|counting| word.eq_ignore_ascii_case(counting));
    if (opened && directly) || after_bar || counting {
        Strength::Strong
    } else {
        Strength::Weak
    }
}

/// Whether a time of day comes next, as after the date in `11/21 10:05:33`.
fn followed_by_time(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    let hour = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=2).contains(&hour)
        && rest.get(hour) == Some(&b':')
        && rest.get(hour + 1).is_some_and(u8::is_ascii_digit)
}

/// The first column of the transfer table that curl draws: twelve columns, of which the first,
/// third and fifth are percentages without a sign and three are times.
fn transfer_table(line: &[u8]) -> Option<f64> {
    if !line.trim_ascii_start().first()?.is_ascii_digit() {
        return None;
    }
    let mut columns: [&[u8]; 12] = [b""; 12];
    let mut count = 0;
    for column in line
        .split(|&byte| byte == b' ')
        .filter(|part| !part.is_empty())
    {
        *columns.get_mut(count)? = column;
        count += 1;
    }
    let percent = |column: &[u8]| {
        let percent: u8 = std::str::from_utf8(column).ok()?.parse().ok()?;
        (percent <= 100).then_some(percent)
    };
    let is_time = |column: &[u8]| column.iter().filter(|&&byte| byte == b':').count() == 2;
    let is_table = count == 12
        && columns[8..11].iter().all(|column| is_time(column))
        && percent(columns[2]).is_some()
        && percent(columns[4]).is_some()
        // The total size is unknown, so the percentages mean nothing.
        && columns[1] != b"0";
    is_table
        .then(|| percent(columns[0]))
        .flatten()
        .map(|percent| f64::from(percent) / 100.0)
}
