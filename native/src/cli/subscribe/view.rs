//! Shows events: as lines, or drawn at the bottom of a terminal.

use std::future::pending;
use std::io::{IsTerminal as _, Stdout, stdout};
use std::time::{Duration, Instant};

use tidegate::{Event, Publication};

use super::bars::Bars;
use super::lines::{self, Form};
use super::screen::{Line, Screen};
use crate::cli::terminal::{has_colors, is_dumb};
use crate::cli::text::clean;

/// The shortest time between two drawings.
const DRAW_EVERY: Duration = Duration::from_millis(50);

/// The size to assume if a terminal doesn't report its own.
const USUAL_SIZE: (usize, usize) = (80, 24);

/// Whether standard output is a terminal that can be drawn on.
pub(super) fn can_draw() -> bool {
    cfg!(unix) && stdout().is_terminal() && !is_dumb()
}

/// Where events are shown.
pub(super) enum View {
    Lines(Form),
    Bars(Box<Terminal>),
}

/// A terminal with bars.
pub(super) struct Terminal {
    bars: Bars,
    screen: Screen<Stdout>,
    resized: Resized,
    /// The lines to print above the bars with the next drawing.
    above: Vec<Line>,
    has_colors: bool,
    drawn: Instant,
    /// When to draw next, if nothing comes before.
    due: Option<Instant>,
}

impl View {
    /// # Errors
    /// If the system can't report new sizes.
    pub(super) fn bars() -> anyhow::Result<Self> {
        let now = Instant::now();
        let has_colors = has_colors(&stdout());
        Ok(Self::Bars(Box::new(Terminal {
            bars: Bars::new(now, has_colors),
            screen: Screen::new(stdout()),
            resized: Resized::new()?,
            above: Vec::new(),
            has_colors,
            drawn: now.checked_sub(DRAW_EVERY).unwrap_or(now),
            due: None,
        })))
    }

    /// Shows an event of the subscription to `pattern`: at once as lines, with the next drawing on a terminal.
    pub(super) fn show(&mut self, event: &Event, pattern: &str) -> std::io::Result<()> {
        let terminal = match self {
            Self::Lines(form) => return lines::print(event, pattern, *form),
            Self::Bars(terminal) => terminal,
        };
        match event {
            Event::Publication(publication) => terminal.take(publication),
            Event::Batch(publications) => {
                publications.iter().for_each(|one| terminal.take(one));
            }
            // Already shown by the topic's line.
            Event::End { .. } => {}
            Event::Reset { .. }
            | Event::Lagged { .. }
            | Event::Stale
            | Event::Live
            | Event::Refused(_) => {
                if let Some(note) = lines::note(event, pattern) {
                    let mut line = Line::new(terminal.has_colors);
                    line.push(&clean(&format!("tidegate: {note}")));
                    terminal.above.push(line);
                }
            }
        }
        terminal.due = Some(terminal.drawn + DRAW_EVERY);
        Ok(())
    }

    /// Returns when there is something to draw.
    pub(super) async fn tick(&mut self) {
        let Self::Bars(terminal) = self else {
            return pending().await;
        };
        let due = terminal.due;
        let sleep = async move {
            match due {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => pending().await,
            }
        };
        tokio::select! {
            () = sleep => {}
            () = terminal.resized.recv() => {}
        }
    }

    /// Draws what is to be shown.
    pub(super) fn draw(&mut self) -> std::io::Result<()> {
        let Self::Bars(terminal) = self else {
            return Ok(());
        };
        let now = Instant::now();
        let (columns, rows) = size();
        let block = terminal.bars.lines(now, columns, rows);
        let above = std::mem::take(&mut terminal.above);
        terminal.screen.draw(&above, &block, columns)?;
        terminal.drawn = now;
        terminal.due = terminal.bars.changes(now);
        Ok(())
    }
}

impl Terminal {
    fn take(&mut self, publication: &Publication) {
        let (columns, _) = size();
        let told = self.bars.take(Instant::now(), publication, columns);
        self.above.extend(told);
    }
}

/// The columns and rows of the terminal.
#[cfg(unix)]
fn size() -> (usize, usize) {
    let told = rustix::termios::tcgetwinsize(stdout());
    let told = told.ok().filter(|size| size.ws_col > 0 && size.ws_row > 0);
    told.map_or(USUAL_SIZE, |size| (size.ws_col.into(), size.ws_row.into()))
}

#[cfg(not(unix))]
const fn size() -> (usize, usize) {
    USUAL_SIZE
}

/// Reports new sizes of the terminal.
struct Resized {
    #[cfg(unix)]
    signal: tokio::signal::unix::Signal,
}

impl Resized {
    fn new() -> std::io::Result<Self> {
        #[cfg(unix)]
        let signal = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::window_change())?;
        Ok(Self {
            #[cfg(unix)]
            signal,
        })
    }

    async fn recv(&mut self) {
        #[cfg(unix)]
        self.signal.recv().await;
        #[cfg(not(unix))]
        pending().await
    }
}
