//! What slow connections cost, summed up.

/// What waits for connections that are behind, and what they have lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The bytes that wait for connections that are behind, by the estimate that limits count.
    pub waiting_bytes: usize,
    /// What they have lost.
    pub losses: Losses,
}

/// What connections that were behind have lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Publications that a newer one took the place of, as their subscriptions wanted it.
    pub conflated: u64,
    /// Publications that were dropped, and told.
    pub lagged: u64,
    /// The bytes of what was dropped.
    pub shed_bytes: u64,
}

impl Losses {
    /// Adds others to these.
    pub const fn add(&mut self, other: Self) {
        self.conflated += other.conflated;
        self.lagged += other.lagged;
        self.shed_bytes += other.shed_bytes;
    }
}
