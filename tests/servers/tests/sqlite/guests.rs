//! Programs that use the file without being a server.

use tidegate::backend::{Keep, Sqlite};
use tidegate_server_tests::guests::Inside;

use crate::place::File;

fn inside(file: &File) -> Inside<impl Fn(Keep) -> Sqlite, impl Fn(&str) -> usize, impl Fn()> {
    Inside {
        backend: |keep| Sqlite::new(file.path(), keep).expect("a path"),
        count: |name: &str| {
            let sql = "SELECT count(*) FROM pubsub_events WHERE channel = ?1 AND seq > 0";
            let counted = file
                .program()
                .query_row(sql, [name], |row| row.get::<_, isize>(0));
            counted.expect("a number").cast_unsigned()
        },
        make_old: || {
            let dropped = file.program().execute_batch("DROP TABLE tidegate_keep");
            dropped.expect("it is there");
        },
    }
}

#[tokio::test]
async fn they_keep_what_a_server_kept() {
    let file = File::new();
    inside(&file).guests_keep_what_a_server_kept().await;
}

#[tokio::test]
async fn they_bound_what_no_server_has_said_anything_of() {
    let file = File::new();
    inside(&file)
        .guests_bound_what_no_server_has_said_anything_of()
        .await;
}
