//! Values as YAML documents that people read.

use std::fmt::Write as _;

use serde_json::Value;

use super::RenderError;

/// A document, and what it is about.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Document {
    pub(crate) title: Option<String>,
    pub(crate) value: Value,
}

/// The command by which somebody makes the same again.
pub(crate) fn command(name: &str, options: impl IntoIterator<Item = (&'static str, String)>) -> String {
    let mut command = format!("portcullis render {name}");
    for (option, value) in options {
        // A line end would end the comment.
        let value: String = value.chars().filter(|letter| !letter.is_control()).collect();
        let quoted = shlex::try_quote(&value).unwrap_or_default();
        let _ = write!(command, " {option} {quoted}");
    }
    command
}

/// All of them, below a comment that says where they come from.
pub(crate) fn text(command: &str, documents: &[Document]) -> Result<String, RenderError> {
    let options = serde_saphyr::ser_options! { compact_list_indent: false, prefer_block_scalars: false };
    let mut text = format!(
        "# Made from the registry of servers; changes are lost when it is made again:\n# {command}\n"
    );
    for (index, document) in documents.iter().enumerate() {
        if index > 0 {
            text += "---\n";
        }
        if let Some(title) = &document.title {
            let _ = writeln!(text, "# {title}");
        }
        let value = serde_saphyr::to_string_with_options(&document.value, options.clone())
            .map_err(|error| RenderError::Yaml(error.to_string()))?;
        text += value.trim_end();
        text.push('\n');
    }
    Ok(text)
}
