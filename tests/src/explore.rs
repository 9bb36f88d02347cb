//! Goes through all interleavings of a small model, up to a depth.
//!
//! A model is what a few machines can do next. States are told apart by everything that they print, and each is reached
//! once, by the shortest way; machines need not be copied, since a way is walked again from its beginning.

use std::collections::HashSet;
use std::fmt::Debug;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Something whose every course is looked at.
pub trait Model: Debug {
    /// Where every course begins.
    fn start() -> Self;

    /// How many things can happen next. Those that are impossible now are not counted.
    fn choices(&self) -> usize;

    /// One of them happens.
    ///
    /// # Panics
    /// If a promise is broken.
    fn take(&mut self, choice: usize);

    /// From here on nothing goes wrong any more: what must come to hold does.
    ///
    /// # Panics
    /// If it does not.
    fn finish(self);
}

/// How much was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Explored {
    /// The states that differ.
    pub states: usize,
    /// The steps between them.
    pub steps: usize,
}

/// Goes through all courses of up to `depth` steps, and finishes from every state.
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
