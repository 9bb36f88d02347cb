//! The tabs of a browser: who leads, what they share, and whom they believe.

mod converges;
mod durable;
mod goodbyes;
mod leading;
mod lost_pings;
mod messages;
mod pace;
mod pauses;
mod probes;
mod rules;
mod sharing;
mod superseded;
mod tokens;
