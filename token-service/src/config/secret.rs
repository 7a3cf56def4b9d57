//! Secrets: in a file or in the environment, never in the configuration itself.

use secrecy::SecretString;
use zeroize::Zeroizing;

use super::reader::At;

/// Reads `{file: path}` or `{env: NAME}`. One line end at the end of a file is not part of the secret. `check` says
/// whether the value can be used; it must not repeat the value.
pub(super) fn read<E: std::fmt::Display>(
    at: &At<'_>,
    check: impl FnOnce(&str) -> Result<(), E>,
) -> Option<SecretString> {
    // Somebody who writes the secret itself must not see it again in a report.
    if at.is_scalar() {
        at.report("a secret cannot be written here", "write {file: path} or {env: NAME}");
        return None;
    }
    let fields = at.fields(&["file", "env"])?;
    let value = match (fields.get("file"), fields.get("env")) {
        (Some(file), None) => from_file(file)?,
        (None, Some(variable)) => from_environment(variable)?,
        (Some(_), Some(_)) | (None, None) => {
            at.report(
                "a secret comes from either a file or the environment",
                "write {file: path} or {env: NAME}",
            );
            return None;
        }
    };
    if let Err(error) = check(&value) {
        at.report(error, "put a usable value into the file or the variable");
        return None;
    }
    Some(SecretString::from(value.as_str()))
}

fn from_file(at: &At<'_>) -> Option<Zeroizing<String>> {
    let path = at.path()?;
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let text = Zeroizing::new(text);
            let value = text.strip_suffix('\n').unwrap_or(&text);
            Some(Zeroizing::new(value.strip_suffix('\r').unwrap_or(value).to_owned()))
        }
        Err(error) => {
            let remedy = "name a readable text file; relative paths start at the directory of this file";
            at.report(format_args!("{} cannot be read: {error}", path.display()), remedy);
            None
        }
    }
}

fn from_environment(at: &At<'_>) -> Option<Zeroizing<String>> {
    let name = at.text()?;
    let value = (at.context.environment)(name);
    if value.is_none() {
        at.report(format_args!("the environment has no variable {name}"), "set it, or name another");
    }
    value.map(Zeroizing::new)
}
