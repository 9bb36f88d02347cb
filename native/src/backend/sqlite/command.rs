//! Commands to the thread that owns the file, and why it ends.

use tidegate_core::durable::{CursorAnswer, CursorCall};
use tidegate_core::history::Excerpt;
use tidegate_core::hub::PublishError;
use tidegate_core::protocol::PublishRequest;
use tidegate_core::publication::Position;
use tidegate_core::topic::{Pattern, Topic};
use tidegate_core::uplink::Page;
use tokio::sync::oneshot;

use crate::backend::BackendError;
use crate::json::Json;

pub(super) type Reply<T> = oneshot::Sender<Result<T, BackendError>>;
pub(super) type Published = Vec<Result<Position, PublishError>>;

/// A command to the thread.
pub(super) enum Command {
    Publish {
        batch: Vec<PublishRequest<Json>>,
        reply: Reply<Published>,
    },
    Follow {
        patterns: Vec<Pattern>,
        reply: Reply<()>,
    },
    Unfollow {
        patterns: Vec<Pattern>,
        reply: Reply<()>,
    },
    Read {
        topic: Topic,
        since: Option<Position>,
        reply: Reply<Excerpt<Json>>,
    },
    List {
        page: Page,
        reply: Reply<Vec<Excerpt<Json>>>,
    },
    Renew {
        topic: Topic,
        epoch: u64,
        reply: Reply<()>,
    },
    Cursors {
        calls: Vec<CursorCall>,
        reply: Reply<Vec<CursorAnswer>>,
    },
    Broadcast {
        message: String,
        reply: Reply<()>,
    },
    Probe {
        reply: Reply<()>,
    },
    /// Another backend in this process has written to the file.
    Look,
    Close,
}

/// Why the thread ends.
pub(super) enum Ending {
    Closed,
    Lost(BackendError),
}
