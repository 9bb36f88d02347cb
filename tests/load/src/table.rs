//! Prints the measurements as tables.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::contestant::{Contestant, Role};

/// The meaning of a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    /// CPU seconds per million deliveries, one publication at a time, to this many subscribers.
    OneByOne(usize),
    /// The same, in bursts.
    Burst(usize),
    /// The same, one at a time, with as many stalled subscribers beside.
    BesideStalled,
    /// Microseconds from publishing to receiving, at a calm load.
    CalmP50,
    CalmP99,
    /// Bytes of resident memory for each idle connection.
    IdleBytes,
    /// Bytes of memory growth per stalled subscriber.
    StalledBytes,
    /// Microseconds of processor time per second and idle connection.
    IdleCpu,
}

/// All figures of a comparison, by server and column, a figure for each round.
#[derive(Default)]
pub(crate) struct Figures {
    cells: BTreeMap<(usize, Column), BTreeMap<usize, f64>>,
}

impl Figures {
    pub(crate) fn add(&mut self, round: usize, contestant: usize, column: Column, figure: f64) {
        let rounds = self.cells.entry((contestant, column)).or_default();
        rounds.insert(round, figure);
    }

    /// The median of all rounds.
    pub(crate) fn median(&self, contestant: usize, column: Column) -> Option<f64> {
        let rounds = self.cells.get(&(contestant, column))?;
        median(rounds.values().copied().collect())
    }

    /// The cost of a server relative to another one: the median of the rounds' ratios, because other work on the
    /// machine slows both down in the same round.
    pub(crate) fn ratio(&self, contestant: usize, other: usize, column: Column) -> Option<f64> {
        let rounds = self.cells.get(&(contestant, column))?;
        let others = self.cells.get(&(other, column))?;
        let in_both = rounds.iter().filter_map(|(round, figure)| {
            let other = others.get(round)?;
            Some(figure / other)
        });
        median(in_both.collect())
    }

    /// The columns that anything was measured for, in order.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = self.cells.keys().map(|(_, column)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The peer with the lowest figure.
    fn best_peer(&self, contestants: &[Contestant], column: Column) -> Option<usize> {
        let peers = contestants.iter().enumerate();
        peers
            .filter(|(_, contestant)| contestant.role == Role::Peer)
            .filter_map(|(index, _)| Some((index, self.median(index, column)?)))
            .min_by(|(_, one), (_, other)| one.total_cmp(other))
            .map(|(index, _)| index)
    }

    /// The floor to compare with in a column: the one that writes in the same way.
    pub(crate) fn floor(&self, contestants: &[Contestant], column: Column) -> Option<usize> {
        let role = match column {
            Column::Burst(_) => Role::BatchingFloor,
            Column::OneByOne(_) | Column::BesideStalled | Column::CalmP50 | Column::CalmP99 => {
                Role::Floor
            }
            Column::IdleBytes | Column::StalledBytes | Column::IdleCpu => return None,
        };
        contestants.iter().position(|other| other.role == role)
    }

    /// A table of all servers, and one of our own relative to the best peer.
    pub(crate) fn tables(&self, contestants: &[Contestant]) -> String {
        let mut text = String::new();
        self.write_tables(contestants, &mut text)
            .expect("a String takes every write");
        text
    }

    fn write_tables(&self, contestants: &[Contestant], out: &mut String) -> fmt::Result {
        let columns = self.columns();
        write_head("server", &columns, out)?;
        for (index, contestant) in contestants.iter().enumerate() {
            write!(out, "| {} |", contestant.name)?;
            for column in &columns {
                let Some(figure) = self.median(index, *column) else {
                    write!(out, " – |")?;
                    continue;
                };
                write!(out, " {}", column.format(figure))?;
                let floor = self.floor(contestants, *column);
                if let Some(ratio) = floor.and_then(|floor| self.ratio(index, floor, *column)) {
                    write!(out, " ({ratio:.2} ×)")?;
                }
                write!(out, " |")?;
            }
            writeln!(out)?;
        }
        if !contestants.iter().any(|other| other.role == Role::Peer) {
            return Ok(());
        }
        writeln!(out)?;
        write_head("relative to the best peer", &columns, out)?;
        for (index, contestant) in contestants.iter().enumerate() {
            if contestant.role != Role::Ours {
                continue;
            }
            write!(out, "| {} |", contestant.name)?;
            for column in &columns {
                let best = self.best_peer(contestants, *column);
                match best.and_then(|best| self.ratio(index, best, *column)) {
                    Some(ratio) => write!(out, " {ratio:.2} × |")?,
                    None => write!(out, " – |")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (middle, after) = (figures.len() / 2, figures.len().div_ceil(2));
    let low = figures.get(after.checked_sub(1)?)?;
    Some(f64::midpoint(*low, figures[middle]))
}

fn write_head(first: &str, columns: &[Column], out: &mut String) -> fmt::Result {
    write!(out, "| {first} |")?;
    for column in columns {
        write!(out, " {column} |")?;
    }
    writeln!(out, "\n|{}", "---|".repeat(columns.len() + 1))
}

impl Column {
    pub(crate) fn format(self, figure: f64) -> String {
        match self {
            Self::OneByOne(_) | Self::Burst(_) | Self::BesideStalled if figure < 1.0 => {
                format!("{figure:.3}")
            }
            Self::OneByOne(_) | Self::Burst(_) | Self::BesideStalled => format!("{figure:.2}"),
            Self::CalmP50 | Self::CalmP99 => format!("{figure:.0} µs"),
            Self::IdleCpu => format!("{figure:.2} µs/s"),
            Self::IdleBytes | Self::StalledBytes => format!("{:.1} KB", figure / 1024.0),
        }
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::OneByOne(subscribers) => write!(f, "one by one to {subscribers}"),
            Self::Burst(subscribers) => write!(f, "bursts to {subscribers}"),
            Self::BesideStalled => write!(f, "beside stalled readers"),
            Self::CalmP50 => write!(f, "calm p50"),
            Self::CalmP99 => write!(f, "calm p99"),
            Self::IdleBytes => write!(f, "memory, idle"),
            Self::StalledBytes => write!(f, "memory, stalled"),
            Self::IdleCpu => write!(f, "processor, idle"),
        }
    }
}
