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

/// How deeply objects and arrays of a payload may be nested: what reads or stores them, and goes down into each, has a limit of its own,
/// which is nowhere lower.
pub const NESTING_MAX: usize = 100;

/// Once the publications of a `Collect` batch hold so many bytes, it is full.
pub const COLLECT_BYTES_MAX: u32 = 256 * 1024;

/// Once the `Collect` batches of a hub that wait for their time hold so many bytes together, each that grows is full.
pub const BATCHES_BYTES_MAX: usize = 256 * 1024 * 1024;

/// The longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// The idempotency keys that a topic remembers, newest first to stay.
pub const IDEMPOTENCY_KEYS_MAX: usize = 128;

/// The topics of one pattern whose position and latest value a client remembers: those that published last.
///
/// What a topic beyond them retained may reach a resuming subscriber again.
pub const CLIENT_TOPICS_MAX: usize = 8_192;

/// The topics of one subscription whose last value a server remembers to send what has changed: those that published last. At most
/// [`CLIENT_TOPICS_MAX`], so that the client remembers them, too.
pub const DELTA_TOPICS_MAX: usize = 1_024;

/// The most bytes of last values that a server remembers for one connection. Topics beyond them are sent whole.
pub const DELTA_BYTES_MAX: usize = 1024 * 1024;

/// The most deltas of a hub that are kept for further subscribers.
pub const DELTAS_KEPT_MAX: usize = 4_096;

/// The most bytes of deltas of a hub that are kept for further subscribers.
pub const DELTAS_KEPT_BYTES_MAX: usize = 4 * 1024 * 1024;

/// The most patterns that the tabs of one browser follow together.
pub const ROUTES_MAX: usize = 10_000;

/// The most tabs of one browser that a tab knows of.
pub const TABS_MAX: usize = 256;

/// The most bytes that the positions of a resuming subscription take in its frame.
pub const SINCE_BYTES_MAX: usize = 512 * 1024;

/// The most publications that one subscription by pattern recovers. A topic beyond them is reset to its latest value.
pub const RECOVERED_MAX: usize = 10_000;

/// The most publishers without a connection whose rate is limited at a time. Each is forgotten once it may publish as often at once
/// as after a pause.
pub const PUBLISHERS_MAX: usize = 100_000;

/// The longest name of a group of tabs, in bytes.
pub const GROUP_BYTES_MAX: usize = 64;

/// For so long a server remembers whose connections were ended, to tell servers that could not hear of it at the time.
pub const DISCONNECTS_KEPT_FOR: Duration = Duration::from_secs(600);

/// The most disconnects that a server remembers. Beyond them the oldest is forgotten.
pub const DISCONNECTS_MAX: usize = 10_000;

/// How long a server that drains takes for each of its connections, where the operator leaves it the time: five hundred
/// clients a second come to its successor.
pub const DRAIN_PER_CONNECTION: Duration = Duration::from_millis(2);

/// The longest token or client name that a hello may carry, in bytes.
pub const HELLO_FIELD_BYTES_MAX: usize = 8 * 1024;

/// So many bytes of a message that is not complete yet are a sign of life. Fewer, since the last sign, are none: who sends a byte now
/// and then, and never a whole message, is not to hold a connection for it.
pub const PART_BYTES_MIN: usize = 16 * 1024;

/// The most frames that wait while the token of a client's first one is looked at.
pub const FRAMES_HELD_MAX: usize = 1_024;

/// With more subscriptions than this a client waits for the answer to its hello before it asks for them: they and what
/// else it wants must not be more frames than wait for that answer.
pub const EARLY_FRAMES_MAX: usize = FRAMES_HELD_MAX / 2;

/// How often one connection may show a token: looking at one costs a signature, or a question to an application.
pub const TOKEN_RATE: Rate = Rate {
    per_second: NonZeroU32::new(1).expect("one is not zero"),
    burst: NonZeroU32::new(8).expect("eight is not zero"),
};

/// The longest name of a durable subscription, in bytes.
pub const DURABLE_NAME_BYTES_MAX: usize = 128;

/// The most topics of a durable subscription whose positions are stored: those that were acknowledged last. What a topic
/// beyond them keeps may reach its device again.
pub const DURABLE_TOPICS_MAX: usize = 1_000;

/// The most publications of one topic that a client has handed to a durable subscription's handler and that are not dealt
/// with. Beyond them nothing more of the topic is acknowledged until the client starts anew.
pub const UNHANDLED_MAX: usize = 8_192;
