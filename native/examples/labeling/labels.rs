//! The labels, in an SQLite file that the servers of one machine share. In your application, they are in your database.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, params};
use serde::{Deserialize, Serialize};
use serde_json::json;
use tidegate::core::presence::{Key, NodeId};

/// How long a change waits for another server's change.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

const TABLE: &str = "CREATE TABLE IF NOT EXISTS items (
    item INTEGER PRIMARY KEY,
    holder TEXT,   -- who it was given to last
    label TEXT,    -- once it has one: which,
    labeler TEXT,  -- by whom,
    node INTEGER   -- and which server counts it
) STRICT";

/// Items are held only by labelers who are present. So when one leaves, their item is available to others, without any
/// cleanup.
const GIVE: &str = "UPDATE items SET holder = ?1 WHERE item = (
    SELECT item FROM items
    WHERE label IS NULL AND (holder IS NULL OR holder = ?1 OR holder NOT IN (SELECT value FROM json_each(?2)))
    ORDER BY holder IS NOT ?1, item LIMIT 1
) RETURNING item";

const LABEL: &str = "UPDATE items SET label = ?3, labeler = ?2, node = ?4
    WHERE item = ?1 AND holder = ?2 AND label IS NULL";

#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Label {
    Good,
    Mixed,
    Bad,
}

/// How many labels are stored, by the server that counts them and by labeler.
pub(crate) type Stored = BTreeMap<NodeId, Vec<(Key, u64)>>;

/// A summary of what is stored, for people.
#[derive(Default, Serialize)]
pub(crate) struct Summary {
    done: u32,
    labels: BTreeMap<String, u32>,
    labelers: BTreeMap<String, u32>,
}

pub(crate) struct Labels {
    connection: Mutex<Connection>,
}

impl Labels {
    /// Opens the labels of `items` items: those in a file, or of this process only.
    pub(crate) fn open(file: Option<&Path>, items: u32) -> Result<Self> {
        let mut connection = match file {
            Some(file) => Connection::open(file)?,
            None => Connection::open_in_memory()?,
        };
        connection.busy_timeout(BUSY_TIMEOUT)?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        let transaction = connection.transaction()?;
        transaction.execute(TABLE, [])?;
        for item in 0..items {
            transaction.execute("INSERT OR IGNORE INTO items (item) VALUES (?)", [item])?;
        }
        transaction.commit()?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Assigns `labeler` an item that has no label and is held by nobody else who is present. If they hold one already,
    /// it is that one.
    pub(crate) fn give(&self, labeler: &str, present: &[String]) -> Result<Option<u32>> {
        let present = json!(present).to_string();
        let connection = self.connection();
        let given = connection.query_row(GIVE, [labeler, &present], |row| row.get(0));
        given.optional()
    }

    /// Stores a label, unless somebody else holds the item, or it has a label already.
    pub(crate) fn label(
        &self,
        item: u32,
        label: Label,
        labeler: &str,
        node: NodeId,
    ) -> Result<bool> {
        let label = json!(label);
        let node = node.number().cast_signed();
        let values = params![item, labeler, label.as_str(), node];
        let changed = self.connection().execute(LABEL, values)?;
        Ok(changed == 1)
    }

    /// Whether nothing is left to label.
    pub(crate) fn is_done(&self) -> Result<bool> {
        let open = "SELECT EXISTS (SELECT 1 FROM items WHERE label IS NULL)";
        let is_open: bool = self.connection().query_row(open, [], |row| row.get(0))?;
        Ok(!is_open)
    }

    /// What is stored, for counting.
    pub(crate) fn stored(&self) -> Result<Stored> {
        let counts = "SELECT node, labeler, count(*) FROM items WHERE label IS NOT NULL GROUP BY node, labeler";
        let connection = self.connection();
        let mut statement = connection.prepare_cached(counts)?;
        let mut rows = statement.query([])?;
        let mut stored = Stored::new();
        while let Some(row) = rows.next()? {
            let labeler: String = row.get(1)?;
            // Only labelers who were present have labels, so their names are keys.
            if let Ok(key) = Key::new(&labeler) {
                let node: i64 = row.get(0)?;
                let node = NodeId::new(node.cast_unsigned());
                let count: u32 = row.get(2)?;
                stored.entry(node).or_default().push((key, count.into()));
            }
        }
        Ok(stored)
    }

    /// What is stored, for people.
    pub(crate) fn summary(&self) -> Result<Summary> {
        let counts = "SELECT label, labeler, count(*) FROM items WHERE label IS NOT NULL GROUP BY label, labeler";
        let connection = self.connection();
        let mut statement = connection.prepare_cached(counts)?;
        let mut rows = statement.query([])?;
        let mut summary = Summary::default();
        while let Some(row) = rows.next()? {
            let count: u32 = row.get(2)?;
            summary.done += count;
            *summary.labels.entry(row.get(0)?).or_default() += count;
            *summary.labelers.entry(row.get(1)?).or_default() += count;
        }
        Ok(summary)
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
