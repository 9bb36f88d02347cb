//! The payload of the native hosts: raw JSON text, shared, and parsed only by its reader.

// With their paths, because a benchmark includes this file by its path.
#[path = "json/nesting.rs"]
mod nesting;
#[path = "json/patch.rs"]
mod patch;
#[path = "json/scan.rs"]
mod scan;

use std::fmt;
use std::sync::OnceLock;

use bytes::Bytes;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;
use serde_json::value::RawValue;
use tidegate_core::limits::NESTING_MAX;
use tidegate_core::payload::Payload;

pub(crate) use nesting::is_deeper_than;

/// A JSON value, as the text that its publisher wrote, on one line.
///
/// Cloning shares the text. Its encoded frames are kept with it, so that a publication is encoded once, whatever the
/// number of its subscribers.
pub struct Json {
    text: Bytes,
    pub(crate) message: OnceLock<crate::encode::Message>,
}

/// A text that is not JSON, or not JSON that may be published.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub struct JsonError(#[from] Fault);

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("not JSON: {0}")]
    Text(#[from] serde_json::Error),
    #[error("nested more than {NESTING_MAX} deep; what is published may not be")]
    Nesting,
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.into())
    }
}

impl Json {
    /// Takes a text, after checking that it is one JSON value and not nested deeper than [`NESTING_MAX`].
    ///
    /// # Errors
    /// What is wrong with the text, with line and column.
    pub fn from_text(text: impl Into<String>) -> Result<Self, JsonError> {
        Self::from_stored(text)?.nested_within_limit()
    }

    /// The JSON form of a value.
    ///
    /// # Errors
    /// If the value can't be represented as JSON (a map with keys that are not strings, say), or is nested deeper than
    /// [`NESTING_MAX`].
    pub fn from_value(value: &impl Serialize) -> Result<Self, JsonError> {
        // A `RawValue` within the value is written verbatim, with its line breaks.
        Self::trusted(on_one_line(serde_json::to_vec(value)?)).nested_within_limit()
    }

    /// Takes a text that is already published, however deep it is nested.
    pub(crate) fn from_stored(text: impl Into<String>) -> Result<Self, JsonError> {
        let raw = RawValue::from_string(text.into())?;
        Ok(Self::from_raw(&raw))
    }

    /// Checks that this may be published: that it is not nested too deeply.
    pub(crate) fn nested_within_limit(self) -> Result<Self, JsonError> {
        if is_deeper_than(self.as_str(), NESTING_MAX) {
            return Err(Fault::Nesting.into());
        }
        Ok(self)
    }

    /// JSON's `null`.
    pub(crate) fn null() -> Self {
        Self::trusted(b"null".to_vec())
    }

    pub(crate) fn from_raw(raw: &RawValue) -> Self {
        Self::trusted(on_one_line(raw.get().trim().into()))
    }

    /// Takes what is known to be JSON, on one line, without whitespace around it.
    fn trusted(text: Vec<u8>) -> Self {
        Self {
            text: Bytes::from(text),
            message: OnceLock::new(),
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.text).expect("made from a str or by serde_json")
    }

    /// Parses the text.
    ///
    /// # Errors
    /// If the value can't be parsed as `T`.
    pub fn parse<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        Ok(serde_json::from_slice(&self.text)?)
    }

    /// The parsed value; `None` if it is nested too deeply for the parser.
    fn value(&self) -> Option<Value> {
        serde_json::from_slice(&self.text).ok()
    }
}

/// Removes line breaks between tokens (a string in JSON contains none). So a message is one line, as Server-Sent Events
/// need.
fn on_one_line(mut text: Vec<u8>) -> Vec<u8> {
    // Most texts have none, and looking for one byte is far cheaper than a pass over all.
    if text.contains(&b'\n') || text.contains(&b'\r') {
        text.retain(|byte| !matches!(byte, b'\n' | b'\r'));
    }
    text
}

impl Clone for Json {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            message: OnceLock::new(),
        }
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for Json {}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Json").field(&self.as_str()).finish()
    }
}

impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw: &RawValue =
            serde_json::from_slice(&self.text).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self::from_raw(&Box::<RawValue>::deserialize(deserializer)?))
    }
}

impl Payload for Json {
    fn merge(&self, newer: &Self) -> Self {
        let (Some(mut merged), Some(patch)) = (self.value(), newer.value()) else {
            return newer.clone();
        };
        merge(&mut merged, patch);
        Self::trusted(merged.to_string().into_bytes())
    }

    fn sum(&self, newer: &Self) -> Self {
        let (Some(mut total), Some(more)) = (self.value(), newer.value()) else {
            return newer.clone();
        };
        add(&mut total, more);
        Self::trusted(total.to_string().into_bytes())
    }

    fn diff(&self, newer: &Self) -> Option<Self> {
        let patch = patch::diff(self.as_str(), newer.as_str())?;
        Some(Self::trusted(patch.into_bytes()))
    }

    fn patched(&self, patch: &Self) -> Option<Self> {
        let value = patch::patched(self.as_str(), patch.as_str())?;
        Some(Self::trusted(value.into_bytes()))
    }

    fn text_field(&self, field: &str) -> Option<String> {
        // Most payloads lack the member: looking for its name is far cheaper than parsing.
        if !self.as_str().contains(field) {
            return None;
        }
        serde_json::Deserializer::from_slice(&self.text)
            .deserialize_map(TextField(field))
            .ok()
            .flatten()
    }

