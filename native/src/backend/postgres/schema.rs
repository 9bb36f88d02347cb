//! What Tidegate needs in a database, what of it is missing, and the SQL that adds it.

use tokio_postgres::types::Type;

use super::link::Link;
use super::names::Names;
use super::rights;
use super::sequence;
use super::statements::Statements;
use crate::backend::BackendError;

/// The version of our functions: it is a part of their names, so that servers of two versions can work side by side. A function
/// that is there is never replaced, so whoever changes what one does raises this.
pub(super) const VERSION: u32 = 4;

/// The functions: each one's placeholder, and its text.
pub(super) const FUNCTIONS: [(&str, &str); 7] = [
    ("publish", include_str!("publish.sql")),
    ("take_in", include_str!("take_in.sql")),
    ("renew", include_str!("renew.sql")),
    ("trim", include_str!("trim.sql")),
    ("age", include_str!("age.sql")),
    ("forget", include_str!("forget.sql")),
    ("keep_cursors", include_str!("cursors.sql")),
];

/// The oldest version of PostgreSQL: 12.
const SERVER_VERSION_MIN: i32 = 120_000;

/// The columns that we add to the table, with their types. `seq` is NULL in a row that was not taken in yet, 0 in one
/// that was there before Tidegate, -1 in one that was refused, and else the place in the order of all publications.
const COLUMNS: [(&str, &str); 7] = [
    ("seq", "bigint"),
    ("epoch", "bigint"),
    ("offset", "bigint"),
    ("ended", "text"),
    ("key", "text COLLATE \"C\""),
    ("bytes", "integer"),
    ("placed_at", "timestamp with time zone"),
];

/// The indexes that we add to the table.
const INDEXES: [(&str, &str); 4] = [
    ("order", "(seq) WHERE seq <> 0"),
    ("raw", "(id) WHERE seq IS NULL"),
    ("keys", "(channel COLLATE \"C\", key) WHERE key IS NOT NULL"),
    (
        "history",
        "(channel COLLATE \"C\", epoch, \"offset\") WHERE seq > 0",
    ),
];

/// What was found in the database.
#[derive(Debug)]
struct Survey {
    /// The table's columns; empty if there is no table.
    columns: Vec<Column>,
    has_topics: bool,
    has_upkeep: bool,
    has_upkeep_row: bool,
    has_sequence: bool,
    /// Whether the sequence is, or may be, behind places that were already given out.
    is_sequence_behind: bool,
    has_cursors: bool,
    has_keep: bool,
    /// One entry for each of [`FUNCTIONS`].
    has_function: Vec<bool>,
    /// One entry for each of [`INDEXES`].
    has_index: Vec<bool>,
}

#[derive(Debug)]
struct Column {
    name: String,
    kind: String,
    needs_value: bool,
}

impl Survey {
    /// Looks at the database.
    async fn take(link: &Link) -> Result<Self, BackendError> {
        check_server(link).await?;
        let names = link.names();
        let rows = link
            .query(
                "SELECT a.attname::text, format_type(a.atttypid, NULL)::text, \
                 a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' FROM pg_attribute a \
                 WHERE a.attrelid = to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped",
                &[(&names.events(), Type::TEXT)],
            )
            .await?;
        let columns: Vec<Column> = rows
            .iter()
            .map(|row| Column {
                name: row.get(0),
                kind: row.get(1),
                needs_value: row.get(2),
            })
            .collect();
        let mut wanted: Vec<String> = ["topics", "upkeep", "seq", "cursors", "keep"]
            .iter()
            .map(|own| names.own(own))
            .collect();
        wanted.extend(INDEXES.iter().map(|(index, _)| names.own(index)));
        let relations = existing(link, "to_regclass(name)", &wanted).await?;
        let functions: Vec<String> = FUNCTIONS
            .iter()
            .map(|(function, _)| names.own(&format!("{function}_{VERSION}")))
            .collect();
        let has_function = existing(link, "to_regproc(name)", &functions).await?;
        let has_places = columns.iter().any(|column| column.name == "seq");
        let has_what_tells = has_places && relations[1] && relations[2];
        Ok(Self {
            columns,
            has_topics: relations[0],
            has_upkeep: relations[1],
            has_upkeep_row: relations[1] && has_upkeep_row(link).await?,
            has_sequence: relations[2],
            is_sequence_behind: match has_what_tells {
                true => sequence::is_behind(link).await?,
                false => has_places,
            },
            has_cursors: relations[3],
            has_keep: relations[4],
            has_index: relations[5..].to_vec(),
            has_function,
        })
    }

    /// The type of `data`: json if the table is ours.
    fn data_type(&self) -> &str {
        self.column("data").map_or("json", |column| &column.kind)
    }

    fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// Why Tidegate can't use the table that is there.
    fn obstacle(&self, names: &Names) -> Option<String> {
        if self.columns.is_empty() {
            return None;
        }
        let advice = "name another table by ?table=";
        let kind_of = |name: &str| self.column(name).map(|column| column.kind.as_str());
        match kind_of("id") {
            Some("smallint" | "integer" | "bigint") => {}
            kind => {
                return Some(format!(
                    "{} needs a column id of whole numbers, and has {}; {advice}",
                    names.events(),
                    kind.unwrap_or("none")
                ));
            }
        }
        if !matches!(kind_of("channel"), Some("text" | "character varying")) {
            return Some(format!(
                "{} has no column channel of type text; {advice}",
                names.events()
            ));
        }
        if !matches!(self.data_type(), "json" | "jsonb" | "text") || kind_of("data").is_none() {
            return Some(format!(
                "{} has no column data of type json, jsonb or text; {advice}",
                names.events()
            ));
        }
        if !self.has_topics
            && let Some((name, _)) = COLUMNS.iter().find(|(name, _)| kind_of(name).is_some())
        {
            return Some(format!(
                "{} has a column {name} of its own, which Tidegate needs for itself; {advice}",
                names.events()
            ));
        }
        let ours = |name: &str| ["channel", "data", "created_at"].contains(&name);
        let demanding = self
            .columns
            .iter()
            .find(|column| column.needs_value && !ours(&column.name))?;
        Some(format!(
            "{} wants a value for {}, which Tidegate does not know: ALTER TABLE {0} ALTER COLUMN \"{1}\" SET DEFAULT ..., or {advice}",
            names.events(),
            demanding.name
        ))
    }

    /// The SQL that adds what is missing; `None` if nothing is. It only adds, and may be run by several servers at the
    /// same time.
    fn migration(&self, names: &Names) -> Option<String> {
        let mut steps: Vec<String> = Vec::new();
        if self.columns.is_empty() {
            steps.push(new_table());
        } else {
            steps.extend(self.missing_columns());
        }
        for ((index, on), is_there) in INDEXES.iter().zip(&self.has_index) {
            if !is_there {
                let unique = if *index == "history" { "UNIQUE " } else { "" };
                let name = names.bare(index);
                steps.push(format!(
                    "CREATE {unique}INDEX IF NOT EXISTS \"{name}\" ON {{events}} {on};"
                ));
            }
        }
        if !self.has_sequence {
            let name = names.own("seq");
            steps.push(format!("CREATE SEQUENCE IF NOT EXISTS {name};"));
        }
        if !self.has_topics {
            steps.push(
                "CREATE TABLE IF NOT EXISTS {topics} (\n  channel text COLLATE \"C\" PRIMARY KEY,\n  epoch bigint NOT NULL,\n  \"offset\" bigint NOT NULL,\n  ended text,\n  updated_at timestamptz NOT NULL\n) WITH (fillfactor = 70);"
                    .into(),
            );
        }
        if !self.has_upkeep {
            steps.push(
                "CREATE TABLE IF NOT EXISTS {upkeep} (\n  is_single boolean PRIMARY KEY DEFAULT true CHECK (is_single),\n  looked_at_seq bigint NOT NULL DEFAULT 0,\n  aged_seq bigint NOT NULL DEFAULT 0,\n  trimmed_seq bigint NOT NULL DEFAULT 0\n);"
                    .into(),
            );
        }
        // The row may also be missing from an existing table, for example after a restore of the schema alone.
        if !self.has_upkeep_row {
            steps.push("INSERT INTO {upkeep} DEFAULT VALUES ON CONFLICT DO NOTHING;".into());
        }
        if self.is_sequence_behind {
            steps.push(sequence::advance());
        }
        if !self.has_cursors {
            steps.push(
                "CREATE TABLE IF NOT EXISTS {cursors} (\n  owner text COLLATE \"C\" NOT NULL,\n  name text COLLATE \"C\" NOT NULL,\n  pattern text COLLATE \"C\" NOT NULL,\n  term bigint NOT NULL,\n  positions text NOT NULL,\n  used_at timestamptz NOT NULL,\n  PRIMARY KEY (owner, name, pattern)\n) WITH (fillfactor = 70);"
                    .into(),
            );
        }
        if !self.has_keep {
            steps.push(
                "CREATE TABLE IF NOT EXISTS {keep} (\n  is_single boolean PRIMARY KEY DEFAULT true CHECK (is_single),\n  said text NOT NULL\n);"
                    .into(),
            );
        }
        for ((_, text), is_there) in FUNCTIONS.iter().zip(&self.has_function) {
            if !is_there {
                steps.push(text.trim_end().replace("{data}", self.data_type()));
            }
        }
        (!steps.is_empty()).then(|| names.fill(&steps.join("\n")))
    }

    fn missing_columns(&self) -> Vec<String> {
        let mut steps = Vec::new();
        if self.column("created_at").is_none() {
            steps.push(add("created_at", "timestamptz DEFAULT now()"));
        }
        for (name, kind) in COLUMNS {
            if self.column(name).is_some() {
                continue;
            }
            if name == "seq" {
                // Fast, whatever the size of the table: existing rows get their 0 from the catalogue.
                steps.push(add(name, "bigint DEFAULT 0"));
                steps.push("ALTER TABLE {events} ALTER COLUMN seq DROP DEFAULT;".into());
            } else {
                steps.push(add(name, kind));
            }
        }
        steps
    }
}

