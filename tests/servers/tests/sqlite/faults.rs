//! Faults of files, and how the backend handles them.

use std::path::Path;

use futures_util::FutureExt as _;
use tidegate::backend::{Backend, BackendError, Feed, Sqlite};
use tidegate_core::publication::Position;
use tidegate_server_tests::heard::Heard;
use tidegate_tests::topic;

use crate::place::{File, long_keep, open, publish, try_publish};

/// A feed that nobody listens to.
fn deaf() -> Feed {
    Heard::new().0
}

/// Publishes until there is an error; returns the number of stored publications with it.
async fn fill(backend: &Sqlite) -> (u64, BackendError) {
    let text = format!("\"{}\"", "x".repeat(8 * 1024));
    for stored in 0..10_000 {
        match try_publish(backend, "job:1", &text).await {
            Ok(published) => assert_eq!(published.unwrap().offset, stored + 1),
            Err(error) => return (stored, error),
        }
    }
    panic!("it is never full");
}

#[tokio::test]
async fn a_full_file_refuses_until_there_is_room_and_goes_on_by_itself() {
    let file = File::new();
    let limited = Sqlite::new(file.path(), long_keep())
        .unwrap()
        .with_bytes_max(256 * 1024);
    let mut heard = open(&limited).await;
    let (stored, error) = fill(&limited).await;
    assert!(matches!(error, BackendError::Full { .. }), "{error}");
    let kept = limited
        .read(&topic("job:1"), Some(Position::default()))
        .await
        .unwrap();
    assert_eq!(kept.publications.len() as u64, stored);
    let sql = "DELETE FROM pubsub_events WHERE \"offset\" < 5";
    file.program().execute(sql, []).unwrap();
    assert_eq!(publish(&limited, "job:1", "1").await.offset, stored + 1);
    heard.lines(usize::try_from(stored + 1).unwrap()).await;
}

#[tokio::test]
async fn a_publication_that_does_not_fit_does_not_keep_others_out() {
    let file = File::new();
    let limited = Sqlite::new(file.path(), long_keep())
        .unwrap()
        .with_bytes_max(256 * 1024);
    let _heard = open(&limited).await;
    let large = format!("\"{}\"", "x".repeat(512 * 1024));
    let (refused, first, second) = tokio::join!(
        try_publish(&limited, "large", &large),
        try_publish(&limited, "small", "1"),
        try_publish(&limited, "small", "2"),
    );
    assert!(
        matches!(refused, Err(BackendError::Full { .. })),
        "{refused:?}"
    );
    assert_eq!(first.unwrap().unwrap().offset, 1);
    assert_eq!(second.unwrap().unwrap().offset, 2);
}

/// A small disk, which is removed with this value.
#[cfg(target_os = "linux")]
struct Disk {
    directory: tempfile::TempDir,
}

#[cfg(target_os = "linux")]
impl Disk {
    fn mount() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let disk = Self { directory };
        disk.mount_with("size=1m");
        disk
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    fn mount_with(&self, options: &str) {
        let mut mount = std::process::Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", options, "tmpfs"])
            .arg(self.path());
        let output = mount.output().expect("mount is installed");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "this user may not mount: {said}");
    }
}

#[cfg(target_os = "linux")]
impl Drop for Disk {
    fn drop(&mut self) {
        // A lazy unmount: the disk disappears once it is no longer in use.
        let _ = std::process::Command::new("umount")
            .arg("-l")
            .arg(self.path())
            .output();
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
#[ignore = "mounts a disk, which needs the right to; the limit of the file's size stands for it elsewhere"]
async fn a_full_disk_refuses_until_there_is_room_and_goes_on_by_itself() {
    let disk = Disk::mount();
    let backend = Sqlite::new(disk.path().join("topics.db"), long_keep()).unwrap();
    let mut heard = open(&backend).await;
    let (stored, error) = fill(&backend).await;
    assert!(matches!(error, BackendError::Full { .. }), "{error}");
    let again = try_publish(&backend, "job:1", &format!("\"{}\"", "x".repeat(8 * 1024))).await;
    assert!(matches!(again, Err(BackendError::Full { .. })), "{again:?}");
    disk.mount_with("remount,size=8m");
    assert_eq!(publish(&backend, "job:1", "1").await.offset, stored + 1);
    let kept = backend
        .read(&topic("job:1"), Some(Position::default()))
        .await
        .unwrap();
    assert_eq!(kept.publications.len() as u64, stored + 1);
    heard.lines(usize::try_from(stored + 1).unwrap()).await;
    backend.close().await.unwrap();
}

#[tokio::test]
async fn what_is_no_database_is_refused_and_left_as_it_is() {
    let file = File::new();
    let text = "It was a dark and stormy night. ".repeat(1_000);
    std::fs::write(file.path(), &text).unwrap();
    let error = file.backend().open(deaf()).await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected { .. }), "{error}");
    assert!(error.to_string().contains("move the file"), "{error}");
    assert_eq!(std::fs::read_to_string(file.path()).unwrap(), text);
}

