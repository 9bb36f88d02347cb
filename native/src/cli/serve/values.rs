//! Types of values for settings, besides texts and numbers.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::time::Duration;

use tidegate::core::history::HistoryLimits;
use tidegate::core::topic::Pattern;
use tidegate::duration::parse_duration_ms;

/// A number of bytes: `1048576`, `64KiB`, `1MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bytes(pub(super) usize);

const UNITS: [(&str, usize); 3] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let unit = UNITS
            .iter()
            .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)));
        let (number, factor) = unit.unwrap_or((text, 1));
        let number: Option<usize> = number.trim_end().parse().ok();
        number
            .and_then(|number| number.checked_mul(factor))
            .map(Self)
            .ok_or_else(|| "expected a number of bytes, such as 65536, 64KiB or 1MiB".to_owned())
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |factor: usize| self.0 > 0 && self.0.is_multiple_of(factor);
        match UNITS.iter().find(|(_, factor)| whole(*factor)) {
            Some((unit, factor)) => write!(f, "{}{unit}", self.0 / factor),
            None => write!(f, "{}", self.0),
        }
    }
}

/// A value, or `off` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OrOff<T>(pub(super) Option<T>);

impl<T: FromStr<Err: fmt::Display>> FromStr for OrOff<T> {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let value = text.parse();
        value
            .map(|value| Self(Some(value)))
            .map_err(|error: T::Err| format!("{error}; or off"))
    }
}

/// A time above zero.
pub(in crate::cli) fn time(text: &str) -> Result<Duration, String> {
    let millis = parse_duration_ms(text).filter(|millis| *millis > 0);
    millis
        .map(Duration::from_millis)
        .ok_or_else(|| "expected a time above zero, such as 500ms, 10s or 5m".to_owned())
}

/// How many threads: a number, or one for each processor.
pub(super) fn shards(text: &str) -> Result<NonZeroUsize, String> {
    if text == "auto" {
        // If the system doesn't report how many there are, one.
        return Ok(std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN));
    }
    let number = text.parse();
    number.map_err(|_| "expected a number of threads from 1 on, or auto".to_owned())
}

/// The finest pace of some topics.
pub(super) fn floor(text: &str) -> Result<(Pattern, Duration), String> {
    let (pattern, every) = text
        .rsplit_once('=')
        .ok_or("expected a pattern and a time, such as job:**=100ms")?;
    let pattern = Pattern::new(pattern).map_err(|error| error.to_string())?;
    let every = time(every)
        .map_err(|_| "expected a time such as 100ms or 1s after the last =".to_owned())?;
    Ok((pattern, every))
}

/// How much of some topics is kept: publications, perhaps a time, perhaps bytes.
pub(super) fn history_of(text: &str) -> Result<(Pattern, HistoryLimits), String> {
    let (pattern, limits) = text
        .rsplit_once('=')
        .ok_or("expected a pattern and what is kept, such as user:*=1000,7d")?;
    let pattern = Pattern::new(pattern).map_err(|error| error.to_string())?;
    let mut parts = limits.split(',');
    let count = parts.next().and_then(|count| count.parse().ok());
    let count_max = count
        .filter(|count: &usize| *count > 0)
        .ok_or("expected a number of publications after the last =, such as 1000")?;
    let mut limits = HistoryLimits {
        count_max,
        ..HistoryLimits::default()
    };
    if let Some(age) = parts.next() {
        limits.age_max = time(age)?;
    }
    if let Some(bytes) = parts.next() {
        limits.bytes_max = bytes.parse::<Bytes>()?.0;
    }
    match parts.next() {
        None => Ok((pattern, limits)),
        Some(_) => {
            Err("expected publications, a time and bytes, such as user:*=1000,7d,8MiB".to_owned())
        }
    }
}

/// A browser's `Origin` has a scheme, a host, perhaps a port, and nothing else.
pub(super) fn origin(text: &str) -> Result<String, String> {
    let rest = text
        .strip_prefix("https://")
        .or_else(|| text.strip_prefix("http://"));
    if rest.is_none_or(|host| host.is_empty() || host.contains(['/', ' ', '*'])) {
        return Err("expected a scheme and a host, such as https://app.example".to_owned());
    }
    Ok(text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_topics_keep_something_else() {
        let (pattern, limits) = history_of("user:*=1000,7d,8MiB").unwrap();
        assert_eq!(pattern.as_str(), "user:*");
        assert_eq!(limits.count_max, 1000);
        assert_eq!(limits.age_max, Duration::from_secs(7 * 24 * 3600));
        assert_eq!(limits.bytes_max, 8 << 20);
        for wrong in [
            "",
            "64",
            "user:*=",
            "user:*=0",
            "user:*=1,x",
            "u::=1",
            "a=1,1d,1,1",
        ] {
            assert!(history_of(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_have_units_and_are_shown_with_them() {
        for (text, bytes) in [
            ("0", 0),
            ("1000", 1000),
            ("64KiB", 65_536),
            ("1 MiB", 1 << 20),
            ("3GiB", 3 << 30),
        ] {
            let parsed: Bytes = text.parse().unwrap();
            assert_eq!(parsed.0, bytes, "{text}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "{text}");
        }
        for text in ["", "KiB", "-1", "1.5MiB", "1MB", "99999999999GiB"] {
            assert!(text.parse::<Bytes>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_off_has_no_value() {
        assert_eq!("off".parse(), Ok(OrOff::<Bytes>(None)));
        assert_eq!("1KiB".parse(), Ok(OrOff(Some(Bytes(1024)))));
        assert!("on".parse::<OrOff<Bytes>>().is_err());
    }

    #[test]
    fn times_are_above_zero() {
        assert_eq!(time("1.5s"), Ok(Duration::from_millis(1500)));
        assert!(time("0").is_err());
        assert!(time("soon").is_err());
    }
}
