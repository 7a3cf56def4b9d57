//! What was found out, in words, and as configuration to paste.

use std::fmt;

use portcullis_wire::names::Slug;

use super::Probe;
use crate::domain::url::ServerUrl;
use crate::oauth::Discovered;
use crate::presets::{self, Preset, Registration};

/// What is known of a server now.
#[derive(Clone, Debug)]
pub struct Report {
    url: ServerUrl,
    probe: Probe,
    /// Or why nothing was found.
    found: Result<Discovered, String>,
    preset: Option<&'static Preset>,
}

/// A report for programs.
#[derive(Clone, Debug)]
pub struct Findings {
    pub url: String,
    /// Of the answer to a first request without a credential.
    pub status: u16,
    /// What that answer means, in words.
    pub answer: &'static str,
    /// How a server like this one is signed in to: `oauth`, `headers` or `none`.
    pub auth: &'static str,
    pub issuer: Option<String>,
    pub scopes: Vec<String>,
    /// Whether the gateway can register itself with the provider.
    pub registers: bool,
    /// Why no OAuth was found.
    pub no_oauth: Option<String>,
    pub preset: Option<&'static str>,
    /// What has to be known or done before members can connect.
    pub warnings: Vec<String>,
}

impl Report {
    /// For programs.
    pub fn findings(&self) -> Findings {
        let (issuer, scopes) = self.found.as_ref().map_or((None, Vec::new()), |found| {
            (Some(found.authorization_server.issuer.clone()), found.scopes.iter().cloned().collect())
        });
        Findings {
            url: self.url.to_string(),
            status: self.probe.status,
            answer: self.answer(),
            auth: match (&self.found, self.preset) {
                (Ok(_), _) | (_, Some(_)) => "oauth",
                (Err(_), None) if matches!(self.probe.status, 200..=299) => "none",
                (Err(_), None) => "headers",
            },
            issuer,
            scopes,
            registers: self.registers(),
            no_oauth: self.found.as_ref().err().cloned(),
            preset: self.preset.map(|preset| preset.name.as_str()),
            warnings: if self.preset.is_some() { Vec::new() } else { self.warnings() },
        }
    }

    fn answer(&self) -> &'static str {
        match self.probe.status {
            401 | 403 => "asks for a credential at once",
            200..=299 => "answers the first request without a credential",
            404 | 405 => "does not answer like an MCP endpoint; look at the path of the URL",
            300..=399 => "redirects, which the gateway does not follow; use the URL that it points to",
            _ => "answers the first request with an error",
        }
    }

    pub(super) fn new(url: ServerUrl, probe: Probe, found: Result<Discovered, String>) -> Self {
        let preset = presets::for_host(&host(&url));
        Self { url, probe, found, preset }
    }

    /// What has to be known or done before members can connect.
    fn warnings(&self) -> Vec<String> {
        let Ok(found) = &self.found else { return Vec::new() };
        let server = &found.authorization_server;
        let mut warnings = Vec::new();
        if !server.pkce_s256 {
            warnings.push(
                "its metadata do not say that it knows PKCE with S256, so connecting is refused; set assume_pkce if \
                 you know that it does"
                    .to_owned(),
            );
        }
        if server.authorization_endpoint.is_none() {
            warnings.push("it has no authorization endpoint, so members cannot connect accounts".to_owned());
        }
        if server.revocation_endpoint.is_none() {
            warnings.push(
                "it has no revocation endpoint: what a member disconnects stays valid there".to_owned(),
            );
        }
        if !self.registers() {
            warnings
                .push("the gateway cannot register itself: register a client with the provider".to_owned());
        }
        warnings
    }

    fn registers(&self) -> bool {
        self.found.as_ref().is_ok_and(|found| {
            let server = &found.authorization_server;
            server.client_id_metadata_document || server.registration_endpoint.is_some()
        })
    }

    fn words(&self, out: &mut dyn fmt::Write) -> fmt::Result {
        writeln!(out, "{}", self.url)?;
        let asked = self.answer();
        writeln!(out, "  server:         {asked} (status {})", self.probe.status)?;
        match &self.found {
            Ok(found) => authorization(out, found)?,
            Err(why) => writeln!(out, "  authorization:  no OAuth found: {why}")?,
        }
        if let Some(preset) = self.preset {
            writeln!(
                out,
                "  preset:         {} ({}, looked at {})",
                preset.name, preset.title, preset.checked
            )?;
            for note in preset.notes.iter().chain(preset.enter.iter().map(|enter| &enter.how)) {
                writeln!(out, "  note:           {note}")?;
            }
        } else {
            for warning in self.warnings() {
                writeln!(out, "  warning:        {warning}")?;
            }
        }
        Ok(())
    }

    /// The entry of `servers` for it.
    fn entry(&self) -> String {
        let plain_http = if self.url.upstream().tls { "" } else { "    allow_http: true\n" };
        let url = format!("    url: {}\n{plain_http}", self.url);
        let client = "      client:\n        id: …\n        secret: { file: … }\n";
        let lines = match (&self.found, self.preset) {
            (_, Some(preset)) => {
                let auth = format!("    auth:\n      type: oauth\n      preset: {}\n", preset.name);
                let client = if preset.registration == Registration::PreRegistered { client } else { "" };
                format!("{auth}{client}")
            }
            (Ok(_), None) => {
                let client = if self.registers() { "" } else { client };
                format!("{url}    auth:\n      type: oauth\n{client}")
            }
            (Err(_), None) if matches!(self.probe.status, 200..=299) => {
                format!("{url}    auth: {{ type: none }}\n")
            }
            (Err(_), None) => format!(
                "{url}    auth:\n      type: headers\n      headers:\n        Authorization: {{ file: … }}\n"
            ),
        };
        format!("servers:\n  - slug: {}\n{lines}    workspaces: all\n", slug(&host(&self.url)))
    }
}

