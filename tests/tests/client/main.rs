//! The client: its connection, its subscriptions, its publishes and its tokens.

mod access_renewed;
mod beside_devices;
mod broken_links;
mod connection;
mod disconnected;
mod durable;
mod going_back;
mod hurry;
mod joins;
mod late_subscribers;
mod loss_while_joining;
mod lost_tails;
mod moving;
mod publishes;
mod slow;
mod subscriptions;
mod token_renewal;
