//! Clients with windows.

use super::{Credential, Language, Place, Snippet, Step, Target, Way, add_to_file, files, start_with_key};

const CLAUDE_DESKTOP_FILE: [Place; 2] = [
    Place { of: "macOS", path: "~/Library/Application Support/Claude/claude_desktop_config.json" },
    Place { of: "Windows", path: r"%APPDATA%\Claude\claude_desktop_config.json" },
];

const CURSOR_FILE: [Place; 3] = [
    Place { of: "macOS, Linux", path: "~/.cursor/mcp.json" },
    Place { of: "Windows", path: r"%USERPROFILE%\.cursor\mcp.json" },
    Place { of: "One project", path: ".cursor/mcp.json" },
];

const VS_CODE_FILE: [Place; 2] = [
    Place { of: "All your work", path: "what the command “MCP: Open User Configuration” opens" },
    Place { of: "One project", path: ".vscode/mcp.json" },
];

/// Stands for the file that the user makes; the bridge does not know `~`.
const HEADERS_FILE: &str = "/PATH/TO/portcullis-headers.txt";

const MCP_SERVERS: &str = "“mcpServers”";

const NEEDS_NODE: &str = "It starts mcp-remote, a program from npm, for which Node.js has to be installed.";

/// Connectors are called from the network of the vendor, which wants https; the bridge is on the user's machine, and
/// has to register itself.
pub(super) fn claude_desktop_sign_in(target: &Target, may_register: bool) -> Option<Way> {
    let bridge = may_register.then(|| {
        Step::copy(
            format!(
                "{} Then start Claude Desktop again. {NEEDS_NODE} A browser opens, and you allow it.",
                add_to_file(MCP_SERVERS)
            ),
            files::bridge_with_sign_in(target).at(&CLAUDE_DESKTOP_FILE),
        )
    });
    if !target.is_https() {
        return bridge.map(|step| Way { credential: Credential::SignIn, steps: vec![step], instead: None });
    }
    let connector = Step::copy(
        format!(
            "Open Settings, Connectors, Add custom connector. Call it {}, and paste this address. Then press Connect: a \
             browser opens, and you allow it.",
            target.name()
        ),
        Snippet::new(Language::Text, target.url()),
    );
    let instead = bridge.map(|step| Step {
        text: format!(
            "Connectors are called from the internet. If this gateway cannot be reached from there, use the file. {}",
            step.text
        ),
        ..step
    });
    Some(Way { credential: Credential::SignIn, steps: vec![connector], instead })
}

pub(super) fn claude_desktop_key(target: &Target) -> Way {
    Way {
        credential: Credential::ApiKey,
        steps: vec![
            Step::copy(
                "Make a file that only you can read, with this line and your key in the place of YOUR_API_KEY.",
                Snippet::new(Language::Text, "Authorization: Bearer YOUR_API_KEY"),
            ),
            Step::copy(
                format!(
                    "{} Put in the whole path of the file that you have made (on Windows with \\\\ for each \\), \
                     and start Claude Desktop again. {NEEDS_NODE}",
                    add_to_file(MCP_SERVERS)
                ),
                files::bridge_with_key(target, HEADERS_FILE).at(&CLAUDE_DESKTOP_FILE),
            ),
        ],
        instead: None,
    }
}

pub(super) fn cursor_sign_in(target: &Target) -> Way {
    Way {
        credential: Credential::SignIn,
        steps: vec![
            Step::copy(add_to_file(MCP_SERVERS), files::cursor(target, false).at(&CURSOR_FILE)),
            Step::to_do(
                "Open Cursor's settings for MCP, and press the button to sign in next to the server: a browser opens, \
                 and you allow it.",
            ),
        ],
        instead: None,
    }
}

pub(super) fn cursor_key(target: &Target) -> Way {
    Way {
        credential: Credential::ApiKey,
        steps: vec![
            start_with_key(target, "Cursor"),
            Step::copy(add_to_file(MCP_SERVERS), files::cursor(target, true).at(&CURSOR_FILE)),
        ],
        instead: None,
    }
}

pub(super) fn vs_code_sign_in(target: &Target) -> Way {
    Way {
        credential: Credential::SignIn,
        steps: vec![
            Step::copy(add_to_file("“servers”"), files::vs_code(target, false).at(&VS_CODE_FILE)),
            Step::to_do("Press Start above the server in that file: a browser opens, and you allow it."),
        ],
        instead: None,
    }
}

pub(super) fn vs_code_key(target: &Target) -> Way {
    Way {
        credential: Credential::ApiKey,
        steps: vec![
            Step::copy(add_to_file("“servers” or “inputs”"), files::vs_code(target, true).at(&VS_CODE_FILE)),
            Step::to_do(
                "Press Start above the server in that file. VS Code asks for the key once, and keeps it where it keeps \
                 secrets.",
            ),
        ],
        instead: None,
    }
}
