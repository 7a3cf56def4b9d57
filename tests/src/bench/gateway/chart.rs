//! The tables as a picture: a bar for what each contender adds.

use std::fmt::Write as _;

use super::contenders::Contender;
use super::report::{Measured, Table};

/// The cases that are about contenders.
const SHOWN: [&str; 5] = ["small", "large", "list", "list_events", "cold"];

const WIDTH: f64 = 760.0;
const LABELS: f64 = 250.0;
const BAR: f64 = 18.0;

/// An SVG that is readable on light and on dark pages.
pub fn draw(tables: &[Table]) -> String {
    let (mut body, mut y) = (String::new(), 10.0);
    for table in tables.iter().filter(|table| SHOWN.contains(&table.name)) {
        y += 22.0;
        let _ =
            writeln!(body, "<text class=\"title\" x=\"0\" y=\"{y}\">{}: added µs of CPU</text>", table.title);
        y += 8.0;
        let rows: Vec<&Measured> =
            table.rows.iter().filter(|row| row.contender != Contender::Plain).collect();
        let most = rows.iter().map(|row| row.added_us).fold(1.0, f64::max);
        for row in rows {
            let width = (row.added_us.max(0.0) / most * (WIDTH - LABELS - 60.0)).round();
            let class = if row.contender.is_ours() { "ours" } else { "other" };
            let middle = y + BAR - 5.0;
            let _ = writeln!(
                body,
                "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\">{}</text>\
                 <rect class=\"{class}\" x=\"{LABELS}\" y=\"{}\" width=\"{width}\" height=\"{}\"/>\
                 <text x=\"{}\" y=\"{middle}\">{:.0}</text>",
                LABELS - 8.0,
                row.contender.title(),
                y + 1.0,
                BAR - 2.0,
                LABELS + width + 6.0,
                row.added_us,
            );
            y += BAR;
        }
    }
    let height = y + 12.0;
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" \
         aria-label=\"Processor time that each contender adds to a request\">\n\
         <style>text {{ font: 12px sans-serif; fill: #57606a }} .title {{ font-weight: 600 }} \
         .ours {{ fill: #0a7d5a }} .other {{ fill: #8c959f }}\n\
         @media (prefers-color-scheme: dark) {{ text {{ fill: #c9d1d9 }} }}</style>\n{body}</svg>\n"
    )
}
