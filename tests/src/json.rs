//! JSON as a payload, with all operations that payloads may support.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use tidegate_core::payload::Payload;

/// A JSON value as a payload.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Json(pub Value);

impl Eq for Json {}

impl From<Value> for Json {
    fn from(value: Value) -> Self {
        Self(value)
    }
}

impl From<u64> for Json {
    fn from(number: u64) -> Self {
        Self(number.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

/// The report with this number of a piece of work. Most of it stays the same from one to the next, so that a delta is
/// shorter than the whole; some members come and go.
pub fn report(number: u64) -> Json {
    let mut value = serde_json::json!({ "n": number, "job": { "by": "ada", "step": number % 3 } });
    if number.is_multiple_of(2) {
        value["even"] = serde_json::json!({ "for": [number, null] });
    }
    if number.is_multiple_of(7) {
        value["job"]["note"] = Value::Null;
    }
    value.into()
}

impl Payload for Json {
    fn merge(&self, newer: &Self) -> Self {
        Self(merge(&self.0, &newer.0))
    }

    fn sum(&self, newer: &Self) -> Self {
        Self(sum(&self.0, &newer.0))
    }

    fn diff(&self, newer: &Self) -> Option<Self> {
        let patch = diff(self.0.as_object()?, newer.0.as_object()?)?;
        Some(Self(patch))
    }

    fn patched(&self, patch: &Self) -> Option<Self> {
        Some(Self(patched(&self.0, &patch.0)))
    }

    fn text_field(&self, field: &str) -> Option<String> {
        Some(self.0.as_object()?.get(field)?.as_str()?.to_owned())
    }

    fn size(&self) -> usize {
        self.0.to_string().len()
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

fn merge(older: &Value, newer: &Value) -> Value {
    let Value::Object(members) = newer else {
        return newer.clone();
    };
    let mut merged = older.as_object().cloned().unwrap_or_default();
    for (name, value) in members {
        let value = match merged.get(name) {
            Some(older) => merge(older, value),
            None => value.clone(),
        };
        merged.insert(name.clone(), value);
    }
    Value::Object(merged)
}

fn sum(older: &Value, newer: &Value) -> Value {
    match (older, newer) {
        (Value::Number(a), Value::Number(b)) => match (a.as_u64(), b.as_u64()) {
            (Some(a), Some(b)) => (a + b).into(),
            _ => newer.clone(),
        },
        (Value::Object(a), Value::Object(b)) => {
            let mut sums: Map<String, Value> = a.clone();
            for (name, value) in b {
                let value = match a.get(name) {
                    Some(older) => sum(older, value),
                    None => value.clone(),
                };
                sums.insert(name.clone(), value);
            }
            Value::Object(sums)
        }
        _ => newer.clone(),
    }
}

/// The merge patch between two objects; `None` if a member is `null`, which a patch can't set.
fn diff(older: &Map<String, Value>, newer: &Map<String, Value>) -> Option<Value> {
    let mut patch = Map::new();
    for (name, value) in newer {
        let change = match (older.get(name), value) {
            (Some(before), value) if before == value => continue,
            (Some(Value::Object(before)), Value::Object(value)) => diff(before, value)?,
            (_, value) => whole(value)?,
        };
        patch.insert(name.clone(), change);
    }
    for name in older.keys().filter(|name| !newer.contains_key(*name)) {
        patch.insert(name.clone(), Value::Null);
    }
    Some(Value::Object(patch))
}

/// A value that a patch can set as it is.
fn whole(value: &Value) -> Option<Value> {
    match value {
        Value::Null => None,
        Value::Object(members) => diff(&Map::new(), members),
        value => Some(value.clone()),
    }
}

/// RFC 7396.
fn patched(base: &Value, patch: &Value) -> Value {
    let Value::Object(changes) = patch else {
        return patch.clone();
    };
    let mut members = base.as_object().cloned().unwrap_or_default();
    for (name, change) in changes {
        if change.is_null() {
            members.remove(name);
        } else {
            let before = members.get(name).unwrap_or(&Value::Null);
            members.insert(name.clone(), patched(before, change));
        }
    }
    Value::Object(members)
}
