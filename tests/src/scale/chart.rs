//! Draws line charts as SVG that is legible on light and on dark pages.

use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 340.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 700.0;
const TOP: f64 = 64.0;
const BOTTOM: f64 = 280.0;

/// One line: its name, and its points ordered by their x coordinate.
pub type Line = (&'static str, Vec<(f64, f64)>);

/// The labels of a chart.
#[derive(Clone, Copy, Debug)]
pub struct Words {
    /// The title.
    pub title: &'static str,
    /// The unit of the y axis.
    pub up: &'static str,
    /// The unit of the x axis.
    pub along: &'static str,
}

/// Draws up to three lines; both axes begin at zero.
///
/// # Panics
/// Never: a string takes every write.
pub fn draw(words: Words, lines: &[Line]) -> String {
    let all = || lines.iter().flat_map(|(_, points)| points.iter());
    let along_max = round_up(all().map(|(x, _)| *x).fold(0.0, f64::max));
    let up_max = round_up(all().map(|(_, y)| *y).fold(0.0, f64::max));
    let place = |(x, y): (f64, f64)| {
        let right = LEFT + x / along_max * (RIGHT - LEFT);
        let down = BOTTOM - y / up_max * (BOTTOM - TOP);
        format!("{right:.1},{down:.1}")
    };
    let Words { title, up, along } = words;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" \
         aria-label=\"{title}\">\n{STYLE}\n<text class=\"title\" x=\"8\" y=\"24\">{title}</text>\n\
         <text class=\"subtitle\" x=\"8\" y=\"44\">{up}</text>\n\
         <text class=\"subtitle\" x=\"{RIGHT}\" y=\"314\" text-anchor=\"end\">{along}</text>\n"
    );
    for step in 0..=4 {
        let share = f64::from(step) / 4.0;
        let (right, down) = (
            LEFT + share * (RIGHT - LEFT),
            BOTTOM - share * (BOTTOM - TOP),
        );
        let (across, high) = (label(share * along_max), label(share * up_max));
        writeln!(
            svg,
            "<line x1=\"{LEFT}\" x2=\"{RIGHT}\" y1=\"{down:.1}\" y2=\"{down:.1}\"/>\
             <text class=\"subtitle\" x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{high}</text>\
             <text class=\"subtitle\" x=\"{right:.1}\" y=\"296\" text-anchor=\"middle\">{across}</text>",
            LEFT - 6.0,
            down + 4.0,
        )
        .expect("a string takes every write");
    }
    for (index, (name, points)) in lines.iter().enumerate() {
        let points: Vec<String> = points.iter().map(|point| place(*point)).collect();
        let row = 330;
        let column = 100 + index * 200;
        writeln!(
            svg,
            "<polyline class=\"line{index}\" points=\"{}\"/>\
             <rect class=\"box{index}\" x=\"{column}\" y=\"{}\" width=\"12\" height=\"12\"/>\
             <text x=\"{}\" y=\"{row}\">{name}</text>",
            points.join(" "),
            row - 11,
            column + 18,
        )
        .expect("a string takes every write");
    }
    svg.push_str("</svg>\n");
    svg
}

/// Rounds up to 1, 2, 4 or 8 times a power of ten.
fn round_up(most: f64) -> f64 {
    let mut scale = 1.0;
    while scale * 10.0 < most {
        scale *= 10.0;
    }
    let fits = [1.0, 2.0, 4.0, 8.0, 10.0].into_iter();
    fits.map(|digit| digit * scale)
        .find(|round| *round >= most)
        .unwrap_or(1.0)
}

fn label(value: f64) -> String {
    if value >= 1_000_000.0 {
        format!("{} M", value / 1_000_000.0)
    } else if value >= 1_000.0 {
        format!("{} k", value / 1_000.0)
    } else {
        format!("{value}")
    }
}

const STYLE: &str = "<style>
text { font: 13px system-ui, sans-serif; fill: #24292f; }
.title { font-size: 16px; font-weight: 600; } .subtitle { fill: #57606a; }
line { stroke: #d0d7de; } polyline { fill: none; stroke-width: 2; }
.line0 { stroke: #0969da; } .line1 { stroke: #d4a72c; } .line2 { stroke: #8c959f; }
.box0 { fill: #0969da; } .box1 { fill: #d4a72c; } .box2 { fill: #8c959f; }
@media (prefers-color-scheme: dark) {
text { fill: #e6edf3; } .subtitle { fill: #9198a1; } line { stroke: #30363d; }
.line0 { stroke: #4493f8; } .line1 { stroke: #bb8009; } .box0 { fill: #4493f8; } .box1 { fill: #bb8009; }
}
</style>";
