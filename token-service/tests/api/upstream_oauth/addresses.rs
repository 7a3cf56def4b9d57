//! O15: hosts that are inside, in every spelling, at the places where a server can name one.

use serde_json::json;

use super::site::{Place, Spoilt};
use super::stand::{Input, Outcome, Stand};

/// Addresses, with the port of the canary where it listens.
const LITERALS: [&str; 37] = [
    "127.0.0.1:{canary}",
    "[::1]:{canary}",
    "169.254.169.254",
    "127.1:{canary}",
    "127.0.0.1.:{canary}",
    "0:{canary}",
    "0.0.0.0:{canary}",
    "0x7f.1:{canary}",
    "0x7f000001:{canary}",
    "2130706433:{canary}",
    "017700000001:{canary}",
    "0177.0.0.1:{canary}",
    "%31%32%37.0.0.1:{canary}",
    "１２７.0.0.1:{canary}",
    "127。0。0。1:{canary}",
    "[::]:{canary}",
    "[0:0:0:0:0:0:0:1]:{canary}",
    "[::ffff:127.0.0.1]:{canary}",
    "[::ffff:7f00:1]:{canary}",
    "[::127.0.0.1]:{canary}",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "0xa9fea9fe",
    "2852039166",
    "100.64.0.1",
    "192.0.0.1",
    "198.18.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "10.0.0.1",
    "192.168.0.1",
    "172.16.0.1",
];

/// Names that stand for this machine, or would where there is somebody to say so.
const NAMES: [&str; 5] = [
    "localhost.:{canary}",
    "inside.localhost:{canary}",
    "metadata.google.internal",
    "127.0.0.1.nip.io",
    "portcullis.internal",
];

/// O15
#[tokio::test]
async fn addresses_inside_are_refused_wherever_they_stand() {
    let mut inputs = Vec::new();
    for (number, host) in LITERALS.into_iter().enumerate() {
        let url = format!("https://{host}/x");
        // One judge for all places: the first few are shown to each of them, the others to one after the other.
        let places = [
            (Place::Server, Spoilt::challenge(format!("Bearer resource_metadata=\"{}\"", ascii(&url)))),
            (Place::Resource, Spoilt::Member("authorization_servers", json!([url]))),
            (Place::Metadata, Spoilt::Member("authorization_endpoint", json!(url))),
            (Place::Metadata, Spoilt::Member("token_endpoint", json!(url))),
            (Place::Metadata, Spoilt::Member("registration_endpoint", json!(url))),
            (Place::Metadata, Spoilt::Member("revocation_endpoint", json!(url))),
        ];
        for (at, (place, spoilt)) in places.into_iter().enumerate() {
            if number < 3 || number % 6 == at {
                let name = format!("{host} at {spoilt:?}");
                inputs.push(Input::new("O15", name, place, spoilt, Outcome::NobodyLeaves));
            }
        }
    }
    Stand::start().await.hold(inputs).await;
}

/// O15: what a name stands for is known when it is resolved, which is right before it would be dialled.
#[tokio::test]
async fn names_of_what_is_inside_are_not_dialled() {
    let mut inputs = Vec::new();
    for host in NAMES {
        let url = format!("https://{host}/x");
        for (place, spoilt, outcome) in [
            (
                Place::Server,
                Spoilt::challenge(format!("Bearer resource_metadata=\"{url}\"")),
                Outcome::NobodyLeaves,
            ),
            (Place::Resource, Spoilt::Member("authorization_servers", json!([url])), Outcome::NobodyLeaves),
            (Place::Metadata, Spoilt::Member("registration_endpoint", json!(url)), Outcome::NobodyLeaves),
            // Where the code would go.
            (Place::Metadata, Spoilt::Member("token_endpoint", json!(url)), Outcome::CodeKept),
        ] {
            inputs.push(Input::new("O15", format!("{host} at {spoilt:?}"), place, spoilt, outcome));
        }
    }
    Stand::start().await.hold(inputs).await;
}

/// O15: the service's own listeners, which are on a host that may be asked.
#[tokio::test]
async fn the_services_own_listeners_are_not_asked() {
    let mut stand = Stand::start().await;
    let port = |address: &str| address.rsplit(':').next().expect("a port").to_owned();
    let own = [port(&stand.service.addresses.admin), port(&stand.service.addresses.public)];
    let mut inputs = Vec::new();
    for port in &own {
        let url = format!("https://localhost:{port}/livez");
        let described = Spoilt::challenge(format!("Bearer resource_metadata=\"{url}\""));
        inputs.push(Input::new("O15", url.clone(), Place::Server, described, Outcome::NobodyLeaves));
        let token = Spoilt::Member("token_endpoint", json!(url));
        inputs.push(Input::new("O15", url, Place::Metadata, token, Outcome::CodeKept));
    }
    stand.hold(inputs).await;
    let log = crate::harness::LOG.text();
    for port in own {
        let refused = format!("https://localhost:{port}/livez: the address may not be fetched");
        assert!(log.contains(&refused), "it was tried, and nobody there speaks TLS");
    }
}

/// As a header can carry it.
fn ascii(url: &str) -> String {
    url.replace('１', "%EF%BC%91")
        .replace('２', "%EF%BC%92")
        .replace('７', "%EF%BC%97")
        .replace('。', "%E3%80%82")
}
