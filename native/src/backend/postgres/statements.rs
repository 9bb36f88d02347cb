//! The statements that servers run, for one table.

use super::names::Names;

/// Each is a transaction of its own, so that a client that is stopped in between holds no locks.
#[derive(Debug)]
pub(super) struct Statements {
    /// The end of the order that readers follow.
    pub(super) top: String,
    /// The next page in that order.
    pub(super) page: String,
    /// Rows that others inserted and that were not taken in yet.
    pub(super) raw: String,
    pub(super) take_in: String,
    pub(super) publish: String,
    pub(super) read: String,
    pub(super) list: String,
    pub(super) renew: String,
    pub(super) trim: String,
    pub(super) age: String,
    pub(super) forget: String,
    pub(super) keep_cursors: String,
    pub(super) list_cursors: String,
    /// Writes what servers keep.
    pub(super) keep: String,
    /// Reads what servers have written of that.
    pub(super) kept: String,
    pub(super) listen: String,
    pub(super) notify: String,
    pub(super) broadcast: String,
    /// The name of the channel for broadcasts.
    pub(super) broadcast_channel: String,
    /// Whether the table stores values (jsonb) and not texts.
    pub(super) is_jsonb: bool,
}

impl Statements {
    pub(super) fn new(names: &Names, data_type: &str) -> Self {
        let fill = |template: &str| names.fill(template);
        Self {
            top: fill(
                "SELECT greatest((SELECT max(seq) FROM {events} WHERE seq <> 0), u.trimmed_seq) FROM {upkeep} u",
            ),
            page: fill(PAGE),
            raw: fill(RAW),
            take_in: fill("SELECT taken FROM {take_in}($1, $2, $3, $4, $5)"),
            publish: fill(
                "SELECT at_epoch, at_offset, refused FROM {publish}($1, $2, $3, $4, $5, $6, $7)",
            ),
            read: fill(READ),
            list: fill(LIST),
            renew: fill("SELECT {renew}($1, $2, $3)"),
            trim: fill("SELECT {trim}($1, $2, $3, $4, $5, $6, $7)"),
            age: fill("SELECT {age}($1, $2, $3, $4, $5, $6, $7)"),
            keep_cursors: fill(
                "SELECT answer, at_term, at_positions, forgotten FROM {keep_cursors}($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            ),
            list_cursors: fill(LIST_CURSORS),
            forget: fill("SELECT {forget}($1, $2, $3, $4)"),
            keep: fill(
                "INSERT INTO {keep} AS k (said) VALUES ($1) ON CONFLICT (is_single) DO UPDATE SET said = excluded.said WHERE k.said <> excluded.said",
            ),
            kept: fill("SELECT said FROM {keep}"),
            listen: fill("LISTEN {channel}"),
            notify: fill("NOTIFY {channel}"),
            broadcast: fill(&format!("SELECT pg_notify({BROADCAST_CHANNEL}, $1)")),
            broadcast_channel: fill(&format!("SELECT {BROADCAST_CHANNEL}")),
            is_jsonb: data_type == "jsonb",
        }
    }
}

/// The table's own channel, named after its oid.
const BROADCAST_CHANNEL: &str = "'tidegate_broadcast_' || '{events}'::regclass::oid::text";

/// The place up to which rows have been deleted, with each row after $1: at most $2 rows and $3 bytes, or one row that is larger. If there
/// is no such row, that place alone. Rows that are not selected come without their payload, and its size doesn't count; selected are
/// everything ($4), the topics $5, and those with the prefixes $6.
const PAGE: &str = r#"
SELECT u.trimmed_seq, p.seq, p.channel::text, p.epoch, p."offset", p.ended,
  CASE WHEN p.is_selected THEN coalesce(p.data::text, 'null') END
FROM {upkeep} u LEFT JOIN (
  SELECT s.*, sum(CASE WHEN s.is_selected THEN s.bytes ELSE 0 END)
    OVER (ORDER BY s.seq ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
  FROM (
    SELECT e.seq, e.channel, e.epoch, e."offset", e.ended, e.data, coalesce(e.bytes, 0) AS bytes,
      $4 OR e.channel COLLATE "C" = ANY ($5) OR e.channel COLLATE "C" ^@ ANY ($6) AS is_selected
    FROM {events} e WHERE e.seq > $1 AND e.seq <> 0 ORDER BY e.seq LIMIT $2) s) p
ON coalesce(p.bytes_before, 0) < $3
ORDER BY p.seq"#;

/// At most $2 rows after the row $1, except the rows $4. The text of the data is included if it has no more than $3 bytes.
const RAW: &str = r#"
SELECT r.id::bigint, r.channel::text, CASE WHEN octet_length(r.data::text) <= $3 THEN r.data::text END
FROM {events} r WHERE r.seq IS NULL AND r.id > $1 AND r.id <> ALL ($4) ORDER BY r.id LIMIT $2"#;

/// The topic $1, and what it keeps after offset $3 of epoch $2: at most $4 publications and $5 bytes, none older than $6 seconds, but the
/// latest in any case. Offset 0 of epoch 0 is before everything that it keeps.
const READ: &str = r#"
SELECT t.epoch, t."offset", h."offset", h.ended, h.data::text
FROM {topics} t LEFT JOIN LATERAL (
  SELECT e."offset", e.ended, e.data, e.placed_at, sum(e.bytes) OVER (ORDER BY e."offset" DESC) AS total
  FROM {events} e
  WHERE e.channel COLLATE "C" = t.channel AND e.epoch = t.epoch AND e.seq > 0
    AND e."offset" >= CASE
      WHEN $2 = 0 AND $3 = 0 THEN greatest(t."offset" - $4, 0) + 1
      WHEN $2 = t.epoch AND $3 <= t."offset" AND t."offset" - $3 <= $4
      THEN $3 + 1 ELSE t."offset" END) h
  ON h."offset" = t."offset"
    OR (h.total <= $5 AND h.placed_at >= clock_timestamp() - make_interval(secs => $6))
WHERE t.channel = $1
ORDER BY h."offset""#;

/// The cursors of the user $1 that were used within the last $2 seconds, and how many milliseconds ago that was.
const LIST_CURSORS: &str = r#"
SELECT c.name, c.pattern, c.positions,
  greatest(extract(epoch FROM clock_timestamp() - c.used_at) * 1000, 0)::bigint
FROM {cursors} c WHERE c.owner = $1 AND c.used_at >= clock_timestamp() - make_interval(secs => $2)
ORDER BY c.name, c.pattern"#;

/// The latest publication of each topic after $1 with the prefix $2: at most $3 of them and $4 bytes, or one that is larger. The topics are
/// selected first, and then the latest publication of each by its place, because a join of both tables would read all publications before
/// $1 for each page.
const LIST: &str = r#"
SELECT l.channel, l.epoch, l."offset", l.ended, l.data::text FROM (
  SELECT p.*, sum(p.bytes)
    OVER (ORDER BY p.channel ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS bytes_before
  FROM (
    SELECT t.channel, t.epoch, t."offset", e.ended, e.data, coalesce(e.bytes, 0) AS bytes
    FROM (
      SELECT n.channel, n.epoch, n."offset" FROM {topics} n
      WHERE n.channel > $1 AND n.channel >= $2 AND n.channel ^@ $2
      ORDER BY n.channel LIMIT $3) t
    LEFT JOIN LATERAL (
      SELECT o.ended, o.data, o.bytes FROM {events} o
      WHERE o.channel COLLATE "C" = t.channel AND o.epoch = t.epoch AND o."offset" = t."offset" AND o.seq > 0
      LIMIT 1) e ON true) p) l
WHERE coalesce(l.bytes_before, 0) < $4
ORDER BY l.channel"#;
