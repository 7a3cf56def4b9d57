//! Programs of one's own, with the official SDKs. They list the server's tools, which is enough to see that it works.

use askama::Template;

use super::shell::command;
use super::{Credential, Language, Place, Snippet, Step, Target, Way, start_with_key};

/// Values are literals already, quotes included. JSON's are also Python's and JavaScript's.
macro_rules! program {
    ($name:ident, $path:literal, $($field:ident: $of:ident),+) => {
        #[derive(Template)]
        #[template(path = $path, escape = "none")]
        struct $name {
            $($field: String),+
        }

        impl $name {
            fn of(target: &Target) -> String {
                let program = Self { $($field: literal(target.$of())),+ };
                // Templates write into a string and cannot fail.
                program.render().unwrap_or_default()
            }
        }
    };
}

program!(PythonKey, "client_setup/api_key.py", url: url, variable: key_variable);
program!(PythonSignIn, "client_setup/sign_in.py", url: url);
program!(TypeScriptKey, "client_setup/api_key.mjs", url: url, variable: key_variable);
program!(TypeScriptSignIn, "client_setup/sign_in.mjs", url: url);

const PYTHON_FILE: [Place; 1] = [Place { of: "Any name, such as", path: "tools.py" }];
const TYPESCRIPT_FILE: [Place; 1] = [Place { of: "Any name, such as", path: "tools.mjs" }];

const RUN_AND_SIGN_IN: &str = "Run it. It prints an address: open it in a browser, and allow it.";
const RUN: &str = "Run it. It prints the names of the tools that you may use.";

pub(super) fn python_sign_in(target: &Target) -> Way {
    Way {
        credential: Credential::SignIn,
        steps: python(PythonSignIn::of(target), RUN_AND_SIGN_IN),
        instead: None,
    }
}

pub(super) fn python_key(target: &Target) -> Way {
    let mut steps = python(PythonKey::of(target), RUN);
    steps.insert(0, start_with_key(target, "the program"));
    Way { credential: Credential::ApiKey, steps, instead: None }
}

pub(super) fn typescript_sign_in(target: &Target) -> Way {
    Way {
        credential: Credential::SignIn,
        steps: typescript(TypeScriptSignIn::of(target), RUN_AND_SIGN_IN),
        instead: None,
    }
}

pub(super) fn typescript_key(target: &Target) -> Way {
    let mut steps = typescript(TypeScriptKey::of(target), RUN);
    steps.insert(0, start_with_key(target, "the program"));
    Way { credential: Credential::ApiKey, steps, instead: None }
}

fn python(program: String, run: &str) -> Vec<Step> {
    vec![
        Step::copy("Install the SDK.", command(&["pip", "install", "mcp>=2"])),
        Step::copy("Write the program.", Snippet::new(Language::Python, program).at(&PYTHON_FILE)),
        Step::copy(run, command(&["python", "tools.py"])),
    ]
}

fn typescript(program: String, run: &str) -> Vec<Step> {
    vec![
        Step::copy("Install the SDK.", command(&["npm", "install", "@modelcontextprotocol/sdk"])),
        Step::copy("Write the program.", Snippet::new(Language::JavaScript, program).at(&TYPESCRIPT_FILE)),
        Step::copy(run, command(&["node", "tools.mjs"])),
    ]
}

/// Only ASCII goes in, which JSON, Python and JavaScript write alike.
fn literal(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
