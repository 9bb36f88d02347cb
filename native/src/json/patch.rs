//! Merge patches (RFC 7396) between JSON texts. They are made and applied on the texts, so that everything that doesn't change keeps its
//! spelling.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::scan::{Member, is_object, members};

/// How deep objects within objects are compared. Deeper ones are sent whole.
const DEPTH_MAX: usize = 32;

/// The patch that turns `older` into `newer`. `None` if there is none, because a member would have to become `null` or a name occurs twice,
/// or if it would leave nothing out.
pub(super) fn diff(older: &str, newer: &str) -> Option<String> {
    let mut patch = String::new();
    write_diff(&members(older)?, &members(newer)?, &mut patch, DEPTH_MAX)?;
    Some(patch)
}

/// `base` with a patch applied; `None` if the patch is too deep.
pub(super) fn patched(base: &str, patch: &str) -> Option<String> {
    let mut value = String::with_capacity(base.len() + patch.len());
    write_patched(Some(base), patch, &mut value, DEPTH_MAX)?;
    Some(value)
}

type ByName<'a> = BTreeMap<&'a str, &'a Member<'a>>;

/// The members by their names; `None` if a name occurs twice.
fn by_name<'a>(members: &'a [Member<'a>]) -> Option<ByName<'a>> {
    let by_name: ByName<'a> = members
        .iter()
        .map(|member| (&*member.name, member))
        .collect();
    (by_name.len() == members.len()).then_some(by_name)
}

fn write_diff(
    older: &[Member<'_>],
    newer: &[Member<'_>],
    patch: &mut String,
    depth: usize,
) -> Option<()> {
    let depth = depth.checked_sub(1)?;
    let (known, kept) = (by_name(older)?, by_name(newer)?);
    let mut object = Object::begin(patch);
    for member in newer {
        let before = known.get(&*member.name);
        if before.is_some_and(|before| before.value == member.value) {
            continue;
        }
        let text = object.name(member.quoted);
        let both = before.filter(|before| is_object(before.value) && is_object(member.value));
        match both {
            Some(before) => {
                write_diff(
                    &members(before.value)?,
                    &members(member.value)?,
                    text,
                    depth,
                )?;
            }
            None if can_be_set(member.value, depth) => text.push_str(member.value),
            None => return None,
        }
    }
    for member in older {
        if !kept.contains_key(&*member.name) {
            object.name(member.quoted).push_str("null");
        }
    }
    object.end();
    Some(())
}

/// Whether a patch can set a value as it is: a `null` member would mean that the member is removed.
fn can_be_set(value: &str, depth: usize) -> bool {
    if !is_object(value) {
        return value != "null";
    }
    let Some(depth) = depth.checked_sub(1) else {
        return false;
    };
    members(value).is_some_and(|members| {
        let mut values = members.iter().map(|member| member.value);
        by_name(&members).is_some() && values.all(|value| can_be_set(value, depth))
    })
}

fn write_patched(base: Option<&str>, patch: &str, value: &mut String, depth: usize) -> Option<()> {
    if !is_object(patch) {
        value.push_str(patch);
        return Some(());
    }
    let depth = depth.checked_sub(1)?;
    let changes = members(patch)?;
    let base = base.filter(|base| is_object(base)).unwrap_or("{}");
    let older = members(base)?;
    // Of members with the same name, the last one counts, as everywhere.
    let last = |members: &[Member<'_>]| -> BTreeMap<String, usize> {
        let names = members.iter().map(|member| match &member.name {
            Cow::Borrowed(name) => (*name).to_owned(),
            Cow::Owned(name) => name.clone(),
        });
        names.zip(0..).collect()
    };
    let (change_of, known) = (last(&changes), last(&older));
    let mut object = Object::begin(value);
    for (at, member) in older.iter().enumerate() {
        if known.get(&*member.name) != Some(&at) {
            continue;
        }
        match change_of.get(&*member.name).map(|at| &changes[*at]) {
            None => object.name(member.quoted).push_str(member.value),
            Some(change) if change.value == "null" => {}
            Some(change) => {
                let text = object.name(member.quoted);
                write_patched(Some(member.value), change.value, text, depth)?;
            }
        }
    }
    for (at, change) in changes.iter().enumerate() {
        let is_last = change_of.get(&*change.name) == Some(&at);
        if is_last && !known.contains_key(&*change.name) && change.value != "null" {
            write_patched(None, change.value, object.name(change.quoted), depth)?;
        }
    }
    object.end();
    Some(())
}

/// An object that is being written.
struct Object<'a> {
    text: &'a mut String,
    is_empty: bool,
}

impl<'a> Object<'a> {
    fn begin(text: &'a mut String) -> Self {
        text.push('{');
        Self {
            text,
            is_empty: true,
        }
    }

    /// Begins a member, whose value is to be written next.
    fn name(&mut self, quoted: &str) -> &mut String {
        if !self.is_empty {
            self.text.push(',');
        }
        self.is_empty = false;
        self.text.push_str(quoted);
        self.text.push(':');
        self.text
    }

    fn end(self) {
        self.text.push('}');
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::*;

    /// RFC 7396, following its pseudo-code.
    fn reference(target: Value, patch: Value) -> Value {
        let Value::Object(patch) = patch else {
            return patch;
        };
        let mut members = match target {
            Value::Object(members) => members,
            _ => Map::new(),
        };
        for (name, value) in patch {
            if value.is_null() {
                members.remove(&name);
            } else {
                let before = members.remove(&name).unwrap_or(Value::Null);
                members.insert(name, reference(before, value));
            }
        }
        Value::Object(members)
    }

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            1 => Just(Value::Null),
            3 => any::<bool>().prop_map(Value::from),
            5 => (0..5_u32).prop_map(Value::from),
            3 => prop_oneof![Just("x"), Just("a\"}\\"), Just("é\n{"), Just("")].prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 24, 5, |inner| {
            let name = prop_oneof![Just("a"), Just("b"), Just("c\"\\"), Just("d,:"), Just("")];
            prop_oneof![
                1 => prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                4 => prop::collection::vec((name, inner), 0..5).prop_map(|members| {
                    members.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
                }),
            ]
        })
    }

    /// The value as text, with or without white space.
    fn spelled(value: &Value, is_pretty: bool) -> String {
        if is_pretty {
            serde_json::to_string_pretty(value)
                .expect("JSON")
                .replace('\n', " ")
        } else {
            value.to_string()
        }
    }

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("what was made is JSON")
    }

    proptest! {
        #[test]
        fn a_patch_applied_gives_the_newer_value(older in value(), newer in value(), pretty in any::<(bool, bool)>()) {
            let (base, next) = (spelled(&older, pretty.0), spelled(&newer, pretty.1));
            if let Some(patch) = diff(&base, &next) {
                prop_assert_eq!(parsed(&patched(&base, &patch).expect("shallow")), newer.clone());
                prop_assert_eq!(reference(older, parsed(&patch)), newer);
            }
        }

        #[test]
        fn patches_are_applied_as_the_standard_says(base in value(), patch in value(), pretty in any::<(bool, bool)>()) {
            let text = patched(&spelled(&base, pretty.0), &spelled(&patch, pretty.1));
            prop_assert_eq!(parsed(&text.expect("shallow")), reference(base, patch));
        }
    }

    #[test]
    fn the_examples_of_the_standard_hold() {
        for (base, patch, expected) in [
            (json!({"a":"b"}), json!({"a":"c"}), json!({"a":"c"})),
            (
                json!({"a":"b","b":"c"}),
                json!({"a":null}),
                json!({"b":"c"}),
            ),
            (json!({"a":[{"b":"c"}]}), json!({"a":[1]}), json!({"a":[1]})),
            (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
            (json!({"e":null}), json!({"a":1}), json!({"e":null,"a":1})),
            (json!([1, 2]), json!({"a":"b","c":null}), json!({"a":"b"})),
            (
                json!({}),
                json!({"a":{"bb":{"ccc":null}}}),
                json!({"a":{"bb":{}}}),
            ),
        ] {
            let text = patched(&base.to_string(), &patch.to_string()).expect("shallow");
            assert_eq!(parsed(&text), expected, "{base} with {patch}");
        }
    }

    #[test]
    fn what_does_not_change_is_left_out_and_keeps_its_spelling() {
        let older =
            r#"{"done":46,"rate":1.50,"by":{"ada":30,"bob":16},"big":12345678901234567890123}"#;
        let newer =
            r#"{"done":47,"rate":1.50,"by":{"ada":31,"bob":16},"big":12345678901234567890123}"#;
        let patch = diff(older, newer).expect("they differ a little");
        assert_eq!(patch, r#"{"done":47,"by":{"ada":31}}"#);
        assert_eq!(patched(older, &patch).as_deref(), Some(newer));
    }

    #[test]
    fn what_no_patch_can_say_has_none() {
        for (older, newer) in [
            ("1", "2"),
            ("[1]", "[1,2]"),
            (r#"{"a":1}"#, r#"{"a":null}"#),
            (r#"{"a":1}"#, r#"{"a":{"b":{"c":null}}}"#),
            (r#"{"a":1}"#, r#"{"a":1,"a":2}"#),
        ] {
            assert_eq!(diff(older, newer), None, "{older} to {newer}");
        }
    }

    #[test]
    fn what_is_deep_is_sent_whole() {
        let deep = |levels: usize, leaf: &str| {
            format!("{}{leaf}{}", r#"{"a":"#.repeat(levels), "}".repeat(levels))
        };
        assert!(diff(&deep(20, "1"), &deep(20, "2")).is_some());
        assert_eq!(diff(&deep(100_000, "1"), &deep(100_000, "2")), None);
        assert_eq!(patched("{}", &deep(100_000, "1")), None);
    }
}
