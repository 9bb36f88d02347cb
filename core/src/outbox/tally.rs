//! Totals for slow connections.

/// What waits for slow connections, and what they have lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// The bytes that wait for slow connections, by the estimate that limits use.
    pub waiting_bytes: usize,
    /// What they have lost.
    pub losses: Losses,
}

/// What slow connections have lost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Losses {
    /// Publications that were replaced by a newer one, as their subscriptions allow.
    pub conflated: u64,
    /// Publications that were dropped and reported.
    pub lagged: u64,
    /// The bytes of dropped publications.
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
