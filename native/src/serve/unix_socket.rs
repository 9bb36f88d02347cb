//! A socket in the file system: who may connect, and what becomes of its file.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use tokio::net::{UnixListener, UnixStream};

/// Who may connect: the owner of the process and their group, such as a proxy's.
const MODE: u32 = 0o660;

/// A listener, and the file that it made.
#[derive(Debug)]
pub(super) struct UnixSocket {
    listener: UnixListener,
    file: Option<File>,
}

#[derive(Debug)]
struct File {
    path: PathBuf,
    /// Device and inode, to tell the file from one that a successor has put in its place.
    identity: (u64, u64),
}

impl UnixSocket {
    /// Creates the socket. It replaces one that nobody listens on any more.
    pub(super) async fn bind(path: &Path) -> io::Result<Self> {
        if is_left_behind(path).await {
            fs::remove_file(path)?;
        }
        let listener = UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(MODE))?;
        let file = identity(path).map(|identity| File {
            path: path.to_owned(),
            identity,
        });
        Ok(Self { listener, file })
    }

    pub(super) async fn accept(&self) -> io::Result<UnixStream> {
        let (stream, _) = self.listener.accept().await?;
        Ok(stream)
    }
}

/// A socket that was inherited: whoever created its file also removes it.
impl From<UnixListener> for UnixSocket {
    fn from(listener: UnixListener) -> Self {
        Self {
            listener,
            file: None,
        }
    }
}

impl fmt::Display for UnixSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            Some(file) => write!(f, "unix:{}", file.path.display()),
            None => f.write_str("an inherited Unix socket"),
        }
    }
}

impl Drop for UnixSocket {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && identity(&file.path) == Some(file.identity)
        {
            // If this fails, the next server replaces the file.
            let _ = fs::remove_file(&file.path);
        }
    }
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let known = fs::symlink_metadata(path).ok()?;
    Some((known.dev(), known.ino()))
}

/// Whether there is a socket at this path that nobody listens on. Anything else at the path is left alone.
async fn is_left_behind(path: &Path) -> bool {
    let is_socket = fs::symlink_metadata(path).is_ok_and(|known| known.file_type().is_socket());
    if !is_socket {
        return false;
    }
    let connected = UnixStream::connect(path).await;
    connected.is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}