    fn size(&self) -> usize {
        self.text.len()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

/// RFC 7396, except that a `null` member stays: it must still remove the member further down.
fn merge(older: &mut Value, newer: Value) {
    match (older, newer) {
        (Value::Object(older), Value::Object(newer)) => {
            for (name, value) in newer {
                merge(older.entry(name).or_insert(Value::Null), value);
            }
        }
        (older, newer) => *older = newer,
    }
}

fn add(older: &mut Value, newer: Value) {
    match (older, newer) {
        (Value::Object(older), Value::Object(newer)) => {
            for (name, value) in newer {
                match older.get_mut(&name) {
                    Some(known) => add(known, value),
                    None => {
                        older.insert(name, value);
                    }
                }
            }
        }
        (older, newer) => *older = sum_of_numbers(older, &newer).unwrap_or(newer),
    }
}

/// Adds whole numbers exactly. If they overflow, or either has a fraction, adds them as floating-point numbers.
fn sum_of_numbers(older: &Value, newer: &Value) -> Option<Value> {
    if let (Some(older), Some(newer)) = (older.as_i64(), newer.as_i64())
        && let Some(sum) = older.checked_add(newer)
    {
        return Some(sum.into());
    }
    Some((older.as_f64()? + newer.as_f64()?).into())
}

/// Finds a top-level member that is a string, without building the rest.
struct TextField<'a>(&'a str);

impl<'de> Visitor<'de> for TextField<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = map.next_key::<std::borrow::Cow<'_, str>>()? {
            if name == self.0 {
                found = map.next_value::<Value>()?.as_str().map(str::to_owned);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Json {
        Json::from_text(text).expect("the test's own JSON")
    }

    #[test]
    fn line_breaks_between_tokens_go_and_strings_stay() {
        assert_eq!(
            json("{\r\n  \"a\": \"x\\ny\"\n}").as_str(),
            "{  \"a\": \"x\\ny\"}"
        );
    }

    #[test]
    fn line_breaks_of_raw_json_within_a_value_go() {
        let raw = "{\r\n\"a\": 1,\n\n\"b\": \"x\\ny\"\r}".to_owned();
        let raw = RawValue::from_string(raw).expect("the test's own JSON");
        let rest = r#"{"a": 1,"b": "x\ny"}"#;
        assert_eq!(Json::from_value(&raw).unwrap().as_str(), rest);
        let within = Json::from_value(&[&raw, &raw]).unwrap();
        assert_eq!(within.as_str(), format!("[{rest},{rest}]"));
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in ["", "{", "{} {}", "nul", "\"\n\""] {
            assert!(Json::from_text(text).is_err(), "{text:?}");
        }
    }

    fn nested(depth: usize) -> String {
        format!("{}1{}", "[".repeat(depth), "]".repeat(depth))
    }

    #[test]
    fn what_is_nested_too_deeply_is_not_taken_to_be_published_and_can_be_read() {
        assert!(Json::from_text(nested(NESTING_MAX)).is_ok());
        let error = Json::from_text(nested(NESTING_MAX + 1)).unwrap_err();
        assert!(error.to_string().contains("nested more than 100 deep"));
        let deep = Json::from_stored(nested(NESTING_MAX + 1)).unwrap();
        assert!(Json::from_value(&deep).is_err());
        assert!(Json::from_value(&Json::from_text(nested(NESTING_MAX)).unwrap()).is_ok());
    }

    #[test]
    fn a_merge_of_patches_keeps_null() {
        let merged = json(r#"{"a":1,"b":{"c":1}}"#).merge(&json(r#"{"a":null,"b":{"d":2}}"#));
        assert_eq!(merged, json(r#"{"a":null,"b":{"c":1,"d":2}}"#));
    }

    #[test]
    fn what_is_nested_too_deeply_to_be_merged_takes_the_place_of_the_older() {
        let deep = Json::from_stored(nested(200)).unwrap();
        let flat = json(r#"{"a":1}"#);
        for (older, newer) in [(&flat, &deep), (&deep, &flat), (&deep, &deep)] {
            assert_eq!(older.merge(newer), *newer);
            assert_eq!(older.sum(newer), *newer);
        }
    }

    #[test]
    fn numbers_add_up_field_by_field() {
        let sum = json(r#"{"n":1,"o":{"x":0.5},"t":"old"}"#)
            .sum(&json(r#"{"n":2,"o":{"x":1,"y":3},"t":"new"}"#));
        assert_eq!(sum, json(r#"{"n":3,"o":{"x":1.5,"y":3},"t":"new"}"#));
        let overflowing = json("9223372036854775807").sum(&json("1"));
        assert_eq!(overflowing.parse::<f64>().unwrap(), 2_f64.powi(63));
    }

    #[test]
    fn a_text_field_is_found_at_the_top_level_only() {
        assert_eq!(
            json(r#"{"a":{"status":"no"},"status":"done"}"#)
                .text_field("status")
                .as_deref(),
            Some("done")
        );
        assert_eq!(json(r#"{"a":{"status":"no"}}"#).text_field("status"), None);
        assert_eq!(json(r#"{"status":5}"#).text_field("status"), None);
        assert_eq!(json(r#"["status"]"#).text_field("status"), None);
    }
}
