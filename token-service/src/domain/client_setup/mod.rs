//! What somebody has to do to call a server of the gateway with a client: the steps, and the configuration to copy.
//!
//! - [`target`]: the address, and what it is called in a client.
//! - [`editors`], [`terminals`], [`sdks`]: the clients, each with its own format.
//! - [`files`]: those formats, written by their own serialisers.
//! - [`shell`]: commands to paste.
//!
//! No credential is ever part of a text: keys come from an environment variable, from the client's own prompt, or from
//! a file of the user's. Names that people give to servers and workspaces are not part of one either, only slugs.

mod editors;
mod files;
mod sdks;
mod shell;
mod target;
mod terminals;

pub use self::target::{Target, TargetError};

/// What is started for clients that speak to local programs only; the version that this gateway is tested with.
pub const BRIDGE: &str = "mcp-remote@0.15.1";

/// A client whose configuration is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Client {
    ClaudeCode,
    ClaudeDesktop,
    Cursor,
    VsCode,
    Codex,
    /// The package `mcp`, 2.x.
    PythonSdk,
    /// The package `@modelcontextprotocol/sdk`, 1.x.
    TypeScriptSdk,
}

/// How a client shows the gateway whose it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The client signs its user in (OAuth); nothing but the address is needed.
    SignIn,
    ApiKey,
}

/// What the gateway's authorization server does for clients that it does not know yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SignIn {
    /// Whether anybody may register a client (RFC 7591). Client ID metadata documents are always taken.
    pub dynamic_registration: bool,
}

/// What to do with one client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSetup {
    pub client: Client,
    /// `None` if this client cannot sign anybody in at this gateway.
    pub sign_in: Option<Way>,
    pub api_key: Way,
}

/// What to do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Way {
    pub credential: Credential,
    pub steps: Vec<Step>,
    /// Something else that does the same, and when that is better.
    pub instead: Option<Step>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// For people: plain sentences.
    pub text: String,
    pub snippet: Option<Snippet>,
}

/// Something to copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snippet {
    pub language: Language,
    /// The file that it is for, on each system; none for what is typed somewhere.
    pub places: Vec<Place>,
    /// Ends without a line break.
    pub text: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    Json,
    Toml,
    /// For a POSIX shell; good in PowerShell too unless the step says otherwise.
    Shell,
    PowerShell,
    Python,
    JavaScript,
    Text,
}

/// Where a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// A system or an extent, such as `macOS` or `One project`.
    pub of: &'static str,
    /// As people of that system write it.
    pub path: &'static str,
}

impl Client {
    pub const ALL: [Self; 7] = [
        Self::ClaudeCode,
        Self::ClaudeDesktop,
        Self::Cursor,
        Self::VsCode,
        Self::Codex,
        Self::PythonSdk,
        Self::TypeScriptSdk,
    ];

    /// In addresses.
    pub fn slug(self) -> &'static str {
        match self {
            Self::ClaudeCode => "claude-code",
            Self::ClaudeDesktop => "claude-desktop",
            Self::Cursor => "cursor",
            Self::VsCode => "vs-code",
            Self::Codex => "codex",
            Self::PythonSdk => "python",
            Self::TypeScriptSdk => "typescript",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::ClaudeCode => "Claude Code",
            Self::ClaudeDesktop => "Claude Desktop",
            Self::Cursor => "Cursor",
            Self::VsCode => "VS Code",
            Self::Codex => "Codex CLI",
            Self::PythonSdk => "Python, with the SDK",
            Self::TypeScriptSdk => "TypeScript or JavaScript, with the SDK",
        }
    }

    /// Whether it is known to have a client ID metadata document of its own, so that it need not register.
    fn has_document(self) -> bool {
        match self {
            Self::ClaudeCode | Self::ClaudeDesktop | Self::VsCode | Self::Codex => true,
            Self::Cursor | Self::PythonSdk | Self::TypeScriptSdk => false,
        }
    }

    /// What to do with it.
    pub fn set_up(self, target: &Target, sign_in: SignIn) -> ClientSetup {
        let can_sign_in = sign_in.dynamic_registration || self.has_document();
        let (signing_in, api_key) = match self {
            Self::ClaudeCode => {
                (Some(terminals::claude_code_sign_in(target)), terminals::claude_code_key(target))
            }
            Self::ClaudeDesktop => (
                editors::claude_desktop_sign_in(target, sign_in.dynamic_registration),
                editors::claude_desktop_key(target),
            ),
            Self::Cursor => (Some(editors::cursor_sign_in(target)), editors::cursor_key(target)),
            Self::VsCode => (Some(editors::vs_code_sign_in(target)), editors::vs_code_key(target)),
            Self::Codex => (Some(terminals::codex_sign_in(target)), terminals::codex_key(target)),
            Self::PythonSdk => (Some(sdks::python_sign_in(target)), sdks::python_key(target)),
            Self::TypeScriptSdk => (Some(sdks::typescript_sign_in(target)), sdks::typescript_key(target)),
        };
        ClientSetup { client: self, sign_in: signing_in.filter(|_| can_sign_in), api_key }
    }
}

impl Credential {
    /// In addresses.
    pub fn slug(self) -> &'static str {
        match self {
            Self::SignIn => "sign-in",
            Self::ApiKey => "api-key",
        }
    }
}

impl Language {
    /// For programs that read the page, and for the names of files.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Toml => "toml",
            Self::Shell => "shell",
            Self::PowerShell => "powershell",
            Self::Python => "python",
            Self::JavaScript => "javascript",
            Self::Text => "text",
        }
    }
}

impl ClientSetup {
    /// Both ways, the one that needs no key first.
    pub fn ways(&self) -> impl Iterator<Item = &Way> {
        self.sign_in.iter().chain([&self.api_key])
    }
}

impl Way {
    /// All steps, the alternative last.
    pub fn all_steps(&self) -> impl Iterator<Item = &Step> {
        self.steps.iter().chain(&self.instead)
    }
}

impl Step {
    fn to_do(text: impl Into<String>) -> Self {
        Self { text: text.into(), snippet: None }
    }

    fn copy(text: impl Into<String>, snippet: Snippet) -> Self {
        Self { text: text.into(), snippet: Some(snippet) }
    }
}

impl Snippet {
    fn new(language: Language, text: impl Into<String>) -> Self {
        Self { language, places: Vec::new(), text: text.into().trim_end().to_owned() }
    }

    fn at(self, places: &[Place]) -> Self {
        Self { places: places.to_vec(), ..self }
    }
}

/// How the key gets into the environment without being shown or kept in a shell's history.
pub fn keep_key(target: &Target) -> [Step; 2] {
    let variable = target.key_variable();
    [
        Step::copy(
            "macOS and Linux: run this, then paste the key and press Enter. It is not shown.",
            Snippet::new(Language::Shell, format!("read -rs {variable} && export {variable}")),
        ),
        Step::copy(
            "Windows, in PowerShell: run this, then paste the key and press Enter.",
            Snippet::new(Language::PowerShell, format!("$env:{variable} = Read-Host 'API key'")),
        ),
    ]
}

/// What to do with a file that may have other servers already.
fn add_to_file(list: &str) -> String {
    format!("Add this to the file. Where it has {list} already, add what is inside.")
}

/// The first step with a key from the environment.
fn start_with_key(target: &Target, started: &str) -> Step {
    Step::to_do(format!(
        "Put the key into the environment variable {}, as shown above, and start {started} from the same terminal.",
        target.key_variable()
    ))
}

#[cfg(test)]
mod tests;
