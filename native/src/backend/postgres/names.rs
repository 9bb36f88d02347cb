//! The names of our objects in the database, and the statements that contain them.

/// The longest name of a table: names derived from it stay within PostgreSQL's 63 bytes.
const TABLE_BYTES_MAX: usize = 40;

/// The names of our objects. All are derived from the name of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    schema: Option<String>,
    table: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            schema: None,
            table: "pubsub_events".into(),
        }
    }
}

impl Names {
    /// The names for `table` or `schema.table`.
    pub(super) fn new(text: &str) -> Result<Self, String> {
        let is_name = |name: &str| {
            name.len() <= TABLE_BYTES_MAX
                && name.starts_with(|first: char| first.is_ascii_lowercase() || first == '_')
                && name
                    .bytes()
                    .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
        };
        let (schema, table) = match text.split_once('.') {
            Some((schema, table)) => (Some(schema), table),
            None => (None, text),
        };
        if !is_name(table) || !schema.is_none_or(is_name) {
            return Err(format!(
                "{text:?} is no name of a table here: table or schema.table, each of a-z, 0-9 and _, up to {TABLE_BYTES_MAX} bytes"
            ));
        }
        Ok(Self {
            schema: schema.map(str::to_owned),
            table: table.to_owned(),
        })
    }

    fn qualified(&self, name: &str) -> String {
        match &self.schema {
            Some(schema) => format!("\"{schema}\".\"{name}\""),
            None => format!("\"{name}\""),
        }
    }

    /// The table of publications.
    pub(super) fn events(&self) -> String {
        self.qualified(&self.table)
    }

    /// One of our own objects, such as `topics`.
    pub(super) fn own(&self, what: &str) -> String {
        self.qualified(&self.bare(what))
    }

    /// The same without a schema, because an index is created in the schema of its table.
    pub(super) fn bare(&self, what: &str) -> String {
        format!("tidegate_{}_{what}", self.table)
    }

    /// The notification channel, quoted.
    pub(super) fn channel(&self) -> String {
        let schema = self.schema.as_deref().unwrap_or_default();
        let mut name = format!("tidegate_{schema}_{}", self.table);
        name.truncate(63);
        format!("\"{name}\"")
    }

    /// `template` with the names in place of `{events}`, `{topics}` and the like.
    pub(super) fn fill(&self, template: &str) -> String {
        let lock = |class: &str| {
            format!(
                "((x'{class}'::bigint << 32) | '{}'::regclass::oid::bigint)",
                self.events()
            )
        };
        // The first half of each lock's number is "TIDE", "TIDF" and "TIDG"; the second is the table's.
        let mut filled = template
            .replace("{events}", &self.events())
            .replace("{order_lock}", &lock("54494445"))
            .replace("{upkeep_lock}", &lock("54494446"))
            .replace("{cursors_lock}", &lock("54494447"))
            .replace("{channel}", &self.channel())
            .replace("{sequence}", &format!("'{}'", self.own("seq")));
        for own in ["topics", "upkeep", "cursors", "keep"] {
            filled = filled.replace(&format!("{{{own}}}"), &self.own(own));
        }
        for (function, _) in super::schema::FUNCTIONS {
            filled = filled.replace(
                &format!("{{{function}}}"),
                &self.own(&format!("{function}_{}", super::schema::VERSION)),
            );
        }
        filled
    }
}
