//! The rights that a database user needs, and the statements that grant them.

use tokio_postgres::types::Type;

use super::link::Link;
use super::schema::{FUNCTIONS, VERSION};
use crate::backend::BackendError;

/// Those of the tables $1 that this user may not use as a server does.
const TABLES: &str = "\
SELECT name FROM unnest($1) AS wanted (name) WHERE NOT (has_table_privilege(name, 'SELECT') \
AND has_table_privilege(name, 'INSERT') AND has_table_privilege(name, 'UPDATE') AND has_table_privilege(name, 'DELETE'))";

/// Those of the sequence $2, and of the sequences from which the columns of the table $1 take their defaults, that this user may not draw
/// numbers from.
const SEQUENCES: &str = "\
SELECT s.oid::regclass::text FROM pg_class s \
WHERE CASE WHEN s.relkind = 'S' THEN NOT has_sequence_privilege(s.oid, 'USAGE, UPDATE') ELSE false END AND (s.oid = to_regclass($2) OR s.oid IN (\
SELECT d.refobjid FROM pg_attrdef a JOIN pg_depend d ON d.classid = 'pg_attrdef'::regclass AND d.objid = a.oid \
WHERE a.adrelid = to_regclass($1) AND d.refclassid = 'pg_class'::regclass)) ORDER BY 1";

/// Those of the functions $1 that this user may not call.
const CALLABLES: &str = "\
SELECT name FROM unnest($1) AS wanted (name) WHERE NOT has_function_privilege(to_regproc(name), 'EXECUTE')";

/// Refuses a user that lacks a right that a server needs, with the statements that would grant it.
pub(super) async fn check(link: &Link) -> Result<(), BackendError> {
    let names = link.names();
    let own = ["topics", "upkeep", "cursors", "keep"].map(|own| names.own(own));
    let tables = [&[names.events()], &own[..]].concat();
    let functions = FUNCTIONS.map(|(function, _)| names.own(&format!("{function}_{VERSION}")));
    let sequence = names.own("seq");
    let lacking = [
        (
            "SELECT, INSERT, UPDATE, DELETE ON",
            link.query(TABLES, &[(&tables.as_slice(), Type::TEXT_ARRAY)])
                .await?,
        ),
        (
            "USAGE ON SEQUENCE",
            link.query(
                SEQUENCES,
                &[(&names.events(), Type::TEXT), (&sequence, Type::TEXT)],
            )
            .await?,
        ),
        (
            "EXECUTE ON FUNCTION",
            link.query(CALLABLES, &[(&functions.as_slice(), Type::TEXT_ARRAY)])
                .await?,
        ),
    ];
    let grants: Vec<String> = lacking
        .iter()
        .filter(|(_, rows)| !rows.is_empty())
        .map(|(right, rows)| {
            let on: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
            format!("GRANT {right} {} TO ...;", on.join(", "))
        })
        .collect();
    if grants.is_empty() {
        return Ok(());
    }
    Err(link.refused(&format!(
        "this user lacks rights; let the tables' owner run: {}",
        grants.join(" ")
    )))
}
