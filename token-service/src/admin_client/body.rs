//! What a request says: the fields that were given as flags, over those of a file.

use std::io::Read as _;
use std::path::Path;

use serde_json::{Map, Value};

use super::client::ClientError;

/// A JSON object in the making.
#[derive(Debug, Default)]
pub(super) struct Body(Map<String, Value>);

impl Body {
    /// The object in a file, of standard input for `-`; empty without one.
    pub(super) fn from_file(path: Option<&Path>) -> Result<Self, ClientError> {
        let Some(path) = path else { return Ok(Self::default()) };
        match serde_json::from_str(&read(path)?) {
            Ok(Value::Object(fields)) => Ok(Self(fields)),
            Ok(_) | Err(_) => Err(ClientError::Body(path.display().to_string())),
        }
    }

    #[must_use]
    pub(super) fn with(mut self, field: &str, value: Option<impl Into<Value>>) -> Self {
        if let Some(value) = value {
            self.0.insert(field.to_owned(), value.into());
        }
        self
    }

    /// A list that is empty was not given.
    #[must_use]
    pub(super) fn with_list(self, field: &str, values: Vec<String>) -> Self {
        let given = (!values.is_empty()).then_some(values);
        self.with(field, given)
    }

    /// A flag that is off was not given.
    #[must_use]
    pub(super) fn with_flag(self, field: &str, is_on: bool) -> Self {
        self.with(field, is_on.then_some(true))
    }

    /// An object that is empty was not given.
    #[must_use]
    pub(super) fn with_object(self, field: &str, body: Self) -> Self {
        let given = (!body.0.is_empty()).then_some(body.0);
        self.with(field, given)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn finish(self) -> Value {
        self.0.into()
    }
}

/// A file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<String, ClientError> {
    let mut text = String::new();
    let outcome = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    outcome.map_err(|error| ClientError::File { path: path.display().to_string(), error })?;
    Ok(text)
}

/// A secret from `@<file>` or `env:<variable>`: never an argument itself, which everybody on the machine sees.
pub(super) fn secret(source: &str) -> Result<String, ClientError> {
    let text = match (source.strip_prefix('@'), source.strip_prefix("env:")) {
        (Some(path), _) => read(Path::new(path))?,
        (_, Some(variable)) => {
            std::env::var(variable).map_err(|_| ClientError::Variable(variable.to_owned()))?
        }
        _ => return Err(ClientError::Secret),
    };
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_given_is_not_said() {
        let none: Option<String> = None;
        let body = Body::default()
            .with("name", Some("x"))
            .with("url", none)
            .with_list("scopes", Vec::new())
            .with_flag("allow_http", false)
            .with_object("auth", Body::default());
        assert_eq!(body.finish(), json!({"name": "x"}));
    }

    #[test]
    fn a_secret_is_never_an_argument() {
        assert!(matches!(secret("hunter2"), Err(ClientError::Secret)));
        assert!(matches!(secret("env:PORTCULLIS_UNHEARD_OF"), Err(ClientError::Variable(_))));
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("secret");
        std::fs::write(&path, "Bearer x\n").expect("writes");
        assert_eq!(secret(&format!("@{}", path.display())).ok().as_deref(), Some("Bearer x"));
    }
}
