//! What a program has measured: a table, and the same for other programs in `target/<program>/results.json`.

use std::collections::BTreeMap;
use std::fs;

use anyhow::ensure;
use serde::Serialize;
use serde_json::Value;

use crate::artifacts::target_directory;

/// Figures by name.
#[derive(Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Figures(BTreeMap<String, Figure>);

/// One line of the table.
#[derive(Debug, Serialize)]
struct Figure {
    value: Value,
    unit: &'static str,
    target: String,
    holds: bool,
}

impl Figures {
    /// `target` is in words; `holds` says whether it is met.
    pub fn add(
        &mut self,
        name: &str,
        value: impl Into<Value>,
        unit: &'static str,
        target: String,
        holds: bool,
    ) {
        self.0.insert(name.to_owned(), Figure { value: value.into(), unit, target, holds });
    }

    /// A figure that says something only beside others.
    pub fn note(&mut self, name: &str, value: impl Into<Value>, unit: &'static str) {
        self.add(name, value, unit, "none".into(), true);
    }

    /// A ratio that may be at most `most`.
    pub fn ratio(&mut self, name: &str, value: f64, most: f64) {
        let shown = (value * 100.0).round() / 100.0;
        self.add(name, shown, "ratio", format!("≤ {most}"), value <= most);
    }

    /// Prints and writes them all.
    ///
    /// # Errors
    /// If they cannot be written, or if one does not hold.
    pub fn report(&self, program: &str) -> anyhow::Result<()> {
        for (name, figure) in &self.0 {
            let mark = if figure.holds { " " } else { "✗" };
            println!("{mark} {name:<48} {:>12} {:<12} {}", figure.value, figure.unit, figure.target);
        }
        let directory = target_directory()?.join(program);
        fs::create_dir_all(&directory)?;
        let path = directory.join("results.json");
        fs::write(&path, serde_json::to_string_pretty(self)?)?;
        println!("written to {}", path.display());
        let failed: Vec<&str> =
            self.0.iter().filter(|(_, figure)| !figure.holds).map(|(name, _)| name.as_str()).collect();
        ensure!(failed.is_empty(), "does not hold: {}", failed.join(", "));
        Ok(())
    }
}