fn authorization(out: &mut dyn fmt::Write, found: &Discovered) -> fmt::Result {
    let server = &found.authorization_server;
    writeln!(out, "  authorization:  OAuth, by {}", server.issuer)?;
    writeln!(out, "  resource:       {}", found.resource)?;
    let mut ways = Vec::new();
    if server.client_id_metadata_document {
        ways.push("client ID metadata document (the gateway must be reachable for the provider)");
    }
    if server.registration_endpoint.is_some() {
        ways.push("dynamic registration");
    }
    ways.push("a client registered by hand");
    writeln!(out, "  registration:   {}", ways.join(", or "))?;
    let scopes: Vec<&str> = found.scopes.iter().map(String::as_str).collect();
    let scopes = if scopes.is_empty() { "none are named".to_owned() } else { scopes.join(" ") };
    writeln!(out, "  scopes:         {scopes}")?;
    writeln!(out, "  PKCE (S256):    {}", if server.pkce_s256 { "yes" } else { "not said" })
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.words(formatter)?;
        write!(formatter, "\nFor portcullis.yaml:\n\n{}", self.entry())
    }
}

fn host(url: &ServerUrl) -> String {
    let authority = url.upstream().authority;
    let host = authority.rsplit_once(':').filter(|(_, port)| port.bytes().all(|byte| byte.is_ascii_digit()));
    host.map_or(authority.as_str(), |(host, _)| host).to_owned()
}

