//! Limits on the number of simultaneous connections: in total, from one address and of one user.

use alloc::collections::BTreeMap;

/// The limits on the number of simultaneous connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AdmissionLimits {
    /// In total.
    pub total_max: usize,
    /// From one address.
    pub per_address_max: usize,
    /// Of one user.
    pub per_user_max: usize,
}

impl Default for AdmissionLimits {
    /// 100,000 in total, 1,000 from one address (offices and mobile networks share one), 100 of one user.
    fn default() -> Self {
        Self {
            total_max: 100_000,
            per_address_max: 1_000,
            per_user_max: 100,
        }
    }
}

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The server has reached its limit.
    #[error("the server has reached its limit of {limit} connections; try again later")]
    Total {
        /// The limit.
        limit: usize,
    },
    /// The address has reached its limit.
    #[error("this address has reached its limit of {limit} connections; close some")]
    Address {
        /// The limit.
        limit: usize,
    },
    /// The user has reached their limit.
    #[error("this user has reached the limit of {limit} connections; close some")]
    User {
        /// The limit.
        limit: usize,
    },
}

/// Counts connections. `A` identifies an address, `U` a user.
///
/// Every connection that enters must leave once, with the same address and user.
#[derive(Debug)]
pub struct Admission<A, U> {
    limits: AdmissionLimits,
    total: usize,
    addresses: BTreeMap<A, usize>,
    users: BTreeMap<U, usize>,
}

impl<A: Ord, U: Ord> Admission<A, U> {
    /// No connections yet.
    pub const fn new(limits: AdmissionLimits) -> Self {
        Self {
            limits,
            total: 0,
            addresses: BTreeMap::new(),
            users: BTreeMap::new(),
        }
    }

    /// Counts a connection. Without an address, it counts only in total.
    ///
    /// # Errors
    /// If a limit is reached. The connection is then not counted.
    pub fn enter(&mut self, address: Option<A>) -> Result<(), Refusal> {
        let limit = self.limits.total_max;
        if self.total >= limit {
            return Err(Refusal::Total { limit });
        }
        let limit = self.limits.per_address_max;
        if let Some(address) = address
            && !count_up(&mut self.addresses, address, limit)
        {
            return Err(Refusal::Address { limit });
        }
        self.total += 1;
        Ok(())
    }

    /// A connection that has entered turns out to be `user`'s.
    ///
    /// # Errors
    /// If the user has reached their limit. The connection stays, and is not counted as the user's.
    pub fn identify(&mut self, user: U) -> Result<(), Refusal> {
        let limit = self.limits.per_user_max;
        if count_up(&mut self.users, user, limit) {
            Ok(())
        } else {
            Err(Refusal::User { limit })
        }
    }

    /// A connection has ended; `user` is the user it was identified as.
    pub fn leave(&mut self, address: Option<&A>, user: Option<&U>) {
        if let Some(address) = address {
            count_down(&mut self.addresses, address);
        }
        if let Some(user) = user {
            count_down(&mut self.users, user);
        }
        self.total = self.total.saturating_sub(1);
    }

    /// The number of connections.
    pub const fn total(&self) -> usize {
        self.total
    }

    /// The number of addresses and users that they are from.
    pub fn distinct(&self) -> (usize, usize) {
        (self.addresses.len(), self.users.len())
    }
}

fn count_up<K: Ord>(counts: &mut BTreeMap<K, usize>, key: K, limit: usize) -> bool {
    if limit == 0 {
        return false;
    }
    let count = counts.entry(key).or_default();
    if *count >= limit {
        return false;
    }
    *count += 1;
    true
}

/// Forgets a key whose count becomes zero, so that addresses that come and go take no memory.
fn count_down<K: Ord>(counts: &mut BTreeMap<K, usize>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    const LIMITS: AdmissionLimits = AdmissionLimits {
        total_max: 8,
        per_address_max: 3,
        per_user_max: 2,
    };

    #[test]
    fn each_limit_has_its_own_refusal() {
        let mut admission = Admission::new(LIMITS);
        for _ in 0..3 {
            assert_eq!(admission.enter(Some("a")), Ok(()));
        }
        assert_eq!(
            admission.enter(Some("a")),
            Err(Refusal::Address { limit: 3 })
        );
        for address in ["b", "b", "b", "c", "c"] {
            assert_eq!(admission.enter(Some(address)), Ok(()));
        }
        assert_eq!(admission.enter(Some("d")), Err(Refusal::Total { limit: 8 }));
        assert_eq!(admission.identify("ada"), Ok(()));
        assert_eq!(admission.identify("ada"), Ok(()));
        assert_eq!(admission.identify("ada"), Err(Refusal::User { limit: 2 }));
    }

    proptest! {
        #[test]
        #[cfg_attr(miri, ignore = "thousands of counts, and no memory but maps that others have, too")]
        fn whoever_comes_and_goes_leaves_nothing_behind(
            visits in prop::collection::vec(
                (prop::option::weighted(0.8, 0_u8..4), prop::option::of(0_u8..3)),
                0..60,
            ),
        ) {
            let mut admission = Admission::new(LIMITS);
            let mut inside: Vec<(Option<u8>, Option<u8>)> = Vec::new();
            for (at, (address, user)) in visits.into_iter().enumerate() {
                if admission.enter(address).is_ok() {
                    let user = user.filter(|user| admission.identify(*user).is_ok());
                    inside.push((address, user));
                }
                if at % 3 == 0
                    && let Some((address, user)) = inside.pop()
                {
                    admission.leave(address.as_ref(), user.as_ref());
                }
                prop_assert_eq!(admission.total(), inside.len());
                for address in 0..4 {
                    prop_assert!(inside.iter().filter(|visit| visit.0 == Some(address)).count() <= 3);
                }
                for user in 0..3 {
                    prop_assert!(inside.iter().filter(|visit| visit.1 == Some(user)).count() <= 2);
                }
            }
            for (address, user) in inside {
                admission.leave(address.as_ref(), user.as_ref());
            }
            prop_assert_eq!(admission.total(), 0);
            prop_assert_eq!(admission.distinct(), (0, 0));
        }
    }
}
