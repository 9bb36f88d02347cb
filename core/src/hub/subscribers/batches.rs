//! The bytes in batches that wait for their subscriptions' pace.

use super::Subscribers;
use crate::limits::BATCHES_BYTES_MAX;
use crate::payload::Payload;

impl<P: Payload, T> Subscribers<P, T> {
    /// The size of a gate's batch has changed. If all batches together are too large, a batch that has grown is emitted
    /// early.
    pub(super) fn count_batch(&mut self, gate: u32, batch_bytes: u32) {
        let slot = &mut self.gates[gate as usize];
        let others = self.batches_bytes - slot.batch_bytes as usize;
        let has_grown = batch_bytes > slot.batch_bytes;
        if has_grown && others + batch_bytes as usize > BATCHES_BYTES_MAX {
            slot.gate.handle_full();
        }
        slot.batch_bytes = slot.gate.batch_bytes();
        self.batches_bytes = others + slot.batch_bytes as usize;
    }

    /// The bytes in batches that wait for their subscriptions' pace.
    pub(crate) const fn batches_bytes(&self) -> usize {
        self.batches_bytes
    }
}

#[cfg(test)]
impl<P: Payload, T> Subscribers<P, T> {
    /// The bytes in all batches, gate by gate.
    pub(in crate::hub) fn waiting_in_batches(&self) -> usize {
        let gates = self.gates.iter();
        gates.map(|(_, it)| it.gate.batch_bytes() as usize).sum()
    }
}
