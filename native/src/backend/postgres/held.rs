//! A connection, and what happens to the statement that is running on it when it is given up.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::poll_fn;
use tokio::runtime::Handle;
use tokio_postgres::tls::TlsStream;
use tokio_postgres::{AsyncMessage, CancelToken, Client, Connection, Error, Socket};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::link::Link;

/// How long a server may take to cancel a statement.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// Cancels what is running on a connection.
#[derive(Clone)]
pub(super) struct Cancel {
    token: CancelToken,
    tls: MakeRustlsConnect,
}

impl fmt::Debug for Cancel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Cancel").finish_non_exhaustive()
    }
}

impl Cancel {
    pub(super) fn new(client: &Client, tls: MakeRustlsConnect) -> Self {
        let token = client.cancel_token();
        Self { token, tls }
    }

    /// Asks the server to cancel, on a separate connection. Returns whether the request was sent.
    pub(super) async fn ask(&self) -> bool {
        let asking = self.token.cancel_query(self.tls.clone());
        matches!(
            tokio::time::timeout(CANCEL_TIMEOUT, asking).await,
            Ok(Ok(()))
        )
    }
}

/// A connection of a link.
///
/// A server that waits for a lock doesn't notice that nobody waits for its answer any more. So if the link was given up because an answer
/// didn't arrive, the statement is cancelled, however this is dropped.
pub(super) struct Held<S>
where
    S: TlsStream + Unpin + Send + 'static,
{
    connection: Option<Connection<Socket, S>>,
    cancel: Cancel,
    link: Arc<Link>,
}

impl<S> Held<S>
where
    S: TlsStream + Unpin + Send + 'static,
{
    pub(super) fn new(link: &Arc<Link>, connection: Connection<Socket, S>, cancel: Cancel) -> Self {
        Self {
            connection: Some(connection),
            cancel,
            link: Arc::clone(link),
        }
    }

    /// The server's next asynchronous message; `None` at the end.
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
        // If there is no runtime any more, the process is about to end.
        let Ok(runtime) = Handle::try_current() else {
            return;
        };
        let cancel = self.cancel.clone();
        runtime.spawn(tokio::time::timeout(CANCEL_TIMEOUT, async move {
            if cancel.ask().await {
                // A pooler can only tell whose statement is meant while the connection is open.
                while let Some(Ok(_)) = poll_fn(|context| connection.poll_message(context)).await {}
            }
        }));
    }
}
