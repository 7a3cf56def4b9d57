//! A gateway with somebody in every role, and one of everything that they might touch.

use std::collections::BTreeMap;

use portcullis_token_service::clock::{Clock as _, Timestamp};
use portcullis_token_service::domain::client_session::{
    Authorization, ClientName, ClientSession, Extent, IDLE,
};
use portcullis_token_service::domain::connection::{Binding, ConnectionOwner, SealedTokens};
use portcullis_token_service::domain::oauth_client::DynamicClient;
use portcullis_token_service::domain::resource::ResourcePath;
use portcullis_token_service::domain::server::Sealed;
use portcullis_token_service::record_store::{Fields, NewRecord, RecordId};
use portcullis_token_service::store::connections::{Catalogue, NewConnection};
use portcullis_wire::digest::Digest;
use portcullis_wire::names::Slug;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::browser::{Browser, GATEWAY};
use crate::harness::Service;
use crate::reply::Reply;

/// Who asks. Objects are of the workspace `core` and of its member Ada.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Role {
    Anonymous,
    AdminToken,
    Owner,
    Admin,
    ManagerHere,
    ManagerElsewhere,
    /// Ada, whose objects they are.
    Oneself,
    /// Another member of `core`.
    Fellow,
    MemberElsewhere,
}

pub(crate) const ROLES: [Role; 9] = [
    Role::Anonymous,
    Role::AdminToken,
    Role::Owner,
    Role::Admin,
    Role::ManagerHere,
    Role::ManagerElsewhere,
    Role::Oneself,
    Role::Fellow,
    Role::MemberElsewhere,
];

impl Role {
    /// As the sign-in page calls somebody of this role; `None` for those who do not sign in.
    fn name(self) -> Option<&'static str> {
        match self {
            Self::Anonymous | Self::AdminToken => None,
            Self::Owner => Some("Olga Owner"),
            Self::Admin => Some("Adam Admin"),
            Self::ManagerHere => Some("Mia Manager"),
            Self::ManagerElsewhere => Some("Max Manager"),
            Self::Oneself => Some("Ada Lovelace"),
            Self::Fellow => Some("Grace Hopper"),
            Self::MemberElsewhere => Some("Eve Mallory"),
        }
    }
}

const DECLARED: &str = "
sign_in: {development: true}
egress: {development_loopback: true}
administrators:
  - {issuer: 'https://idp.example', subject: olga, name: Olga Owner, role: owner}
  - {issuer: 'https://idp.example', subject: adam, name: Adam Admin, role: admin}
";

/// Somebody signed in on the admin side.
#[derive(Clone)]
pub(crate) struct Person {
    pub(crate) browser: Browser,
    pub(crate) csrf: String,
    /// The admin side's own address.
    origin: String,
}

impl Person {
    pub(crate) async fn sign_in(service: &Service, name: &str) -> Self {
        let mut browser = Browser::of_admin(service);
        browser.sign_in_at(name, &service.addresses.admin).await;
        let me = browser.get("/v1/me").await;
        let csrf = me.body["csrf"].as_str().unwrap_or_else(|| panic!("{}", me.text)).to_owned();
        Self { browser, csrf, origin: service.addresses.admin.clone() }
    }

    /// A request as a page of the admin side makes it.
    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let changes = !method.is_safe();
        let request = self.browser.request(method, path);
        if !changes {
            return request;
        }
        request
            .header("origin", &self.origin)
            .header("content-type", "application/json")
            .header("x-portcullis-csrf", &self.csrf)
    }

    pub(crate) async fn ask(&self, method: Method, path: &str, body: Option<&Value>) -> Reply {
        let mut request = self.request(method, path);
        if let Some(body) = body {
            request = request.body(body.to_string());
        }
        Reply::read(request.send().await.expect("a reply")).await
    }
}

/// Everything there is, by what it is called in paths.
pub(crate) struct World {
    pub(crate) service: Service,
    pub(crate) ids: BTreeMap<&'static str, String>,
    people: BTreeMap<Role, Person>,
}

