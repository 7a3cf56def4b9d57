//! `portcullis import`: what other gateways know of servers, as a part of `portcullis.yaml`.
//!
//! What is printed holds no secret: where one belongs there is the name of a file, and the report says what to put there.
//! Whatever is not carried over is in the report too, with its place and what to do about it. Nothing is changed anywhere.

mod found;
mod portkey;
mod report;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;

use self::report::Report;

/// More than any gateway has to say.
const LONGEST: u64 = 8 * 1024 * 1024;

#[derive(Debug, Subcommand)]
pub enum ImportCommand {
    /// Reads MCP integrations of Portkey: one, a list, or an object with `integrations`, `servers` and `workspaces`, each
    /// as its API answers them.
    Portkey {
        /// JSON; `-` for standard input.
        file: PathBuf,
    },
}

/// Why nothing was imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error("{path} cannot be read: {error}")]
    File { path: String, error: std::io::Error },
    #[error("{path} has more than {LONGEST} bytes: import it in parts")]
    TooLong { path: String },
    #[error("{path} is not JSON that can be read: {error}")]
    Json { path: String, error: serde_json::Error },
    #[error(
        "{path} has no integration: give one as the API answers it, a list of them, or an object with a list \
         `integrations`"
    )]
    Nothing { path: String },
    #[error("this cannot be written as YAML: {0}")]
    Yaml(String),
}

/// What was made of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The part of a `portcullis.yaml`.
    pub yaml: String,
    /// For people: which secrets to put where, and what was not carried over.
    pub report: String,
}

impl ImportCommand {
    pub fn run(self) -> Result<Imported, ImportError> {
        let Self::Portkey { file } = self;
        let text = text_of(&file)?;
        import_portkey(&file.display().to_string(), &text)
    }
}

/// Makes a part of a `portcullis.yaml` of what Portkey's API has answered. `path` names the text in errors.
pub fn import_portkey(path: &str, text: &str) -> Result<Imported, ImportError> {
    let path = path.to_owned();
    let json = match serde_json::from_str(text) {
        Ok(json) => json,
        Err(error) => return Err(ImportError::Json { path, error }),
    };
    let report = Report::default();
    let Some(found) = portkey::read(&json, &report) else { return Err(ImportError::Nothing { path }) };
    let options = serde_saphyr::ser_options! { compact_list_indent: false, prefer_block_scalars: false };
    let yaml = serde_saphyr::to_string_with_options(&found.to_json(), options)
        .map_err(|error| ImportError::Yaml(error.to_string()))?;
    let count = found.servers.len();
    Ok(Imported {
        yaml: format!("# Made by portcullis import portkey.\n{yaml}"),
        report: report.finish(count),
    })
}

fn text_of(path: &Path) -> Result<String, ImportError> {
    let failed = |error| ImportError::File { path: path.display().to_string(), error };
    let source: Box<dyn std::io::Read> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(std::fs::File::open(path).map_err(failed)?)
    };
    let mut text = String::new();
    source.take(LONGEST + 1).read_to_string(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST {
        return Err(ImportError::TooLong { path: path.display().to_string() });
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