fn add(name: &str, kind: &str) -> String {
    format!("ALTER TABLE {{events}} ADD COLUMN IF NOT EXISTS \"{name}\" {kind};")
}

fn new_table() -> String {
    let columns: Vec<String> = COLUMNS
        .iter()
        .map(|(name, kind)| format!(",\n  \"{name}\" {kind}"))
        .collect();
    format!(
        "CREATE TABLE IF NOT EXISTS {{events}} (\n  id bigserial PRIMARY KEY,\n  channel text NOT NULL,\n  data json NOT NULL,\n  created_at timestamptz NOT NULL DEFAULT now(){}\n);",
        columns.concat()
    )
}

/// Which of `names` exist, as `lookup` finds them.
async fn existing(link: &Link, lookup: &str, names: &[String]) -> Result<Vec<bool>, BackendError> {
    let sql = format!(
        "SELECT {lookup} IS NOT NULL FROM unnest($1) WITH ORDINALITY AS wanted (name, number) ORDER BY number"
    );
    let rows = link.query(&sql, &[(&names, Type::TEXT_ARRAY)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Whether the upkeep table has its row. True if this user may not look: then the missing right is reported instead.
async fn has_upkeep_row(link: &Link) -> Result<bool, BackendError> {
    let names = link.names();
    let sql = "SELECT has_table_privilege($1, 'SELECT')";
    let may_look = link
        .query(sql, &[(&names.own("upkeep"), Type::TEXT)])
        .await?;
    if !may_look.iter().all(|row| row.get(0)) {
        return Ok(true);
    }
    let rows = link
        .query(&names.fill("SELECT 1 FROM {upkeep}"), &[])
        .await?;
    Ok(!rows.is_empty())
}

async fn check_server(link: &Link) -> Result<(), BackendError> {
    let rows = link
        .query(
            "SELECT current_setting('server_version_num')::integer, current_setting('server_encoding'), \
             current_setting('default_transaction_isolation'), \
             pg_is_in_recovery() OR current_setting('default_transaction_read_only')::boolean",
            &[],
        )
        .await?;
    let row = &rows[0];
    if row.get::<_, i32>(0) < SERVER_VERSION_MIN {
        return Err(link.refused("it is older than PostgreSQL 12; upgrade it"));
    }
    if row.get::<_, &str>(1) != "UTF8" {
        return Err(link.refused(
            "the database's encoding is not UTF8; create one with CREATE DATABASE ... ENCODING 'UTF8' TEMPLATE template0",
        ));
    }
    if row.get::<_, &str>(2) != "read committed" {
        return Err(link.refused(
            "default_transaction_isolation must be 'read committed': ALTER ROLE ... SET default_transaction_isolation = 'read committed'",
        ));
    }
    if row.get::<_, bool>(3) {
        return Err(link.unreachable(
            "this server only reads: it is a standby, or default_transaction_read_only is on",
        ));
    }
    Ok(())
}

async fn survey(link: &Link) -> Result<Survey, BackendError> {
    let survey = Survey::take(link).await?;
    match survey.obstacle(link.names()) {
        Some(obstacle) => Err(link.refused(&obstacle)),
        None => Ok(survey),
    }
}

/// Returns the SQL that adds what is missing, if anything is.
pub(super) async fn missing(link: &Link) -> Result<Option<String>, BackendError> {
    Ok(survey(link).await?.migration(link.names()))
}

/// Adds what is missing, or reports it if it may not be added.
pub(super) async fn prepare(link: &Link, migrate: bool) -> Result<(), BackendError> {
    let survey = survey(link).await?;
    if let Some(migration) = survey.migration(link.names()) {
        if !migrate {
            return Err(link.refused(&format!(
                "migrate=false, and the database lacks something; let the tables' owner run:\n{migration}"
            )));
        }
        let place = link.place();
        if survey.has_sequence && survey.is_sequence_behind {
            tracing::warn!(
                "{place}: its sequence was behind its tables, as after a logical replication; it is brought up"
            );
        }
        if survey.columns.is_empty() {
            tracing::debug!("{place}: its tables are made by\n{migration}");
        } else {
            tracing::info!("{place}: what its tables lack is added by\n{migration}");
        }
        // One message is one transaction. With a lock timeout, because while we waited for a table that a transaction
        // of the application holds, everyone else would queue up behind us.
        link.run_script(&format!(
            "SELECT set_config('lock_timeout', '2000', true);\nSELECT pg_advisory_xact_lock(hashtext('tidegate migration'));\n{migration}"
        ))
        .await?;
    }
    rights::check(link).await?;
    link.set_statements(Statements::new(link.names(), survey.data_type()));
    Ok(())
}

#[cfg(test)]
mod tests;
