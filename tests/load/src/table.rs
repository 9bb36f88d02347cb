//! What was measured, as tables for people.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};

use crate::contestant::{Contestant, Role};

/// What a figure tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Column {
    /// CPU seconds for a million deliveries, one publication at a time, to so many subscribers.
    OneByOne(usize),
    /// The same, in bursts.
    Burst(usize),
    /// The same, one at a time, for those who read beside as many who don't.
    BesideStalled,
    /// Microseconds from publish to receive, at a calm load.
    CalmP50,
    CalmP99,
    /// Bytes of resident memory for each idle connection.
    IdleBytes,
    /// Bytes that grew for each subscriber who doesn't read.
    StalledBytes,
    /// Microseconds of processor time a second for each idle connection.
    IdleCpu,
}

/// All figures of a comparison, by server and column, a figure for each round.
#[derive(Default)]
pub(crate) struct Figures {
    cells: BTreeMap<(usize, Column), Vec<f64>>,
}

impl Figures {
    pub(crate) fn add(&mut self, contestant: usize, column: Column, figure: f64) {
        self.cells
            .entry((contestant, column))
            .or_default()
            .push(figure);
    }

    /// The median of all rounds.
    pub(crate) fn median(&self, contestant: usize, column: Column) -> Option<f64> {
        let mut rounds = self.cells.get(&(contestant, column))?.clone();
        rounds.sort_by(f64::total_cmp);
        let middle = rounds.len() / 2;
        Some(if rounds.len() % 2 == 1 {
            rounds[middle]
        } else {
            f64::midpoint(rounds[middle - 1], rounds[middle])
        })
    }

    /// The columns that anything was measured for, in order.
    pub(crate) fn columns(&self) -> Vec<Column> {
        let mut columns: Vec<Column> = self.cells.keys().map(|(_, column)| *column).collect();
        columns.sort_unstable();
        columns.dedup();
        columns
    }

    /// The least of all peers.
    fn best_peer(&self, contestants: &[Contestant], column: Column) -> Option<f64> {
        let peers = contestants.iter().enumerate();
        peers
            .filter(|(_, contestant)| contestant.role == Role::Peer)
            .filter_map(|(index, _)| self.median(index, column))
            .min_by(f64::total_cmp)
    }

    /// What is to be compared with in a column: the floor that does the same.
    pub(crate) fn floor(&self, contestants: &[Contestant], column: Column) -> Option<f64> {
        let role = match column {
            Column::Burst(_) => Role::BatchingFloor,
            Column::OneByOne(_) | Column::BesideStalled | Column::CalmP50 | Column::CalmP99 => {
                Role::Floor
            }
            Column::IdleBytes | Column::StalledBytes | Column::IdleCpu => return None,
        };
        let index = contestants.iter().position(|other| other.role == role)?;
        self.median(index, column)
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
                match (
                    self.median(index, *column),
                    self.floor(contestants, *column),
                ) {
                    (None, _) => write!(out, " – |")?,
                    (Some(figure), Some(floor)) => {
                        write!(
                            out,
                            " {} ({:.2} ×) |",
                            column.format(figure),
                            figure / floor
                        )?;
                    }
                    (Some(figure), None) => write!(out, " {} |", column.format(figure))?,
                }
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
                match (self.median(index, *column), best) {
                    (Some(figure), Some(best)) => write!(out, " {:.2} × |", figure / best)?,
                    (None, _) | (_, None) => write!(out, " – |")?,
                }
            }
            writeln!(out)?;
        }
        Ok(())
    }
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
