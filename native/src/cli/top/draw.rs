//! Draws the board.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table};

use super::board::{self, Board, Sort};
use crate::cli::text::span;

/// Draws the board.
pub(super) fn draw(frame: &mut Frame<'_>, board: &Board) {
    let parts = [
        Constraint::Length(3),
        Constraint::Min(1),
        Constraint::Length(1),
    ];
    let [head, topics, foot] = Layout::vertical(parts).areas(frame.area());
    draw_head(frame, board, head);
    draw_topics(frame, board, topics);
    draw_foot(frame, board, foot);
}

fn draw_head(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let stats = &board.stats;
    let (taken, sent) = board.rates;
    let state = match &board.problem {
        Some(problem) => Span::styled(problem.clone(), Style::new().fg(Color::Red)),
        None => Span::raw(format!(
            "{} · {} · {}",
            stats.version, stats.backend.name, stats.backend.link
        )),
    };
    let lines = vec![
        Line::from(vec![
            "Tidegate ".bold().cyan(),
            Span::raw(format!("{}  ", board.server)),
            state,
        ]),
        Line::raw(format!(
            "{} connections ({} event streams) · {} subscriptions · {} topics",
            stats.connections, stats.sse_connections, stats.subscriptions, stats.topics
        )),
        Line::raw(format!(
            "{} published/s · {} frames sent/s · {} held back by their pace · {} topics behind the backend",
            figure(taken),
            figure(sent),
            stats.gates,
            stats.uplink.behind
        )),
    ];
    frame.render_widget(Paragraph::new(lines), area);
}

fn draw_topics(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let title = |sort: Sort, text: &'static str| {
        let style = Style::new().bold();
        let style = if sort == board.sort {
            style.fg(Color::Cyan).underlined()
        } else {
            style
        };
        Cell::from(Span::styled(text, style))
    };
    let header = Row::new([
        title(Sort::Name, "TOPIC"),
        title(Sort::Rate, "    RATE/s"),
        Cell::from("    OFFSET".bold()),
        title(Sort::Subscribers, "  SUBS"),
        title(Sort::Lag, "    LAG"),
        title(Sort::Age, "     AGE"),
        Cell::from("LAST VALUE".bold()),
    ]);
    let rows = board.rows();
    let rows = rows.into_iter().skip(board.scrolled).map(row);
    let widths = [
        Constraint::Fill(2),
        Constraint::Length(10),
        Constraint::Length(10),
        Constraint::Length(6),
        Constraint::Length(7),
        Constraint::Length(8),
        Constraint::Fill(3),
    ];
    frame.render_widget(Table::new(rows, widths).header(header), area);
}

fn row(row: &board::Row) -> Row<'_> {
    let tone = if row.rate > 0.0 {
        Style::new().fg(Color::Green)
    } else {
        Style::new()
    };
    let behind = if row.lag > 0 {
        Style::new().fg(Color::Yellow)
    } else {
        Style::new()
    };
    Row::new([
        Cell::from(row.topic.as_str()),
        Cell::from(Span::styled(format!("{:>10}", figure(row.rate)), tone)),
        Cell::from(format!("{:>10}", row.offset)),
        Cell::from(format!("{:>6}", row.subscribers)),
        Cell::from(Span::styled(format!("{:>7}", row.lag), behind)),
        Cell::from(format!("{:>8}", span(row.idle_ms))),
        Cell::from(Span::styled(row.value.as_str(), Style::new().dim())),
    ])
}

fn draw_foot(frame: &mut Frame<'_>, board: &Board, area: Rect) {
    let keys = if board.is_filtering {
        Line::from(vec![
            "filter: ".bold(),
            Span::raw(format!("{}▏", board.filter)),
            "  enter keeps it, esc drops it".dim(),
        ])
    } else {
        let mut spans: Vec<Span<'_>> = Vec::new();
        for sort in Sort::ALL {
            let (key, name) = sort.label();
            spans.push(Span::raw(format!("{key} ")).bold());
            spans.push(Span::raw(format!("by {name}  ")).dim());
        }
        let filter = if board.filter.is_empty() {
            "filter  ".to_owned()
        } else {
            format!("filter: {} (c clears)  ", board.filter)
        };
        spans.extend(["/ ".bold(), filter.dim(), "q ".bold(), "quit".dim()]);
        Line::from(spans)
    };
    frame.render_widget(Paragraph::new(keys), area);
}

/// A rate, for people.
fn figure(rate: f64) -> String {
    match rate {
        rate if rate >= 99_950.0 => format!("{:.0}k", rate / 1000.0),
        rate if rate >= 9_995.0 => format!("{:.1}k", rate / 1000.0),
        rate if rate >= 99.95 || rate.fract() == 0.0 => format!("{rate:.0}"),
        rate => format!("{rate:.1}"),
    }
}
