//! The sections that say who comes in at the admin side and the pages, and how.

use std::collections::BTreeSet;

use portcullis_wire::secret::SecretText;
use secrecy::ExposeSecret as _;

use super::reader::{At, Fields};
use super::registry::{Names, identity_text};
use super::{AdministratorConfig, CompanySignIn, secret};
use crate::domain::auth_draft::ClientMethod;
use crate::domain::auth_text::{check_client_id, check_client_secret, check_issuer, check_scope};
use crate::domain::people::{Identity, MemberRole, OrganizationRole};
use crate::domain::sign_in::{Gives, MappingRule, Who};

/// How people sign in.
#[derive(Debug, Default)]
pub(super) struct SignIn {
    pub(super) development: bool,
    pub(super) company: Option<CompanySignIn>,
}

/// The section `sign_in`; without it nobody can.
pub(super) fn read(sections: &Fields<'_>, names: &Names) -> Option<SignIn> {
    let Some(at) = sections.get("sign_in") else { return Some(SignIn::default()) };
    let fields = at.fields(&["development", "oidc"])?;
    let development = fields.get("development").map_or(Some(false), At::boolean);
    let company = fields.get("oidc").map(|at| company(at, names));
    if development == Some(true) && company.is_some() {
        at.report(
            "development and oidc exclude each other: with the first anybody could be anybody",
            "remove one of the two",
        );
    }
    let company = match company {
        Some(company) => Some(company?),
        None => None,
    };
    Some(SignIn { development: development?, company })
}

fn company(at: &At<'_>, names: &Names) -> Option<CompanySignIn> {
    let fields = at.fields(&["issuer", "client", "scopes", "name_claim", "groups_claim", "memberships"])?;
    let issuer = fields.require("issuer").and_then(|at| at.parsed(ISSUER_REMEDY, issuer));
    let client = fields.require("client").and_then(client);
    let scopes = match fields.get("scopes") {
        Some(at) => scopes(at),
        None => Some(vec!["profile".to_owned()]),
    };
    let claim = |name: &str, usual: &str| match fields.get(name) {
        Some(at) => at.parsed("name a claim of the ID tokens", claim),
        None => Some(usual.to_owned()),
    };
    let (name_claim, groups_claim) = (claim("name_claim", "name"), claim("groups_claim", "groups"));
    let rules: Vec<_> = fields.items("memberships").iter().map(|at| rule(at, names)).collect();
    let Client { id, secret, method } = client?;
    Some(CompanySignIn {
        issuer: issuer?,
        client_id: id,
        secret,
        method,
        scopes: scopes?,
        name_claim: name_claim?,
        groups_claim: groups_claim?,
        rules: rules.into_iter().collect::<Option<_>>()?,
    })
}

const ISSUER_REMEDY: &str = "write it exactly as the provider's /.well-known/openid-configuration has it";

/// One provider, one tenant: a template would let everybody in whom the provider knows.
fn issuer(text: &str) -> Result<String, &'static str> {
    if text.contains(['{', '}']) {
        return Err("a template is no issuer; name the tenant");
    }
    check_issuer(text).map(|()| text.to_owned()).map_err(|_| "an issuer is an https URL without ? and #")
}

fn claim(text: &str) -> Result<String, &'static str> {
    let good = !text.is_empty() && text.len() <= 256 && !text.chars().any(char::is_control);
    if good { Ok(text.to_owned()) } else { Err("not the name of a claim") }
}

struct Client {
    id: String,
    secret: Option<SecretText>,
    method: ClientMethod,
}

fn client(at: &At<'_>) -> Option<Client> {
    let fields = at.fields(&["id", "secret", "method"])?;
    let id = fields.require("id").and_then(|at| {
        at.parsed("write it as the provider has it", |text| check_client_id(text).map(|()| text.to_owned()))
    });
    let secret = fields.get("secret").map(|at| secret::read(at, check_client_secret));
    let given = secret.is_some();
    let method = match fields.get("method") {
        Some(at) => {
            let method = at.parsed("write client_secret_basic, client_secret_post or none", method)?;
            if given != (method != ClientMethod::None) {
                at.report("the method and the secret do not go together", "give a secret, or write none");
            }
            method
        }
        None if given => ClientMethod::ClientSecretBasic,
        None => ClientMethod::None,
    };
    let secret = match secret {
        Some(secret) => Some(SecretText::new(secret?.expose_secret().to_owned())),
        None => None,
    };
    Some(Client { id: id?, secret, method })
}

