//! The server: its sessions, what it lets them do, how it sheds and how it ends.

mod access;
mod becoming_durable;
mod draining;
mod durable;
mod early_timers;
mod handing_over;
mod late_copies;
mod local_connection;
mod rates;
mod resume;
mod session;
mod slow_consumer;
mod slow_policies;
mod staleness;
mod superseded_connections;
mod superseded_elsewhere;
mod terminal;
mod unanswered;
mod uplink_batches;
mod uplink_copies;
mod uplink_epochs;
mod uplink_losses;
mod uplink_reads;
mod uplink_resume;
