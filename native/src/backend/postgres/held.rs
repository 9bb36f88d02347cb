//! A connection, and what becomes of the statement that runs on it when it is given up.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::runtime::Handle;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, CancelToken, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::Link;

/// How long a server may take to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// A connection of a link.
///
/// A server that waits for a lock doesn't notice that nobody waits for its answer any more. So where the link was given up
/// because an answer did not come, the statement is cancelled, however this is dropped.
pub(super) struct Held<S>
where
    S: TlsStream + Unpin + Send + 'static,
{
    connection: Option<Connection<Socket, S>>,
    cancel: CancelToken,
    tls: MakeRustlsConnect,
    link: Arc<Link>,
}

impl<S> Held<S>
where
    S: TlsStream + Unpin + Send + 'static,
{
    pub(super) fn new(
        link: &Arc<Link>,
        connection: Connection<Socket, S>,
        cancel: CancelToken,
        tls: MakeRustlsConnect,
    ) -> Self {
        Self {
            connection: Some(connection),
            cancel,
            tls,
            link: Arc::clone(link),
        }
    }

    /// What the server says next on its own account; nothing at the end.
    pub(super) async fn message(&mut self) -> Option<Result<AsyncMessage, Error>> {
        match &mut self.connection {
            Some(connection) => poll_fn(|context| connection.poll_message(context)).await,
            None => None,
        }
    }
}

impl<S> Drop for Held<S>
where
    S: TlsStream + Unpin + Send + 'static,
{
    fn drop(&mut self) {
        let Some(mut connection) = self.connection.take() else {
            return;
        };
        if !self.link.is_unanswered() {
            return;
        }
        // Where there is no runtime any more, the process is about to end.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let (cancel, tls) = (self.cancel.clone(), self.tls.clone());
        runtime.spawn(tokio::time::timeout(CANCEL_TIMEOUT, async move {
            if cancel.cancel_query(tls).await.is_ok() {
                // A pooler knows whose statement is meant only while the connection stands.
                while let Some(Ok(_)) = poll_fn(|context| connection.poll_message(context)).await {}
            }
        }));
    }
}
