//! Plots what a server held over time as SVG, each figure from zero to its maximum.

use std::fmt::Write as _;

use super::sample::{FIGURES, Series, told};
use crate::plot::STYLE;

const WIDTH: f64 = 720.0;
const LEFT: f64 = 150.0;
const RIGHT: f64 = 110.0;
const HEAD: f64 = 60.0;
const ROW: f64 = 64.0;
const ROW_FILLED: f64 = 48.0;

/// A line for each figure, one below the other.
pub(super) fn draw(series: &Series) -> String {
    let height = HEAD + ROW * FIGURES.len() as f64 + 24.0;
    let last = series.samples.last();
    let minutes = last.map_or(1.0, |last| last.at.as_secs_f64() / 60.0);
    let title = format!("A server under mixed load for {minutes:.0} minutes");
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{title}\">\n{STYLE}\n\
         <text class=\"title\" x=\"8\" y=\"24\">{title}</text>\n\
         <text class=\"subtitle\" x=\"8\" y=\"44\">Each from nothing to its most, which stands beside it</text>\n"
    );
    for (row, (name, is_bytes)) in FIGURES.iter().enumerate() {
        let figures = series.samples.iter().map(|sample| sample.figures[row]);
        let most = figures.clone().fold(1.0, f64::max);
        let bottom = HEAD + ROW * (row as f64 + 1.0) - (ROW - ROW_FILLED) / 2.0;
        let x = |at: f64| LEFT + at / (60.0 * minutes) * (WIDTH - LEFT - RIGHT);
        let points: Vec<String> = series
            .samples
            .iter()
            .zip(figures)
            .map(|(sample, figure)| {
                let y = bottom - figure / most * ROW_FILLED;
                format!("{:.1},{y:.1}", x(sample.at.as_secs_f64()))
            })
            .collect();
        writeln!(
            svg,
            "<line class=\"axis\" x1=\"{LEFT}\" y1=\"{bottom}\" x2=\"{}\" y2=\"{bottom}\"/>\
             <polyline class=\"line\" points=\"{}\"/>\
             <text x=\"{}\" y=\"{}\" text-anchor=\"end\">{name}</text>\
             <text class=\"subtitle\" x=\"{}\" y=\"{}\">{}</text>",
            WIDTH - RIGHT,
            points.join(" "),
            LEFT - 10.0,
            bottom - ROW_FILLED / 2.0,
            WIDTH - RIGHT + 8.0,
            bottom - ROW_FILLED + 10.0,
            told(most, *is_bytes),
        )
        .expect("a String takes every write");
    }
    svg.push_str("</svg>\n");
    svg
}
