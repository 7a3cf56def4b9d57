//! A gateway whose sign-in is the company's.

use portcullis_tests::browser::Person;
use portcullis_tests::oidc::{Company, Oidc};
use portcullis_tests::port::Reserved;
use portcullis_tests::stack::{Builder, Ports, Stack};
use serde_json::{Map, Value, json};

/// Ada is in the groups `engineers` and `it`, Grace in none.
pub(crate) struct Office {
    pub(crate) stack: Stack,
    oidc: Oidc,
    _secrets: tempfile::TempDir,
}

impl Office {
    /// With the workspace `engineering`, and `it` as admins. `None` without `oidc-provider`.
    pub(crate) async fn open() -> anyhow::Result<Option<Self>> {
        let rules = json!([
            {"group": "engineers", "workspace": "engineering", "role": "manager"},
            {"group": "it", "organization_role": "admin"},
        ]);
        Self::of(&rules, json!([{"slug": "engineering"}])).await
    }

    /// On its first day: `it` are owners, and there is nothing else.
    pub(crate) async fn empty() -> anyhow::Result<Option<Self>> {
        let rules = json!([{"group": "it", "organization_role": "owner"}]);
        let Some(office) = Self::of(&rules, json!([])).await? else { return Ok(None) };
        let admin = office.stack.admin();
        for server in &office.stack.servers {
            admin.delete(&format!("/v1/servers/{}", server.slug)).await?;
        }
        admin.delete("/v1/workspaces/core").await?;
        Ok(Some(office))
    }

    async fn of(rules: &Value, workspaces: Value) -> anyhow::Result<Option<Self>> {
        let (gateway, admin) = (Reserved::take(None)?.address()?, Reserved::take(None)?.address()?);
        let company = Company {
            redirect_uris: [gateway, admin]
                .map(|address| format!("http://{address}/sign-in/callback"))
                .into(),
            people: json!({
                "ada": {"name": "Ada Lovelace", "groups": ["engineers", "it"]},
                "grace": {"name": "Grace Hopper", "groups": []},
            }),
        };
        let Some(oidc) = Oidc::of_company(&company).await? else { return Ok(None) };
        let secrets = tempfile::tempdir()?;
        let sign_in = oidc.sign_in(&secrets.path().join("client"), rules)?;
        let sections = [
            ("sign_in", sign_in),
            ("workspaces", workspaces),
            ("catalogue", json!({"every": "1s"})),
            // With an owner who can sign in, the stories' own token would be over.
            ("admin_token", json!("always")),
        ];
        let ports = Ports { gateway: Some(gateway.port()), admin: Some(admin.port()), ..Ports::default() };
        let sections: Map<String, Value> =
            sections.into_iter().map(|(name, section)| (name.to_owned(), section)).collect();
        let stack = Stack::build(Builder { ports, sections, ..Builder::default() }).await?;
        Ok(Some(Self { stack, oidc, _secrets: secrets }))
    }

    /// On the provider's own pages, which ask whom it is and for consent the first time.
    pub(crate) async fn at_the_provider(&self, person: &Person, login: &str) {
        person.wait_for_url(&self.oidc.issuer()).await;
        person.fill("Enter any login", login).await;
        person.fill("and password", "anything").await;
        person.click("button", "Sign-in").await;
        person.click("button", "Continue").await;
    }
}
