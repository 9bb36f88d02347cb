//! The tables, and the migration from what a file contains to what Tidegate needs.

use rusqlite::{Connection, OptionalExtension};

/// The version of the tables that this program reads and writes.
const VERSION: i64 = 1;

/// What Tidegate adds to each row of `pubsub_events`.
///
/// `seq` orders all publications of the file. It is NULL in a row that was not taken in yet, 0 in one that was there
/// before Tidegate, and -1 in one that was refused.
const COLUMNS: [(&str, &str); 5] = [
    ("seq", "INTEGER"),
    ("epoch", "INTEGER"),
    ("offset", "INTEGER"),
    ("ended", "TEXT"),
    ("placed_at", "INTEGER"),
];

const NEW_EVENTS: &str = "\
CREATE TABLE pubsub_events (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  channel TEXT NOT NULL,
  data TEXT NOT NULL,
  created_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ', 'now')),
  seq INTEGER,
  epoch INTEGER,
  \"offset\" INTEGER,
  ended TEXT,
  placed_at INTEGER
)";

const BESIDE_EVENTS: [&str; 6] = [
    "CREATE INDEX IF NOT EXISTS tidegate_events_seq ON pubsub_events (seq)",
    "CREATE INDEX IF NOT EXISTS tidegate_events_place ON pubsub_events (channel, epoch, \"offset\") WHERE seq > 0",
    "CREATE TABLE IF NOT EXISTS tidegate_topics (
  channel TEXT PRIMARY KEY, epoch INTEGER NOT NULL, \"offset\" INTEGER NOT NULL, ended TEXT, updated_at INTEGER NOT NULL
) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS tidegate_keys (
  channel TEXT NOT NULL, key TEXT NOT NULL, epoch INTEGER NOT NULL, \"offset\" INTEGER NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (channel, key)
) WITHOUT ROWID",
    "CREATE TABLE tidegate_state (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    "INSERT INTO tidegate_state VALUES ('version', 1), ('swept_at', 0), \
('seq', (SELECT max(0, coalesce(max(seq), 0)) FROM pubsub_events))",
];

/// Older files of the same version lack this table. Programs that don't know it can do without it.
const BROADCASTS: &str = "\
CREATE TABLE IF NOT EXISTS tidegate_broadcasts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, message TEXT NOT NULL, said_at INTEGER NOT NULL
)";

/// Older files may lack this table, too. Positions are in the form of the wire, as JSON.
const CURSORS: &str = "\
CREATE TABLE IF NOT EXISTS tidegate_cursors (
  owner TEXT NOT NULL, name TEXT NOT NULL, pattern TEXT NOT NULL, term INTEGER NOT NULL, positions TEXT NOT NULL,
  used_at INTEGER NOT NULL, PRIMARY KEY (owner, name, pattern)
)";

/// Older files may lack this table, too. It has what servers keep, as they write it.
const KEEP: &str = "\
CREATE TABLE IF NOT EXISTS tidegate_keep (
  is_single INTEGER PRIMARY KEY CHECK (is_single = 1), said TEXT NOT NULL
)";

/// The tables that files of the same version may lack.
const LATER: [(&str, &str); 3] = [
    ("tidegate_broadcasts", BROADCASTS),
    ("tidegate_cursors", CURSORS),
    ("tidegate_keep", KEEP),
];

/// Why a file can't be used.
#[derive(Debug, thiserror::Error)]
pub(super) enum SchemaError {
    #[error(transparent)]
    Sqlite(#[from] rusqlite::Error),
    #[error("{0}")]
    Unfit(String),
}

/// What a writer has to know about `pubsub_events`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct EventsTable {
    /// Whether `created_at` exists and has no default that fills it.
    pub(super) fills_created_at: bool,
    /// Whether text that looks like a number is stored as one, which changes it: in a column of the type JSON, for
    /// example.
    pub(super) changes_numbers: bool,
}