impl World {
    pub(crate) async fn start() -> Self {
        let service = Service::start(DECLARED).await;
        let mut ids = BTreeMap::new();
        for slug in ["core", "sales"] {
            service.post("/v1/workspaces", json!({"slug": slug})).await;
        }
        for (workspace, subject, name, role) in [
            ("core", "mia", "Mia Manager", "manager"),
            ("core", "ada", "Ada Lovelace", "member"),
            ("core", "grace", "Grace Hopper", "member"),
            ("sales", "max", "Max Manager", "manager"),
            ("sales", "eve", "Eve Mallory", "member"),
        ] {
            let body =
                json!({"issuer": "https://idp.example", "subject": subject, "name": name, "role": role});
            let id = service.post(&format!("/v1/workspaces/{workspace}/members"), body).await.id();
            if subject == "ada" {
                ids.insert("member", id);
            }
        }
        let body = json!({"slug": "linear", "url": "https://mcp.example/mcp", "auth": {"type": "none"},
            "workspaces": ["core"]});
        ids.insert("server", service.post("/v1/servers", body).await.id());
        ids.insert("workspace", service.get("/v1/workspaces/core").await.id());
        let body = json!({"name": "Ada's", "member": ids["member"]});
        let key = service.post("/v1/workspaces/core/keys", body).await;
        ids.insert("key", key.body["key"]["id"].as_str().expect("an id").to_owned());
        ids.insert("service_key", service.service_key("core").await.1);
        let body = json!({"issuer": "https://idp.example", "subject": "second", "role": "owner"});
        ids.insert("administrator", service.post("/v1/administrators", body).await.id());
        ids.insert("connection", connect(&service, Some(&ids["member"]), &ids["server"]).await);
        ids.insert("shared_connection", connect(&service, None, &ids["server"]).await);
        let (client, session) = sign_in_client(&service, &ids["member"], &ids["server"]).await;
        ids.extend([("client", client), ("session", session)]);
        for target in targets(&ids) {
            service.put(&format!("/v1/policies/{target}/linear"), json!({})).await;
        }
        ids.insert("record", record(&service, &ids["workspace"], &ids["member"]).await);
        ids.insert("tool_digest", learn(&service, &ids["server"]).await);
        let mut people = BTreeMap::new();
        for role in ROLES {
            if let Some(name) = role.name() {
                people.insert(role, Person::sign_in(&service, name).await);
            }
        }
        Self { service, ids, people }
    }

    /// After this role has signed out.
    pub(crate) async fn sign_in_again(&mut self, role: Role) {
        let name = role.name().expect("somebody who signs in");
        self.people.insert(role, Person::sign_in(&self.service, name).await);
    }

    pub(crate) fn person(&self, role: Role) -> &Person {
        &self.people[&role]
    }

    /// Asks as somebody of this role.
    pub(crate) async fn ask(&self, role: Role, method: Method, path: &str, body: Option<&Value>) -> Reply {
        if let Some(person) = self.people.get(&role) {
            return person.ask(method, path, body).await;
        }
        let url = format!("{}{path}", self.service.addresses.admin);
        let mut request = self.service.admin.request(method, url);
        if role == Role::AdminToken {
            request = request.bearer_auth(self.service.token());
        }
        if let Some(body) = body {
            request = request.json(body);
        }
        Reply::read(request.send().await.expect("a reply")).await
    }
}

/// A policy target of each kind.
pub(crate) fn targets(ids: &BTreeMap<&'static str, String>) -> [String; 5] {
    [
        "organization".to_owned(),
        format!("workspace:{}", ids["workspace"]),
        format!("member:{}", ids["member"]),
        format!("key:{}", ids["key"]),
        format!("key:{}", ids["service_key"]),
    ]
}

