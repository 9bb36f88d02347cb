//! Goes through all interleavings of a small model, up to a depth.
//!
//! A model says what a few machines can do next. States are distinguished by their debug output, and each is visited
//! once, by the shortest path. Machines need not be clonable: a path is replayed from its beginning.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A model whose interleavings are all explored.
pub trait Model: Debug {
    /// The initial state.
    fn start() -> Self;

    /// The number of events that are possible now.
    fn choices(&self) -> usize;

    /// Carries out one of them.
    ///
    /// # Panics
    /// If a promise is broken.
    fn take(&mut self, choice: usize);

    /// From here on, nothing goes wrong any more: checks that everything ends well.
    ///
    /// # Panics
    /// If it does not.
    fn finish(self);
}

/// How much was explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// The number of distinct states.
    pub states: usize,
    /// The number of steps between them.
    pub steps: usize,
}

/// Explores all paths of up to `depth` steps, and finishes from every state.
pub fn explore<M: Model>(depth: usize) -> Explored {
    let mut known: HashSet<u64> = HashSet::from([digest(&M::start())]);
    let mut ways: Vec<Vec<usize>> = vec![Vec::new()];
    let mut explored = Explored {
        states: 1,
        steps: 0,
    };
    walk::<M>(&[]).finish();
    for _ in 0..depth {
        let mut next = Vec::new();
        for way in &ways {
            for choice in 0..walk::<M>(way).choices() {
                let mut model = walk::<M>(way);
                model.take(choice);
                explored.steps += 1;
                if known.insert(digest(&model)) {
                    explored.states += 1;
                    model.finish();
                    let way = way.iter().copied().chain([choice]);
                    next.push(way.collect());
                }
            }
        }
        ways = next;
    }
    explored
}

fn walk<M: Model>(way: &[usize]) -> M {
    let mut model = M::start();
    way.iter().for_each(|choice| model.take(*choice));
    model
}

fn digest(model: &impl Debug) -> u64 {
    let mut hasher = DefaultHasher::new();
    format!("{model:?}").hash(&mut hasher);
    hasher.finish()
}