struct Column {
    name: String,
    kind: String,
    has_default: bool,
}

/// The statements that migrate a file as it is now. None if it needs nothing.
pub(super) fn migration(connection: &Connection) -> Result<Vec<String>, SchemaError> {
    if is_there(connection, "tidegate_state")? {
        let version: i64 = connection.query_row(
            "SELECT value FROM tidegate_state WHERE name = 'version'",
            [],
            |row| row.get(0),
        )?;
        if version != VERSION {
            return Err(SchemaError::Unfit(format!(
                "its tables are of version {version}, and this program knows {VERSION}; use a program of that version, or another file"
            )));
        }
        let mut statements = Vec::new();
        for (table, made_by) in LATER {
            if !is_there(connection, table)? {
                statements.push(made_by.to_owned());
            }
        }
        return Ok(statements);
    }
    let mut statements = if is_there(connection, "pubsub_events")? {
        additions(connection)?
    } else {
        vec![NEW_EVENTS.to_owned()]
    };
    statements.extend(BESIDE_EVENTS.map(str::to_owned));
    statements.extend(LATER.map(|(_, made_by)| made_by.to_owned()));
    Ok(statements)
}

/// Statements as a script that a person can run.
pub(super) fn script(statements: &[String]) -> String {
    statements
        .iter()
        .map(|statement| format!("{statement};\n"))
        .collect()
}

/// What an application's own table lacks. Its rows get `seq` 0, so that they are never published.
fn additions(connection: &Connection) -> Result<Vec<String>, SchemaError> {
    let is_fit: bool = connection.query_row(
        "SELECT type = 'table' AND NOT wr FROM pragma_table_list WHERE schema = 'main' AND name = 'pubsub_events'",
        [],
        |row| row.get(0),
    )?;
    if !is_fit {
        return Err(SchemaError::Unfit(
            "pubsub_events is a view, a virtual table or WITHOUT ROWID; rename it, or use another file".to_owned(),
        ));
    }
    let known = columns(connection)?;
    let has = |name: &str| {
        known
            .iter()
            .any(|column| column.name.eq_ignore_ascii_case(name))
    };
    for needed in ["channel", "data"] {
        if !has(needed) {
            return Err(SchemaError::Unfit(format!(
                "its table pubsub_events has no column {needed}; add it, rename the table, or use another file"
            )));
        }
    }
    let ours = COLUMNS.map(|(name, _)| has(name));
    if ours == [true; COLUMNS.len()] {
        return Ok(Vec::new());
    }
    if let Some(taken) = ours.iter().position(|has| *has) {
        let (name, _) = COLUMNS[taken];
        return Err(SchemaError::Unfit(format!(
            "its table pubsub_events has a column {name} of its own, which Tidegate would need; rename it, or use another file"
        )));
    }
    let added = COLUMNS
        .map(|(name, kind)| format!("ALTER TABLE pubsub_events ADD COLUMN \"{name}\" {kind}"));
    let mut statements = Vec::from(added);
    statements.push("UPDATE pubsub_events SET seq = 0".to_owned());
    Ok(statements)
}

/// Examines the table as it is after the migration.
pub(super) fn events_table(connection: &Connection) -> Result<EventsTable, SchemaError> {
    let known = columns(connection)?;
    let find = |name: &str| {
        known
            .iter()
            .find(|column| column.name.eq_ignore_ascii_case(name))
    };
    Ok(EventsTable {
        fills_created_at: find("created_at").is_some_and(|column| !column.has_default),
        changes_numbers: find("data").is_some_and(|column| !is_text(&column.kind)),
    })
}

/// Whether a column of that declared type keeps text as it is (<https://www.sqlite.org/datatype3.html>, 3.1).
fn is_text(kind: &str) -> bool {
    let kind = kind.to_ascii_uppercase();
    let has_text = ["CHAR", "CLOB", "TEXT"]
        .iter()
        .any(|part| kind.contains(part));
    (has_text && !kind.contains("INT")) || kind.is_empty() || kind.contains("BLOB")
}

