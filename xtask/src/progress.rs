//! The display of a long step: a spinner on a terminal, otherwise a line now and then.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use console::measure_text_width;
use indicatif::{ProgressBar, ProgressStyle};

/// How often a running step prints a line if there is no terminal.
const LINE_EVERY: Duration = Duration::from_secs(10);
/// How often the spinner turns on a terminal.
const SPIN_EVERY: Duration = Duration::from_millis(100);
/// The longest status shown behind a title, in characters: the line must not wrap.
const STATUS_LENGTH_MAX: usize = 60;

/// The display of one running step.
pub(crate) struct Progress {
    title: String,
    started: Instant,
    status: String,
    display: Display,
}

enum Display {
    Spinner(ProgressBar),
    Lines { next_after: Duration },
}

/// How a step ended, as shown in front of its title.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// It succeeded.
    Done,
    /// It failed.
    Failed,
    /// There was nothing to do, or an alternative is tried next.
    Skipped,
}

impl Mark {
    fn text(self) -> &'static str {
        match self {
            Self::Done => "done  ",
            Self::Failed => "FAILED",
            Self::Skipped => "-     ",
        }
    }
}

impl Progress {
    /// Starts showing a step.
    pub(crate) fn start(title: &str) -> Self {
        let display = if stderr().is_terminal() {
            let bar = ProgressBar::new_spinner().with_message(title.to_owned());
            // The template is a constant that indicatif can parse.
            bar.set_style(
                ProgressStyle::with_template("  {spinner} {msg} {elapsed:.dim}")
                    .expect("a valid template"),
            );
            bar.enable_steady_tick(SPIN_EVERY);
            Display::Spinner(bar)
        } else {
            Display::Lines {
                next_after: LINE_EVERY,
            }
        };
        Self {
            title: title.to_owned(),
            started: Instant::now(),
            status: String::new(),
            display,
        }
    }

    /// Says what the step is doing right now.
    pub(crate) fn status(&mut self, status: &str) {
        self.status = shorten(status);
        if let Display::Spinner(bar) = &self.display {
            bar.set_message(self.line());
        }
    }

    /// Prints a line when one is due, if there is no spinner. To be called several times a second.
    pub(crate) fn tick(&mut self) {
        let elapsed = self.started.elapsed();
        let line = self.line();
        if let Display::Lines { next_after } = &mut self.display
            && elapsed >= *next_after
        {
            *next_after = elapsed + LINE_EVERY;
            eprintln!("  ...    {line} ({} so far)", elapsed_text(elapsed));
        }
    }

    /// Replaces the display with a final line, and returns how long the step took.
    pub(crate) fn finish(self, mark: Mark) -> Duration {
        let elapsed = self.started.elapsed();
        if let Display::Spinner(bar) = &self.display {
            bar.finish_and_clear();
        }
        let (mark, title) = (mark.text(), &self.title);
        eprintln!("  {mark} {title}  {}", elapsed_text(elapsed));
        elapsed
    }

    fn line(&self) -> String {
        if self.status.is_empty() {
            self.title.clone()
        } else {
            format!("{}: {}", self.title, self.status)
        }
    }
}

/// Prints a line about something that needed no work, in the form of a finished step.
pub(crate) fn note(text: &str) {
    eprintln!("  {} {text}", Mark::Skipped.text());
}

/// `0.4 s`, `12.3 s`, `2 min 05 s`.
pub(crate) fn elapsed_text(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs();
    if seconds < 60 {
        format!("{:.1} s", elapsed.as_secs_f64())
    } else {
        format!("{} min {:02} s", seconds / 60, seconds % 60)
    }
}

/// The progress in a line of a child's output, if the line is nothing but progress.
///
/// Cargo draws `Building [=====> ] 34/120: serde, syn` over and over; such a line is a status, not part of the log.
pub(crate) fn cargo_status(line: &str) -> Option<String> {
    let (bar, rest) = line.trim_start().split_once("] ")?;
    let (verb, bar) = bar.split_once(" [")?;
    if !bar.chars().all(|c| matches!(c, '=' | '>' | ' ')) {
        return None;
    }
    let counts = rest.split(':').next()?.trim();
    let (done, total) = counts.split_once('/')?;
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !number(done) || !number(total) {
        return None;
    }
    let verb = match verb.trim() {
        "Building" => "compiling".to_owned(),
        other => other.to_lowercase(),
    };
    Some(format!("{verb} {counts}"))
}

fn shorten(text: &str) -> String {
    let text = text.trim();
    if measure_text_width(text) <= STATUS_LENGTH_MAX {
        return text.to_owned();
    }
    let kept: String = text.chars().take(STATUS_LENGTH_MAX - 1).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cargo_progress_bar_is_read_as_a_count() {
        let line = "    Building [=======>            ] 34/120: serde, syn(build)";
        assert_eq!(cargo_status(line).as_deref(), Some("compiling 34/120"));
        let line = "    Fetch [====>  ] 3/9";
        assert_eq!(cargo_status(line).as_deref(), Some("fetch 3/9"));
    }

    #[test]
    fn ordinary_lines_are_not_progress_bars() {
        for line in [
            "   Compiling serde v1.0.0 (/src/[x] 3/4)",
            "test parses [a] 1/2 ... ok",
            "    Finished `dev` profile [unoptimized + debuginfo] target(s) in 0.1s",
            "",
        ] {
            assert_eq!(cargo_status(line), None, "{line}");
        }
    }

    #[test]
    fn elapsed_times_change_unit_at_a_minute() {
        assert_eq!(elapsed_text(Duration::from_millis(420)), "0.4 s");
        assert_eq!(elapsed_text(Duration::from_secs(125)), "2 min 05 s");
    }

    #[test]
    fn a_long_status_is_cut_between_characters() {
        let status = shorten(&"ü".repeat(200));
        assert_eq!(status.chars().count(), STATUS_LENGTH_MAX);
        assert!(status.ends_with('…'));
    }
}
