//! Bodies of requests that are under way: how many bytes they have together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Room for bodies.
#[derive(Debug)]
pub(crate) struct Bodies {
    held: AtomicUsize,
    bytes_max: usize,
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
    "requests with {bytes_max} bytes are under way, and no more are taken; nothing was published; try again later"
)]
pub(crate) struct NoRoom {
    bytes_max: usize,
}

impl Bodies {
    pub(crate) fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self {
            held: AtomicUsize::new(0),
            bytes_max,
        })
    }

    /// Room for a body of which nothing has come.
    pub(crate) fn begin(self: &Arc<Self>) -> Room {
        Room {
            bodies: Arc::clone(self),
            bytes: 0,
        }
    }
}

impl Room {
    /// Takes room for bytes that have come: what a request merely announces takes none from others.
    ///
    /// # Errors
    /// There is none left.
    pub(crate) fn take(&mut self, bytes: usize) -> Result<(), NoRoom> {
        let bytes_max = self.bodies.bytes_max;
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
            let bodies = Bodies::new(100);
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
                prop_assert_eq!(bodies.held.load(Ordering::Relaxed), model.iter().sum::<usize>());
            }
        }
    }
}