fn columns(connection: &Connection) -> Result<Vec<Column>, rusqlite::Error> {
    connection
        .prepare(
            "SELECT name, type, dflt_value IS NOT NULL FROM pragma_table_info('pubsub_events')",
        )?
        .query_map([], |row| {
            Ok(Column {
                name: row.get(0)?,
                kind: row.get(1)?,
                has_default: row.get(2)?,
            })
        })?
        .collect()
}

/// Whether the file has a table of publications, perhaps an application's own.
pub(super) fn has_events(connection: &Connection) -> Result<bool, SchemaError> {
    Ok(is_there(connection, "pubsub_events")?)
}

fn is_there(connection: &Connection, name: &str) -> Result<bool, rusqlite::Error> {
    let found = connection
        .query_row(
            "SELECT 1 FROM sqlite_master WHERE name = ?1",
            [name],
            |_| Ok(()),
        )
        .optional()?;
    Ok(found.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_with(sql: &str) -> Connection {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(sql).unwrap();
        connection
    }

    fn migrated(connection: &Connection) -> EventsTable {
        for statement in migration(connection).unwrap() {
            connection.execute_batch(&statement).unwrap();
        }
        assert_eq!(migration(connection).unwrap(), Vec::<String>::new());
        events_table(connection).unwrap()
    }

    #[test]
    fn an_empty_file_gets_all_tables_once() {
        let table = migrated(&file_with(""));
        assert!(!table.fills_created_at);
        assert!(!table.changes_numbers);
    }

    #[test]
    fn a_file_that_was_made_before_gets_the_tables_that_came_later() {
        let connection = file_with("");
        migrated(&connection);
        connection
            .execute_batch("DROP TABLE tidegate_broadcasts; DROP TABLE tidegate_cursors")
            .unwrap();
        assert_eq!(migration(&connection).unwrap(), [BROADCASTS, CURSORS]);
        migrated(&connection);
    }

    #[test]
    fn rows_from_before_are_marked_and_later_ones_are_not() {
        let connection = file_with(
            "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel TEXT, data JSON, created_at TIMESTAMP);
             INSERT INTO pubsub_events (channel, data) VALUES ('old', '1');",
        );
        let table = migrated(&connection);
        assert!(table.fills_created_at);
        assert!(table.changes_numbers);
        connection
            .execute(
                "INSERT INTO pubsub_events (channel, data) VALUES ('new', '2')",
                [],
            )
            .unwrap();
        let seqs: Vec<Option<i64>> = connection
            .prepare("SELECT seq FROM pubsub_events ORDER BY id")
            .unwrap()
            .query_map([], |row| row.get(0))
            .unwrap()
            .collect::<Result<_, _>>()
            .unwrap();
        assert_eq!(seqs, [Some(0), None]);
    }

    #[test]
    fn a_table_that_does_not_fit_is_refused_with_what_to_do() {
        for (sql, expected) in [
            (
                "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, data TEXT)",
                "no column channel",
            ),
            (
                "CREATE TABLE pubsub_events (id INTEGER PRIMARY KEY, channel TEXT, data TEXT, ended TEXT)",
                "column ended",
            ),
            (
                "CREATE VIEW pubsub_events AS SELECT 1 AS channel, 2 AS data",
                "view",
            ),
            (
                "CREATE TABLE pubsub_events (id TEXT PRIMARY KEY, channel TEXT, data TEXT) WITHOUT ROWID",
                "WITHOUT ROWID",
            ),
            (
                "CREATE TABLE tidegate_state (name TEXT, value INTEGER); INSERT INTO tidegate_state VALUES ('version', 9)",
                "version 9",
            ),
        ] {
            let error = migration(&file_with(sql)).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