/// Two tools, of which one is approved; the digest of the other.
async fn learn(service: &Service, server: &str) -> String {
    let list = json!({"tools": [{"name": "fetch"}, {"name": "search"}]}).to_string();
    let results = BTreeMap::from([("tools/list".to_owned(), list)]);
    let catalogue = Catalogue { learnt_at: service.clock.now(), results, ..Catalogue::default() };
    service.store().save_catalogue(&server.into(), &catalogue).await.expect("saves");
    let tools = service.get(&format!("/v1/servers/{server}/tools")).await.body;
    let [fetch, search] = [0, 1].map(|position| tools["entries"][position]["digest"].clone());
    let approvals = json!({"tools": [{"name": "fetch", "digest": fetch}]});
    let approved = service.post(&format!("/v1/servers/{server}/approvals"), approvals).await;
    assert!(approved.status.is_success(), "{}", approved.text);
    search.as_str().expect("a digest").to_owned()
}

/// A request of this member.
async fn record(service: &Service, workspace: &str, member: &str) -> String {
    let shared = service.shared();
    let records = shared.records.as_ref().expect("records are kept");
    let fields = Fields {
        workspace_id: Some(workspace.to_owned()),
        caller: Some(member.to_owned()),
        decision: Some("allow".to_owned()),
        status: Some(200),
        ..Fields::default()
    };
    let record = NewRecord { started_us: service.clock.now().as_millis() * 1_000, uid: [1; 16], fields };
    records.store.append(std::slice::from_ref(&record)).await.expect("appends");
    RecordId::of(record.started_us, &record.uid).to_string()
}

/// A client that has registered itself, and its sign-in as this member.
async fn sign_in_client(service: &Service, member: &str, server: &str) -> (String, String) {
    let (store, now) = (service.store(), service.clock.now());
    let name = "A client".to_owned();
    let client = ClientName { id: format!("dyn_{}", "1".repeat(32)), name: name.clone() };
    let redirect_uri = "http://127.0.0.1/callback".to_owned();
    let registered = DynamicClient {
        id: client.id.clone(),
        name,
        redirect_uris: vec![redirect_uri.clone()],
        created_at: now,
        used_at: None,
    };
    assert!(store.register_client(&registered).await.expect("registers"));
    let resource = ResourcePath { workspace: None, server: Slug::parse("linear").expect("a slug") };
    let (member, server) = (member.into(), server.into());
    let digest = Digest::of("test", &[b"request"]);
    let session = ClientSession {
        id: format!("ses_{}", "1".repeat(32)).as_str().into(),
        member,
        server,
        resource,
        client,
        extent: Extent::Everything,
        created_at: now,
        last_used_at: now,
        expires_at: now.plus(IDLE),
    };
    let agreed = Authorization {
        request: digest,
        member: session.member.clone(),
        server: session.server.clone(),
        resource: session.resource.clone(),
        client: session.client.clone(),
        redirect_uri,
        challenge: "challenge".to_owned(),
        extent: session.extent,
        created_at: now,
    };
    assert!(store.agree(&agreed).await.expect("agrees"));
    assert!(store.show_code(&digest, &digest, now.plus(IDLE)).await.expect("shows"));
    assert!(store.redeem_code(&digest, &session, &digest).await.expect("redeems"));
    (session.client.id, session.id.to_string())
}

/// A connection, without the way through a provider.
async fn connect(service: &Service, member: Option<&String>, server: &str) -> String {
    let owner = member.map_or(ConnectionOwner::Shared, |id| ConnectionOwner::Member(id.as_str().into()));
    let binding = Binding {
        origin: "https://mcp.example".into(),
        issuer: "https://login.example".into(),
        client_id: "gateway".into(),
    };
    let access = Sealed::new(vec![0; 40]);
    let new = NewConnection {
        server: server.into(),
        owner,
        binding,
        generation: 1,
        tokens: SealedTokens { access, refresh: None, expires_at: None, refresh_at: None },
        scopes: std::collections::BTreeSet::new(),
        account: None,
        now: Timestamp(1),
    };
    service.store().connect(&new).await.expect("connects").id.to_string()
}

/// The public pages as somebody of this name sees them.
pub(crate) async fn on_the_pages(service: &Service, name: &str) -> Browser {
    let mut browser = Browser::new(service);
    browser.sign_in_at(name, GATEWAY).await;
    browser
}