/// A name to begin with: the first label that says something.
fn slug(host: &str) -> String {
    let generic = ["mcp", "api", "www", "app"];
    let mut labels = host.split('.').filter(|label| !generic.contains(label));
    let named = |label: &&str| label.starts_with(|first: char| first.is_ascii_lowercase());
    let label = labels.next().filter(named).filter(|label| Slug::parse(label).is_ok());
    label.unwrap_or("server").to_owned()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use insta::assert_snapshot;

    use super::*;
    use crate::domain::url::PlainHttp;
    use crate::oauth::AuthorizationServer;

    fn found() -> Discovered {
        let url = |path: &str| format!("https://as.example{path}").parse().expect("a URL");
        Discovered {
            authorization_server: AuthorizationServer {
                issuer: "https://as.example".into(),
                authorization_endpoint: Some(url("/authorize")),
                token_endpoint: url("/token"),
                registration_endpoint: Some(url("/register")),
                revocation_endpoint: Some(url("/revoke")),
                userinfo_endpoint: None,
                token_endpoint_auth_methods: vec!["none".into()],
                scopes_supported: Vec::new(),
                iss_parameter: true,
                client_id_metadata_document: true,
                pkce_s256: true,
            },
            resource: "https://mcp.acme.example/mcp".into(),
            scopes: BTreeSet::from(["read".into(), "write".into()]),
        }
    }

    fn report(url: &str, status: u16, found: Result<Discovered, &str>) -> String {
        let url = ServerUrl::parse(url, PlainHttp::Refused).expect("a URL");
        let probe = Probe { status, challenge: None };
        Report::new(url, probe, found.map_err(str::to_owned)).to_string()
    }

    /// What is printed for pasting makes a server, once the blanks are filled in.
    fn loads(report: &str) {
        let (_, entry) = report.split_once("For portcullis.yaml:\n\n").expect("an entry");
        let directory = tempfile::tempdir().expect("a directory");
        let secret = directory.path().join("secret");
        std::fs::write(&secret, "hunter2").expect("writes");
        let entry = entry.replace("id: …", "id: x").replace('…', &secret.display().to_string());
        let text = format!(
            "public_url: http://127.0.0.1:1\nlisteners: {{internal: 'unix:/i', admin: '127.0.0.1:2', public: \
             '127.0.0.1:3'}}\nstore: {{sqlite: d}}\nroot_key: {{file: r}}\nadmin_token_file: a\n{entry}"
        );
        let path = directory.path().join("portcullis.yaml");
        let config = crate::config::Config::parse(&path, &text, &|_| None);
        config.unwrap_or_else(|problems| panic!("{problems}"));
    }

    #[test]
    fn a_server_that_describes_itself() {
        let report = report("https://mcp.acme.example/mcp", 401, Ok(found()));
        loads(&report);
        assert_snapshot!(report, @"
        https://mcp.acme.example/mcp
          server:         asks for a credential at once (status 401)
          authorization:  OAuth, by https://as.example
          resource:       https://mcp.acme.example/mcp
          registration:   client ID metadata document (the gateway must be reachable for the provider), or dynamic registration, or a client registered by hand
          scopes:         read write
          PKCE (S256):    yes

        For portcullis.yaml:

        servers:
          - slug: acme
            url: https://mcp.acme.example/mcp
            auth:
              type: oauth
            workspaces: all
        ");
    }

    #[test]
    fn a_server_that_leaves_much_to_the_administrator() {
        let mut found = found();
        found.scopes.clear();
        let server = &mut found.authorization_server;
        (server.registration_endpoint, server.revocation_endpoint) = (None, None);
        (server.client_id_metadata_document, server.pkce_s256) = (false, false);
        let report = report("https://acme.example:8443/mcp", 401, Ok(found));
        loads(&report);
        assert_snapshot!(report, @"
        https://acme.example:8443/mcp
          server:         asks for a credential at once (status 401)
          authorization:  OAuth, by https://as.example
          resource:       https://mcp.acme.example/mcp
          registration:   a client registered by hand
          scopes:         none are named
          PKCE (S256):    not said
          warning:        its metadata do not say that it knows PKCE with S256, so connecting is refused; set assume_pkce if you know that it does
          warning:        it has no revocation endpoint: what a member disconnects stays valid there
          warning:        the gateway cannot register itself: register a client with the provider

        For portcullis.yaml:

        servers:
          - slug: acme
            url: https://acme.example:8443/mcp
            auth:
              type: oauth
              client:
                id: …
                secret: { file: … }
            workspaces: all
        ");
    }

    #[test]
    fn a_server_with_a_preset() {
        let report = report("https://mcp.slack.com/mcp", 401, Ok(found()));
        loads(&report);
        assert_snapshot!(report, @"
        https://mcp.slack.com/mcp
          server:         asks for a credential at once (status 401)
          authorization:  OAuth, by https://as.example
          resource:       https://mcp.acme.example/mcp
          registration:   client ID metadata document (the gateway must be reachable for the provider), or dynamic registration, or a client registered by hand
          scopes:         read write
          PKCE (S256):    yes
          preset:         slack (Slack, looked at 2026-11-25)
          note:           Slack takes internal apps and apps of its directory only.
          note:           With token rotation tokens last twelve hours and are renewed; without it they do not expire.
          note:           The token endpoint answers with `token_type` `user` instead of `Bearer`, and reports errors with status 200 and `ok` false; both are understood. The account is shown by the name of its Slack workspace.
          note:           Make a Slack app in your workspace (api.slack.com/apps), turn on Model Context Protocol under Agents & AI Apps, add the user token scopes, opt in to token rotation, and copy client ID and client secret from Basic Information. Its redirect URL is the `callback_url` that GET /v1/servers/<slug> shows once the server is registered here.

        For portcullis.yaml:

        servers:
          - slug: slack
            auth:
              type: oauth
              preset: slack
              client:
                id: …
                secret: { file: … }
            workspaces: all
        ");
    }

    #[test]
    fn servers_without_oauth() {
        for (status, auth) in [(200, "type: none"), (401, "type: headers"), (404, "type: headers")] {
            let report = report("https://mcp.acme.example/", status, Err("there is no metadata"));
            assert!(
                report.contains(auth) && report.contains("no OAuth found: there is no metadata"),
                "{report}"
            );
            loads(&report);
        }
    }
}
