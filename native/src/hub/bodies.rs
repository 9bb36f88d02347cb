//! Limits how many bytes the bodies of requests and unfinished WebSocket messages hold together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

/// How long a message may take while room is scarce, that is, while more than half of it is taken. Otherwise, a long message only has to
/// make progress. But a client that sends many messages slowly must not keep the room from all others for that long.
const SCARCE_AFTER: Duration = Duration::from_secs(30);

/// Room for bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    held: AtomicUsize,
    bytes_max: usize,
    /// The part of that for clients that have not authenticated.
    strangers_bytes_max: usize,
}

/// The room of one body, which is given back when this is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bodies: Arc<Bodies>,
    bytes: usize,
}

/// There is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "requests and messages in progress have reached their limit of {bytes_max} bytes; nothing was published; try again later"
)]
pub(crate) struct NoRoom {
    bytes_max: usize,
}

impl Bodies {
    /// Room for `bytes_max` bytes, and at least for one body of the largest size.
    pub(crate) fn new(bytes_max: usize, body_bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            bytes_max: bytes_max.max(body_bytes_max),
            strangers_bytes_max: (bytes_max / 2).max(body_bytes_max),
        })
    }

    /// How many bytes can be taken.
    pub(crate) const fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// How many bytes have been taken.
    pub(crate) fn held(&self) -> usize {
        self.held.load(Ordering::Relaxed)
    }

    /// Room for a body of which nothing has arrived yet.
    pub(crate) fn begin(self: &Arc<Self>) -> Room {
        Room {
            bodies: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Room {
    /// Takes room for bytes that have arrived. A length that a request merely announces takes none.
    ///
    /// # Errors
    /// If there is no room left.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        self.take_up_to(bytes, self.bodies.bytes_max)
    }

    /// Takes or gives back room, so that it is `bytes`, the part of a message that has arrived and is kept. `age` is how long the message
    /// has taken so far. Clients that have not authenticated leave half of the room to others, and so do messages that take long.
    ///
    /// # Errors
    /// If there is no room left.
    pub(crate) fn hold(
        &mut self,
        bytes: usize,
        is_stranger: bool,
        age: Duration,
    ) -> Result<(), NoRoom> {
        let scarce_above = self.bodies.bytes_max / 2;
        if age >= SCARCE_AFTER && self.bodies.held() > scarce_above {
            return Err(NoRoom {
                bytes_max: scarce_above,
            });
        }
        if let Some(less) = self.bytes.checked_sub(bytes) {
            self.bodies.held.fetch_sub(less, Ordering::Relaxed);
            self.bytes = bytes;
            return Ok(());
        }
        let bodies = &self.bodies;
        let bytes_max = if is_stranger {
            bodies.strangers_bytes_max
        } else {
            bodies.bytes_max
        };
        self.take_up_to(bytes - self.bytes, bytes_max)
    }

    fn take_up_to(&mut self, bytes: usize, bytes_max: usize) -> Result<(), NoRoom> {
        let taken = |held: usize| held.checked_add(bytes).filter(|held| *held <= bytes_max);
        let held = &self.bodies.held;
        held.fetch_update(Ordering::Relaxed, Ordering::Relaxed, taken)
            .map_err(|_| NoRoom { bytes_max })?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.bodies.held.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bodies_share_their_room_and_give_it_back(
            chunks in prop::collection::vec((0..4_usize, 0..50_usize, any::<bool>()), 0..60),
        ) {
            let bodies = Bodies::new(100, 1);
            let mut rooms: [Room; 4] = std::array::from_fn(|_| bodies.begin());
            let mut model = [0; 4];
            for (body, bytes, ends) in chunks {
                let fits = model.iter().sum::<usize>() + bytes <= 100;
                prop_assert_eq!(rooms[body].take(bytes).is_ok(), fits);
                model[body] += if fits { bytes } else { 0 };
                if ends {
                    rooms[body] = bodies.begin();
                    model[body] = 0;
                }
                prop_assert_eq!(bodies.held(), model.iter().sum::<usize>());
            }
        }

        #[test]
        fn strangers_and_who_takes_long_leave_half_of_the_room_to_others(
            held in prop::collection::vec((0..4_usize, 0..80_usize, any::<bool>(), 0..60_u64), 0..60),
        ) {
            let bodies = Bodies::new(100, 1);
            let mut rooms: [Room; 4] = std::array::from_fn(|_| bodies.begin());
            let mut model = [0; 4];
            for (body, bytes, is_stranger, age) in held {
                let others = model.iter().sum::<usize>() - model[body];
                let most = if is_stranger { 50 } else { 100 };
                let is_late = age >= 30 && others + model[body] > 50;
                let fits = !is_late && (bytes <= model[body] || others + bytes <= most);
                let age = Duration::from_secs(age);
                prop_assert_eq!(rooms[body].hold(bytes, is_stranger, age).is_ok(), fits);
                model[body] = if fits { bytes } else { model[body] };
                prop_assert_eq!(bodies.held(), model.iter().sum::<usize>());
            }
        }
    }
}