#[tokio::test]
async fn a_damaged_database_is_told_as_such() {
    let file = File::new();
    let (backend, _heard) = file.open().await;
    fill_a_little(&backend).await;
    backend.close().await.unwrap();
    let mut bytes = std::fs::read(file.path()).unwrap();
    bytes[4096..].fill(0xA5);
    std::fs::write(file.path(), bytes).unwrap();
    let error = file.backend().open(deaf()).await.unwrap_err();
    assert!(matches!(error, BackendError::Unexpected { .. }), "{error}");
}

async fn fill_a_little(backend: &Sqlite) {
    for number in 0..50 {
        publish(backend, "job:1", &number.to_string()).await;
    }
}

#[tokio::test]
async fn a_removed_file_is_a_lost_link_and_opening_again_makes_another() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    publish(&backend, "job:1", "1").await;
    std::fs::remove_file(file.path()).unwrap();
    let error = try_publish(&backend, "job:1", "2").await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    let told = heard.lost().await;
    assert!(told.to_string().contains("removed or replaced"), "{told}");
    assert!(heard.rest().is_empty(), "it is told once");
    let mut heard = open(&backend).await;
    assert_eq!(publish(&backend, "job:1", "3").await.offset, 1);
    assert_eq!(heard.lines(1).await, ["1 3"]);
}

#[tokio::test]
async fn a_replaced_file_is_noticed_without_a_call() {
    let (file, other) = (File::new(), File::new());
    let (backend, mut heard) = file.open().await;
    let (another, _heard) = other.open().await;
    publish(&another, "from:elsewhere", "1").await;
    another.close().await.unwrap();
    std::fs::rename(other.path(), file.path()).unwrap();
    heard.lost().await;
    // The old file's log must not be applied to the new one.
    for suffix in ["-wal", "-shm"] {
        let mut name = file.path().into_os_string();
        name.push(suffix);
        let _ = std::fs::remove_file(name);
    }
    let _heard = open(&backend).await;
    let kept = backend.read(&topic("from:elsewhere"), None).await.unwrap();
    assert_eq!(kept.position.offset, 1);
    backend.close().await.unwrap();
}

#[tokio::test]
async fn a_path_that_can_not_work_is_told_with_what_to_do() {
    let file = File::new();
    let missing = file.path().join("deeper/topics.db");
    let error = Sqlite::new(missing, long_keep())
        .unwrap()
        .open(deaf())
        .await
        .unwrap_err();
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("make it"), "{error}");
    for wrong in [Path::new(""), file.path().parent().unwrap()] {
        let error = Sqlite::new(wrong, long_keep()).unwrap_err();
        assert!(matches!(error, BackendError::Address { .. }), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_may_not_be_written_is_refused() {
    let file = File::new();
    // A file that nobody can write to: permissions would not stop root, which tests may run as.
    let error = Sqlite::new("/proc/version", long_keep())
        .unwrap()
        .open(deaf())
        .await
        .unwrap_err();
    assert!(
        !matches!(
            error,
            BackendError::Full { .. } | BackendError::Closed { .. }
        ),
        "{error}"
    );
    assert!(!file.path().exists());
}

#[tokio::test]
async fn a_transaction_that_stays_open_holds_up_publishers_and_nobody_else() {
    let file = File::new();
    let (backend, mut heard) = file.open().await;
    publish(&backend, "job:1", "1").await;
    let program = file.program();
    program.execute_batch("BEGIN IMMEDIATE").unwrap();
    let kept = backend.read(&topic("job:1"), None).await.unwrap();
    assert_eq!(kept.position.offset, 1);
    let error = try_publish(&backend, "job:1", "2").await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("locked"), "{error}");
    program.execute_batch("COMMIT").unwrap();
    assert_eq!(publish(&backend, "job:1", "3").await.offset, 2);
    assert_eq!(heard.lines(2).await, ["1 1", "2 3"]);
}

#[tokio::test]
async fn a_backend_that_is_not_open_says_so() {
    let backend = File::new().backend();
    let error = try_publish(&backend, "job:1", "1").await.unwrap_err();
    assert!(matches!(error, BackendError::Unreachable { .. }), "{error}");
    backend.close().await.unwrap();
    let error = backend.probe().await.unwrap_err();
    assert!(matches!(error, BackendError::Closed { .. }), "{error}");
}

#[tokio::test]
async fn an_opening_that_ends_after_the_next_one_leaves_that_ones_link_alone() {
    let file = File::new();
    let backend = file.backend();
    let mut early = backend.open(deaf());
    assert_eq!((&mut early).now_or_never(), None);
    let mut heard = open(&backend).await;
    early.await.unwrap_err();
    publish(&backend, "job:1", "1").await;
    assert_eq!(heard.lines(1).await, ["1 1"]);
}
