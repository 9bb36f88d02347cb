//! Subscribers in their seats: which are visited, which rest, and which move.

use alloc::collections::BTreeMap;

use super::*;

const PATTERNS: [&str; 4] = ["job:1", "job:*", "job:**", "log"];

#[derive(Clone, Debug)]
enum Step {
    Join {
        pattern: usize,
        count: usize,
    },
    /// The subscriber with this index, modulo their number.
    Leave(usize),
    /// Subscribers whose number has one of these bits rest from then on.
    Visit {
        pattern: usize,
        rest: u32,
    },
    Wake(usize),
    WakeAll {
        pattern: usize,
    },
}

fn any_step() -> impl Strategy<Value = Step> {
    let pattern = || 0..PATTERNS.len();
    prop_oneof![
        6 => (pattern(), 1..40_usize).prop_map(|(pattern, count)| Step::Join { pattern, count }),
        12 => any::<usize>().prop_map(Step::Leave),
        4 => (pattern(), 0..8_u32).prop_map(|(pattern, rest)| Step::Visit { pattern, rest }),
        4 => any::<usize>().prop_map(Step::Wake),
        1 => pattern().prop_map(|pattern| Step::WakeAll { pattern }),
    ]
}

/// The routes and a model: each pattern's subscribers by their seats, and whether they rest.
struct Pair {
    routes: Routes<u32>,
    lists: [Vec<(u32, bool)>; PATTERNS.len()],
    seats: BTreeMap<u32, Seat>,
    next: u32,
}

impl Pair {
    fn join(&mut self, at: usize) {
        let seat = match self.routes.find(&pattern(PATTERNS[at])) {
            Some(route) => self.routes.join(route, self.next),
            None => self.routes.subscribe(&pattern(PATTERNS[at]), self.next),
        };
        self.lists[at].push((self.next, false));
        self.seats.insert(self.next, seat);
        self.next += 1;
    }

    /// The list and the place of the subscriber with this index, modulo their number.
    fn place(&self, at: usize) -> Option<(usize, usize)> {
        let mut at = at % self.seats.len().max(1);
        for (list, subscribers) in self.lists.iter().enumerate() {
            if at < subscribers.len() {
                return Some((list, at));
            }
            at -= subscribers.len();
        }
        None
    }

    fn leave(&mut self, (list, at): (usize, usize)) {
        let subscribers = &mut self.lists[list];
        let rested = subscribers.iter().any(|(_, rests)| *rests);
        let (leaver, _) = subscribers.swap_remove(at);
        let rest = subscribers.iter().any(|(_, rests)| *rests);
        let mut moved = None;
        let seat = self.seats.remove(&leaver).unwrap();
        let left = self.routes.leave(seat, |mover| moved = Some(*mover));
        assert_eq!(left.subscriber, leaver);
        assert_eq!(moved, subscribers.get(at).map(|(mover, _)| *mover));
        assert_eq!(left.ended_rest, rested && !rest);
        let gone = subscribers.is_empty().then(|| pattern(PATTERNS[list]));
        assert_eq!(left.gone, gone);
        if let Some(mover) = moved {
            self.seats.insert(mover, seat);
        }
    }

    fn take(&mut self, step: &Step) {
        let found = |routes: &Routes<u32>, at: usize| routes.find(&pattern(PATTERNS[at]));
        match *step {
            Step::Join { pattern, count } => (0..count).for_each(|_| self.join(pattern)),
            Step::Leave(at) => {
                if let Some(place) = self.place(at) {
                    self.leave(place);
                }
            }
            Step::Visit { pattern, rest } => {
                if let Some(route) = found(&self.routes, pattern) {
                    let mut visited = Vec::new();
                    self.routes.visit(route, |subscriber| {
                        visited.push(*subscriber);
                        subscriber & rest != 0
                    });
                    let awake = self.lists[pattern].iter_mut().filter(|(_, rests)| !rests);
                    let expected = awake.map(|(subscriber, rests)| {
                        *rests = *subscriber & rest != 0;
                        *subscriber
                    });
                    assert!(visited.into_iter().eq(expected));
                }
            }
            Step::Wake(at) => {
                if let Some((list, at)) = self.place(at) {
                    self.lists[list][at].1 = false;
                    self.routes.wake(self.seats[&self.lists[list][at].0]);
                }
            }
            Step::WakeAll { pattern } => {
                if let Some(route) = found(&self.routes, pattern) {
                    self.routes.wake_all(route);
                    self.lists[pattern]
                        .iter_mut()
                        .for_each(|(_, rests)| *rests = false);
                }
            }
        }
    }

    fn check(&self) {
        for (text, list) in PATTERNS.iter().zip(&self.lists) {
            let route = self.routes.find(&pattern(text));
            assert_eq!(route.is_some(), !list.is_empty());
            let Some(route) = route else { continue };
            assert_eq!(self.routes.is_exact(route), !text.contains('*'));
            assert_eq!(self.routes.subscriber_count(route), list.len());
            let rest = list.iter().any(|(_, rests)| *rests);
            assert_eq!(self.routes.has_resting(route), rest);
            let subscribers = self.routes.subscribers(route);
            assert!(subscribers.eq(list.iter().map(|(subscriber, _)| subscriber)));
        }
        assert_eq!(self.routes.len(), self.seats.len());
    }
}

#[test]
fn whoever_takes_the_seat_of_one_that_leaves_is_told() {
    let mut routes = Routes::new(1);
    let jobs = pattern("job:*");
    let mut seats: Vec<Seat> = (0..4_usize).map(|i| routes.subscribe(&jobs, i)).collect();
    let route = seats[0].route();
    routes.visit(route, |subscriber| *subscriber == 3);
    for (leaver, mover) in [(1, Some(3)), (2, None), (3, None), (0, None)] {
        let seat = seats[leaver];
        let mut moved = None;
        let left = routes.leave(seat, |subscriber| moved = Some(*subscriber));
        assert_eq!((left.subscriber, moved), (leaver, mover));
        // It still rests where it has moved to.
        assert_eq!(left.ended_rest, leaver == 3);
        assert_eq!(left.gone, (leaver == 0).then(|| jobs.clone()));
        if let Some(mover) = moved {
            seats[mover] = seat;
        }
    }
    assert!(routes.is_empty());
}

proptest! {
    #[test]
    fn everyone_who_does_not_rest_is_visited_in_order(
        steps in prop::collection::vec(any_step(), 0..if cfg!(miri) { 20 } else { 60 }),
    ) {
        let mut pair = Pair {
            routes: Routes::new(1),
            lists: Default::default(),
            seats: BTreeMap::new(),
            next: 0,
        };
        for step in &steps {
            pair.take(step);
            pair.check();
        }
    }
}
