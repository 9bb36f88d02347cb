//! The limits of the protocol, in one place.
//!
//! Whatever an outsider can make grow has a limit, and a typed error when it is reached. The limits that an operator
//! may want to change are members of [`crate::hub::HubConfig`], [`crate::hub::ServerConfig`] and
//! [`crate::session::SessionConfig`].

use core::num::NonZeroU32;
use core::time::Duration;

use crate::rate::Rate;

/// The longest topic or pattern, in bytes.
pub const TOPIC_BYTES_MAX: usize = 255;

/// The shortest pace that timers serve.
pub const PACE_MIN: Duration = Duration::from_millis(1);

/// The longest pace, debounce or maximum wait.
pub const PACE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// The most publications that one `Collect` batch holds.
pub const COLLECT_MAX: u32 = 10_000;

/// How deeply objects and arrays of a payload may be nested. Everything that reads or stores payloads recursively has a
/// limit of its own, and none is lower.
pub const NESTING_MAX: usize = 100;

/// A `Collect` batch that holds this many bytes is full.
pub const COLLECT_BYTES_MAX: u32 = 256 * 1024;

/// Once the waiting `Collect` batches of a hub hold this many bytes together, any that grows counts as full.
pub const BATCHES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// The most idempotency keys that a topic remembers; the oldest are forgotten first.
pub const IDEMPOTENCY_KEYS_MAX: usize = 128;

/// The most topics of one pattern whose position and latest value a client remembers: those published to last.
///
/// Publications that the server retains of other topics may repeat when a subscriber resumes.
pub const CLIENT_TOPICS_MAX: usize = 8_192;

/// The most topics of one subscription whose last value a server remembers as the base of deltas: those published to
/// last. At most [`CLIENT_TOPICS_MAX`], so that the client remembers them, too.
pub const DELTA_TOPICS_MAX: usize = 1_024;

/// The most bytes of bases that a server remembers for one connection. Other topics are sent complete.
pub const DELTA_BYTES_MAX: usize = 1024 * 1024;

/// The most deltas of a hub that are kept for other connections.
pub const DELTAS_KEPT_MAX: usize = 4_096;

/// The most bytes of deltas of a hub that are kept for other connections.
pub const DELTAS_KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most patterns that the tabs of one browser follow together.
pub const ROUTES_MAX: usize = 10_000;

/// The most tabs of one browser that a tab knows of.
pub const TABS_MAX: usize = 256;

/// The most bytes that the positions of a resuming subscription may take up in its frame.
pub const SINCE_BYTES_MAX: usize = 512 * 1024;

/// The most publications that one subscription by pattern recovers. A topic beyond them is reset to its latest value.
pub const RECOVERED_MAX: usize = 10_000;

/// The most publishers without a connection whose rate is tracked at a time. Each is forgotten once it has its full
/// burst again.
pub const PUBLISHERS_MAX: usize = 100_000;

/// The longest name of a group of tabs, in bytes.
pub const GROUP_BYTES_MAX: usize = 64;

/// How long a server remembers disconnects, for servers that could not hear of them at the time.
pub const DISCONNECTS_KEPT_FOR: Duration = Duration::from_secs(600);

/// The most disconnects that a server remembers; the oldest are forgotten first.
pub const DISCONNECTS_MAX: usize = 10_000;

/// How long a draining server takes for each connection, if the operator's limit allows: five hundred clients per
/// second go to its successor.
pub const DRAIN_PER_CONNECTION: Duration = Duration::from_millis(2);

/// The longest token or client name in a `hello`, in bytes.
pub const HELLO_FIELD_BYTES_MAX: usize = 8 * 1024;

/// How many bytes of an incomplete message count as a sign of life. Fewer don't, so a client that sends a byte now and
/// then, and never a complete message, can't keep its connection.
pub const PART_BYTES_MIN: usize = 16 * 1024;

/// The most frames that wait while the token of a `hello` is being checked.
pub const FRAMES_HELD_MAX: usize = 1_024;

/// A client with more subscriptions than this waits for its welcome before it requests them: together with its other
/// requests, they must not be more frames than may wait for that.
pub const EARLY_FRAMES_MAX: usize = FRAMES_HELD_MAX / 2;

/// How often one connection may send a token: checking one costs a signature verification, or a call of the
/// application.
pub const TOKEN_RATE: Rate = Rate {
    per_second: NonZeroU32::new(1).expect("one is not zero"),
    burst: NonZeroU32::new(8).expect("eight is not zero"),
};

/// The longest name of a durable subscription, in bytes.
pub const DURABLE_NAME_BYTES_MAX: usize = 128;

/// The most topics of a durable subscription whose positions are stored: those acknowledged last. Publications that are
/// kept of other topics may be delivered again.
pub const DURABLE_TOPICS_MAX: usize = 1_000;

/// The most publications of one topic that a client has handed to the handler of a durable subscription, and that
/// aren't processed yet. Beyond these, nothing more of the topic is acknowledged until the client starts anew.
pub const UNHANDLED_MAX: usize = 8_192;
