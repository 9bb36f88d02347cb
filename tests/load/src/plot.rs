//! Draws bar charts as SVG that is legible on light and on dark pages.

use std::fmt::Write as _;

use crate::contestant::{Contestant, Role};
use crate::table::{Column, Figures};

const WIDTH: usize = 720;
const LABEL_WIDTH: usize = 170;
const BAR_WIDTH_MAX: f64 = 400.0;
const ROW_HEIGHT: usize = 24;
const HEAD_HEIGHT: usize = 64;

/// A plot for each kind of figure that was measured: file name and content.
pub(crate) fn all(figures: &Figures, contestants: &[Contestant]) -> Vec<(String, String)> {
    let wanted = [
        (
            Column::OneByOne(1_000),
            "servers-one-by-one.svg",
            "One publication at a time to 1,000 subscribers",
            "CPU seconds of the server for a million deliveries; less is better",
        ),
        (
            Column::Burst(1_000),
            "servers-bursts.svg",
            "Bursts of 64 publications to 1,000 subscribers",
            "CPU seconds of the server for a million deliveries; less is better",
        ),
        (
            Column::CalmP99,
            "servers-latency.svg",
            "Publish to receive, 99th percentile",
            "1,000 subscribers, 100 topics, 200 publications a second; less is better",
        ),
        (
            Column::IdleBytes,
            "servers-memory.svg",
            "Memory of an idle subscribed connection",
            "resident memory of the server, of 10,000 connections; less is better",
        ),
    ];
    let measured = figures.columns();
    wanted
        .into_iter()
        .filter(|(column, ..)| measured.contains(column))
        .map(|(column, file, title, subtitle)| {
            let svg = bars(figures, contestants, column, title, subtitle);
            (file.to_owned(), svg)
        })
        .collect()
}

fn bars(
    figures: &Figures,
    contestants: &[Contestant],
    column: Column,
    title: &str,
    subtitle: &str,
) -> String {
    let mut rows: Vec<(&Contestant, f64)> = contestants
        .iter()
        .enumerate()
        .filter_map(|(index, contestant)| Some((contestant, figures.median(index, column)?)))
        .collect();
    rows.sort_by(|a, b| a.1.total_cmp(&b.1));
    let largest = rows.last().map_or(1.0, |(_, figure)| *figure);
    let height = HEAD_HEIGHT + rows.len() * ROW_HEIGHT + 12;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"{title}\">\n{STYLE}\n\
         <text class=\"title\" x=\"8\" y=\"24\">{title}</text>\n\
         <text class=\"subtitle\" x=\"8\" y=\"44\">{subtitle}</text>\n"
    );
    for (row, (contestant, figure)) in rows.iter().enumerate() {
        let top = HEAD_HEIGHT + row * ROW_HEIGHT;
        let middle = top + ROW_HEIGHT / 2;
        let width = (figure / largest * BAR_WIDTH_MAX).max(1.0);
        let class = match contestant.role {
            Role::Floor | Role::BatchingFloor => "floor",
            Role::Ours => "ours",
            Role::Peer => "peer",
        };
        let value_x = LABEL_WIDTH as f64 + width + 6.0;
        writeln!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>\
             <rect class=\"{class}\" x=\"{LABEL_WIDTH}\" y=\"{}\" width=\"{width:.1}\" height=\"{}\" rx=\"2\"/>\
             <text x=\"{value_x:.1}\" y=\"{}\">{}</text>",
            LABEL_WIDTH - 8,
            middle + 4,
            contestant.name,
            top + 4,
            ROW_HEIGHT - 8,
            middle + 4,
            column.format(*figure),
        )
        .expect("a String takes every write");
    }
    svg.push_str("</svg>\n");
    svg
}

pub(crate) const STYLE: &str = "<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; }
.subtitle { fill: #57606a; }
.floor { fill: #8c959f; } .ours { fill: #0969da; } .peer { fill: #d4a72c; }
.axis { stroke: #d0d7de; } .line { stroke: #0969da; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; }
.subtitle { fill: #9198a1; }
.floor { fill: #6e7681; } .ours { fill: #4493f8; } .peer { fill: #bb8009; }
.axis { stroke: #3d444d; } .line { stroke: #4493f8; }
}
</style>";