fn method(text: &str) -> Result<ClientMethod, &'static str> {
    match text {
        "client_secret_basic" => Ok(ClientMethod::ClientSecretBasic),
        "client_secret_post" => Ok(ClientMethod::ClientSecretPost),
        "none" => Ok(ClientMethod::None),
        _ => Err("not a method"),
    }
}

/// Those besides `openid`, which is always asked for.
fn scopes(at: &At<'_>) -> Option<Vec<String>> {
    let scope = |at: &At<'_>| {
        at.parsed("write one scope an item", |text| check_scope(text).map(|()| text.to_owned()))
    };
    let scopes: Vec<_> = at.list()?.iter().map(scope).collect();
    let scopes: Vec<String> = scopes.into_iter().collect::<Option<_>>()?;
    Some(scopes.into_iter().filter(|scope| scope != "openid").collect())
}

fn rule(at: &At<'_>, names: &Names) -> Option<MappingRule> {
    let fields = at.fields(&["group", "everyone", "workspace", "role", "organization_role"])?;
    let who = who(&fields);
    let gives = match (fields.get("workspace"), fields.get("organization_role")) {
        (Some(at), None) => {
            let workspace = names.workspace(at);
            let role = fields.get("role").map_or(Some(MemberRole::Member), member_role);
            workspace.zip(role).map(|(workspace, role)| Gives::Membership { workspace, role })
        }
        (None, Some(at)) => {
            if fields.get("role").is_some() {
                at.report("role is that of a member of a workspace", "remove role");
            }
            if who == Some(Who::Everyone) {
                at.report("everyone would administer the gateway", "name a group");
            }
            organization_role(at).map(Gives::Administration)
        }
        (Some(_), Some(_)) | (None, None) => {
            let remedy = "write workspace: <slug>, or organization_role: owner or admin";
            at.report("a rule gives either a workspace or an organization_role", remedy);
            None
        }
    };
    Some(MappingRule { who: who?, gives: gives? })
}

fn who(fields: &Fields<'_>) -> Option<Who> {
    match (fields.get("group"), fields.get("everyone")) {
        (Some(at), None) => {
            let group = |text: &str| {
                let good = (1..=1024).contains(&text.len()) && !text.chars().any(char::is_control);
                if good { Ok(Who::Group(text.to_owned())) } else { Err("not the name of a group") }
            };
            at.parsed("write the group exactly as the ID tokens have it", group)
        }
        (None, Some(at)) if at.boolean()? => Some(Who::Everyone),
        _ => {
            fields.at().report(
                "a rule is about either a group or everyone",
                "write group: <name>, or everyone: true",
            );
            None
        }
    }
}

pub(super) fn member_role(at: &At<'_>) -> Option<MemberRole> {
    at.parsed("write member or manager", |text| MemberRole::parse(text).ok_or("not a role in a workspace"))
}

fn organization_role(at: &At<'_>) -> Option<OrganizationRole> {
    at.parsed("write owner or admin", |text| {
        OrganizationRole::parse(text).ok_or("not a role in the organization")
    })
}

/// The section `administrators`. Whoever is named without an issuer is the company's.
pub(super) fn administrators(sections: &Fields<'_>, company: Option<&str>) -> Vec<AdministratorConfig> {
    let mut seen = BTreeSet::new();
    let items = sections.items("administrators");
    items.iter().filter_map(|at| administrator(at, company, &mut seen)).collect()
}

fn administrator(
    at: &At<'_>,
    company: Option<&str>,
    seen: &mut BTreeSet<Identity>,
) -> Option<AdministratorConfig> {
    let fields = at.fields(&["issuer", "subject", "name", "role"])?;
    let issuer = match (fields.get("issuer"), company) {
        (None, Some(company)) => Some(company.to_owned()),
        _ => identity_text(&fields, "issuer"),
    };
    let subject = identity_text(&fields, "subject");
    let identity = issuer.zip(subject).map(|(issuer, subject)| Identity { issuer, subject });
    if identity.as_ref().is_some_and(|identity| !seen.insert(identity.clone())) {
        at.report("this administrator is listed twice", "remove one of the two");
    }
    let name = match fields.get("name") {
        Some(at) => at.name(),
        None => identity.as_ref().map(|identity| identity.subject.clone()),
    };
    let role = fields.require("role").and_then(organization_role);
    Some(AdministratorConfig { identity: identity?, name: name?, role: role? })
}

/// `admin_token: always`.
pub(super) fn admin_token_always(sections: &Fields<'_>) -> Option<bool> {
    let Some(at) = sections.get("admin_token") else { return Some(false) };
    at.parsed("write always or until_owner", |text| match text {
        "always" => Ok(true),
        "until_owner" => Ok(false),
        _ => Err("not a life of the admin token"),
    })
}
