//! How deeply a JSON text is nested.

/// Whether objects and arrays of `text`, which is JSON, are nested more than `max` deep.
pub(crate) fn is_deeper_than(text: &str, max: usize) -> bool {
    let opens = |byte: &u8| matches!(byte, b'{' | b'[');
    // Most texts have no more brackets than that in total.
    if text.as_bytes().iter().filter(|byte| opens(byte)).count() <= max {
        return false;
    }
    let (mut depth, mut is_string, mut is_escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_string,
            b'"' => is_string = !is_string,
            _ if is_string => {}
            b'{' | b'[' if depth == max => return true,
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(json!(1)), r#"[\[\]{}"\\a]{0,9}"#.prop_map(Value::from),];
        leaf.prop_recursive(8, 64, 5, |inner| {
            let name = r#"[\[{"\\]{0,3}"#;
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(name, inner, 0..5).prop_map(|it| json!(it)),
            ]
        })
    }

    fn depth(value: &Value) -> usize {
        let within = match value {
            Value::Array(values) => values.iter().map(depth).max(),
            Value::Object(members) => members.values().map(depth).max(),
            _ => return 0,
        };
        1 + within.unwrap_or(0)
    }

    proptest! {
        #[test]
        fn a_text_is_as_deep_as_its_value(value in any_value(), max in 0..10_usize) {
            prop_assert_eq!(is_deeper_than(&value.to_string(), max), depth(&value) > max);
        }
    }
}
