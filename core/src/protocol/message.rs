//! How a client's frames are joined to messages.

/// No frame is added that would make a message longer than this, in bytes. A single frame may be longer.
const JOINED_BYTES_MAX: usize = 16 * 1024;

/// How many bytes brackets and a comma add to a frame.
const JOINT_BYTES: usize = 2;

/// Tracks how full the current message is.
///
/// Frames that are sent together are joined to one message while that stays short, because a server closes connections
/// whose messages are too long, however short their frames are.
#[derive(Debug, Default)]
pub struct MessageRoom {
    bytes: usize,
}

impl MessageRoom {
    /// An empty message.
    pub const fn new() -> Self {
        Self { bytes: 0 }
    }

    /// Adds a frame of this size to the current message, or to a new one. Returns whether the frame begins a new
    /// message, so that the earlier frames are sent without it. `message_bytes_max` is what the server accepts, if
    /// known.
    pub fn begins(&mut self, bytes: usize, message_bytes_max: Option<u64>) -> bool {
        let most = message_bytes_max.and_then(|most| usize::try_from(most).ok());
        let most = most.map_or(JOINED_BYTES_MAX, |most| most.min(JOINED_BYTES_MAX));
        let joined = self.bytes.saturating_add(bytes).saturating_add(JOINT_BYTES);
        let begins = self.bytes == 0 || joined > most;
        self.bytes = if begins {
            bytes.saturating_add(JOINT_BYTES)
        } else {
            joined
        };
        begins
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// The lengths of the messages that frames of these lengths are sent in; several frames form a JSON array.
    fn messages(frames: &[usize], message_bytes_max: Option<u64>) -> Vec<usize> {
        let mut room = MessageRoom::new();
        let mut messages: Vec<Vec<usize>> = vec![];
        for frame in frames {
            if room.begins(*frame, message_bytes_max) {
                messages.push(vec![]);
            }
            messages.last_mut().unwrap().push(*frame);
        }
        let length = |message: &Vec<usize>| match message.len() {
            1 => message[0],
            several => message.iter().sum::<usize>() + several + 1,
        };
        messages.iter().map(length).collect()
    }

    #[test]
    fn short_frames_leave_together() {
        assert_eq!(messages(&[100; 100], None), [100 * 100 + 101]);
    }

    proptest::proptest! {
        #[test]
        fn no_message_is_longer_than_its_frames_need(
            frames in proptest::collection::vec(1..20_000_usize, 0..50),
            most in proptest::option::of(1..40_000_u64),
        ) {
            let bound = most.map_or(JOINED_BYTES_MAX, |most| JOINED_BYTES_MAX.min(usize::try_from(most).unwrap()));
            let longest = frames.iter().copied().max().unwrap_or(0);
            for message in messages(&frames, most) {
                proptest::prop_assert!(message <= bound.max(longest));
            }
        }
    }
}
