//! A gateway before one server of each kind, each with a secret of its own.

use jwt_simple::prelude::ES256KeyPair;
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::clients::{Authentication, Client};
use portcullis_tests::provider::shape::{Registration, Shape};
use portcullis_tests::seed::{GRACE, Server, headers};
use portcullis_tests::stack::{Builder, Stack};
use portcullis_tests::upstream::protected::Protected;
use serde_json::{Value, json};

use super::kept::Kept;
use super::parrot::{Parrot, SAY};

/// Servers that repeat what they are told: with an account of each member, with the gateway's own client by a secret
/// and by a key, with fixed headers. And one that is all right, where the gateway registers itself.
pub(crate) const PARROT: &str = "parrot";
pub(crate) const MACHINE: &str = "machine";
pub(crate) const SIGNED: &str = "signed";
pub(crate) const FIXED: &str = "fixed";
pub(crate) const LINEAR: &str = "linear";

const DESK_SECRET: &str = "canary-desk/secret+%&=\"q\"~71";
const MACHINE_SECRET: &str = "canary-machine/secret+%&=\"q\"~72";
const FIXED_VALUE: &str = "canary \"fixed\" \\header/ +90=<&>";

pub(crate) struct World {
    pub(crate) stack: Stack,
    pub(crate) desk: Provider,
    pub(crate) machines: Provider,
    pub(crate) linear: Provider,
    pub(crate) parrot: Parrot,
    pub(crate) machine: Parrot,
    _others: (Parrot, Parrot, Protected),
}

impl World {
    pub(crate) async fn start() -> (Self, Kept) {
        let (parrot, machine) = (Parrot::start().await, Parrot::start().await);
        let (signed, fixed) = (Parrot::start().await, Parrot::start().await);
        let key = ES256KeyPair::generate();
        let desk = desk(&parrot).await;
        let machines = machines(&[&machine, &signed], &key).await;
        let linear = Provider::start(Shape::linear()).await.expect("a provider");
        let protected = Protected::behind(&linear).await.expect("a server");
        let private_key = key.to_pem().expect("PEM");
        let own = |client: Value| json!({"type": "client_credentials", "client": client, "authorization_server": {"issuer": machines.issuer()}});
        let desk_client = json!({"id": "desk", "secret": DESK_SECRET, "method": "client_secret_basic"});
        let desk_auth = json!({"type": "oauth", "client": desk_client, "authorization_server": {"issuer": desk.issuer()}});
        let servers = vec![
            server(PARROT, parrot.url(), desk_auth),
            server(MACHINE, machine.url(), own(json!({"id": "machine", "secret": MACHINE_SECRET}))),
            server(SIGNED, signed.url(), own(json!({"id": "signed", "private_key": private_key}))),
            server(FIXED, fixed.url(), headers(&[("x-api-key", FIXED_VALUE)])),
            server(LINEAR, protected.url(), json!({"type": "oauth"})),
        ];
        let builder =
            Builder { servers, members: vec![GRACE], scripted: false, talkative: true, ..Builder::default() };
        let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
        desk.allow_redirect("desk", &stack.callback_url(PARROT));
        let mut kept = Kept::new(stack.public_url());
        for (name, secret) in [
            ("client secret", DESK_SECRET),
            ("machine's secret", MACHINE_SECRET),
            ("fixed header", FIXED_VALUE),
        ] {
            kept.secret(name, secret);
        }
        for line in private_key.lines().filter(|line| !line.starts_with("-----")) {
            kept.secret("private key", line);
        }
        let world =
            Self { stack, desk, machines, linear, parrot, machine, _others: (signed, fixed, protected) };
        world.note_secrets_of_the_gateway(&mut kept);
        (world, kept)
    }

    fn note_secrets_of_the_gateway(&self, kept: &mut Kept) {
        let root_key = std::fs::read(self.stack.directory.join("root-key")).expect("the root key");
        kept.secret("root key", String::from_utf8_lossy(&root_key).trim());
        kept.secret("admin token", self.stack.admin().token());
        for key in [&self.stack.seeded.key, &self.stack.seeded.others[0].key] {
            kept.secret("API key", key.text.as_str());
            // Without the parts that say which key it is.
            kept.secret("API key", key.text.rsplit('_').max_by_key(|part| part.len()).expect("a part"));
        }
    }

    /// What went over the wire to and from the providers, and whatever else begins as their secrets do.
    pub(crate) fn note_secrets_of_providers(&self, kept: &mut Kept) {
        for provider in [&self.desk, &self.machines, &self.linear] {
            for secret in provider.ledger.secrets() {
                kept.secret("wire", secret);
            }
        }
        for kind in ["access", "refresh", "code", "client-secret"] {
            kept.secret("kind", format!("double-{kind}-"));
        }
    }
}

async fn desk(parrot: &Parrot) -> Provider {
    let client = Client::confidential("desk", DESK_SECRET);
    let shape = Shape { registration: Registration::ByHand, clients: vec![client], ..Shape::linear() };
    let provider = Provider::start(shape).await.expect("a provider");
    provider.allow_resource(&parrot.url());
    provider
}

async fn machines(parrots: &[&Parrot], key: &ES256KeyPair) -> Provider {
    let public_key = key.public_key().to_pem().expect("PEM");
    let signed = Client::machine("signed", Authentication::PrivateKeyJwt(public_key));
    let shape =
        Shape::machines(Client::machine("machine", Authentication::SecretBasic(MACHINE_SECRET.into())));
    let clients = [shape.clients.clone(), vec![signed]].concat();
    let provider = Provider::start(Shape { clients, ..shape }).await.expect("a provider");
    for parrot in parrots {
        provider.allow_resource(&parrot.url());
    }
    provider
}

fn server(slug: &'static str, url: String, auth: Value) -> Server {
    Server {
        slug,
        url,
        auth,
        allowed_tool: SAY,
        denied_tool: "delete_issue",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        // The most that a record can hold.
        payload: "full",
    }
}
