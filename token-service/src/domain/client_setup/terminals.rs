//! Clients that run in a terminal.

use super::shell::command;
use super::{Credential, Place, Snippet, Step, Target, Way, files, start_with_key};

const CLAUDE_PROJECT: [Place; 1] = [Place { of: "One project, at its root", path: ".mcp.json" }];

const CODEX_FILE: [Place; 2] = [
    Place { of: "macOS, Linux", path: "~/.codex/config.toml" },
    Place { of: "Windows", path: r"%USERPROFILE%\.codex\config.toml" },
];

pub(super) fn claude_code_sign_in(target: &Target) -> Way {
    Way {
        credential: Credential::SignIn,
        steps: vec![
            Step::copy("Add the server, for all your projects.", claude_code_add(target, None)),
            Step::copy(
                "Sign in: a browser opens, and you allow it. In a session, /mcp does the same.",
                command(&["claude", "mcp", "login", target.name()]),
            ),
        ],
        instead: Some(Step::copy(
            "To share it with everybody who works on a project, put this into a file of the project. Each of them signs \
             in as themselves.",
            files::claude_code(target, false).at(&CLAUDE_PROJECT),
        )),
    }
}

pub(super) fn claude_code_key(target: &Target) -> Way {
    let header = format!("Authorization: Bearer ${{{}}}", target.key_variable());
    Way {
        credential: Credential::ApiKey,
        steps: vec![
            start_with_key(target, "Claude Code"),
            Step::copy(
                "Add the server, for all your projects. The single quotes matter: the variable is kept, not the key, and \
                 Claude Code looks it up each time it starts.",
                claude_code_add(target, Some(&header)),
            ),
            Step::copy("See that it is connected.", command(&["claude", "mcp", "list"])),
        ],
        instead: Some(Step::copy(
            "To share it with everybody who works on a project, put this into a file of the project. Each of them uses \
             a key of their own.",
            files::claude_code(target, true).at(&CLAUDE_PROJECT),
        )),
    }
}

/// The header comes last: the option takes all words that follow.
fn claude_code_add(target: &Target, header: Option<&str>) -> Snippet {
    let mut words =
        vec!["claude", "mcp", "add", "--transport", "http", "--scope", "user", target.name(), target.url()];
    if let Some(header) = header {
        words.extend(["--header", header]);
    }
    command(&words)
}

pub(super) fn codex_sign_in(target: &Target) -> Way {
    Way {
        credential: Credential::SignIn,
        steps: vec![
            Step::copy("Add this to the end of the file.", files::codex(target, false).at(&CODEX_FILE)),
            Step::copy(
                "Sign in: a browser opens, and you allow it.",
                command(&["codex", "mcp", "login", target.name()]),
            ),
        ],
        instead: Some(Step::copy(
            "Let Codex write the file. It begins to sign you in at once.",
            command(&["codex", "mcp", "add", target.name(), "--url", target.url()]),
        )),
    }
}

pub(super) fn codex_key(target: &Target) -> Way {
    let variable = target.key_variable();
    let words =
        ["codex", "mcp", "add", target.name(), "--url", target.url(), "--bearer-token-env-var", variable];
    Way {
        credential: Credential::ApiKey,
        steps: vec![
            start_with_key(target, "Codex"),
            Step::copy("Add this to the end of the file.", files::codex(target, true).at(&CODEX_FILE)),
        ],
        instead: Some(Step::copy("Let Codex write the file.", command(&words))),
    }
}
