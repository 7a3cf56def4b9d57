//! Secrets are where they belong and nowhere else: one run through everything that happens to credentials, with all of
//! ours logging all that it can, and then a search through everything that is kept or shown.
//!
//! The token-service logs at `trace`, libraries included. Of Envoy it is `wasm` that logs at `trace`: all that the filter
//! says, and all calls between the two. `debug` of Envoy's `http` and `router` prints every header of every request by
//! itself, the client's key and the injected credential with it; that is Envoy's to say, and for whoever turns it on to
//! know (envoy/README.md).

pub(crate) mod kept;
pub(crate) mod life;
mod parrot;
mod places;
pub(crate) mod world;

use std::collections::BTreeSet;

use portcullis_tests::canaries::{Canary, Found, Place, Search};

use life::Life;
use world::World;

/// A secret that is rightly in a place.
struct Rightful {
    /// How the name of the secret begins.
    canary: &'static str,
    /// How the name of the place begins.
    place: &'static str,
    why: &'static str,
}

const RIGHTFUL: [Rightful; 19] = [
    Rightful { canary: "admin token", place: "file admin-token", why: "there it is kept" },
    Rightful { canary: "root key", place: "file root-key", why: "there it is kept" },
    Rightful { canary: "ticket", place: "answer to", why: "the link is for the agent to show" },
    Rightful {
        canary: "ticket",
        place: "head of page /connect",
        why: "to the sign-in, and back to the link",
    },
    Rightful { canary: "ticket", place: "page /sign-in", why: "the way back to the link" },
    Rightful { canary: "ticket", place: "head of page /sign-in", why: "back to the link" },
    Rightful { canary: "ticket", place: "page /connect", why: "where the form goes" },
    Rightful { canary: "form token", place: "page /", why: "a field of the form that it protects" },
    Rightful { canary: "cookie", place: "head of page /", why: "Set-Cookie" },
    Rightful { canary: "state", place: "page /connect", why: "of the address that the browser goes to" },
    Rightful { canary: "request state", place: "answer to", why: "for the client to carry, sealed" },
    Rightful {
        canary: "request state",
        place: "file access.jsonl",
        why: "sealed to its member, and payload is full",
    },
    Rightful { canary: "session id", place: "head of answer to", why: "for the client to carry, sealed" },
    Rightful { canary: "the server's state", place: "answer to", why: "the server's words to the client" },
    Rightful {
        canary: "the server's state",
        place: "file access.jsonl",
        why: "the same, and payload is full",
    },
    // The same record, as the token-service keeps and shows it.
    Rightful { canary: "request state", place: "file portcullis.records.db", why: "payload is full" },
    Rightful { canary: "request state", place: "admin API /v1/records", why: "payload is full" },
    Rightful { canary: "the server's state", place: "file portcullis.records.db", why: "payload is full" },
    Rightful { canary: "the server's state", place: "admin API /v1/records", why: "payload is full" },
];

/// What shows that a place was really looked at, and at its most talkative.
const SIGNS: [(&str, &str); 17] = [
    ("file portcullis.db", "SQLite format 3"),
    ("file portcullis.db-wal", "parrot"),
    ("file token-service.log", "\"level\":\"TRACE\""),
    ("file envoy.log", "[trace][wasm]"),
    ("file access.jsonl", "\"server\":\"parrot\""),
    ("file access.jsonl", "****"),
    ("file portcullis.records.db", "parrot"),
    ("Envoy /config_dump", "portcullis"),
    ("Envoy /stats", "wasm"),
    ("Envoy /stats/prometheus", "envoy_"),
    ("Envoy /stats/prometheus", "portcullis_masked_bytes_total{mcp_server=\"parrot\"}"),
    ("admin API /v1/connections", "con_"),
    ("admin API /v1/audit", "connection.connect"),
    ("internal /v1/watch", "parrot"),
    ("internal /metrics", "server=\"parrot\""),
    ("page /connections", "parrot"),
    ("environ of token-service", "PORTCULLIS_LOG=trace"),
];

#[tokio::test]
async fn no_secret_is_where_it_does_not_belong() {
    let (mut world, mut kept) = World::start().await;
    Life::new(&world, &mut kept).live().await;
    world.note_secrets_of_providers(&mut kept);
    let mut everywhere = places::listeners(&world.stack).await;
    everywhere.extend(places::processes(&world.stack));
    everywhere.extend(places::files(&world.stack.directory));
    everywhere.append(&mut kept.places);
    for (place, sign) in SIGNS {
        assert!(shows(&everywhere, place, sign), "{place} does not show {sign}");
    }
    // What a program writes when it ends, and what it leaves behind.
    world.stack.service.process.stop().expect("ends");
    world.stack.envoy.process.stop().expect("ends");
    everywhere.extend(places::files(&world.stack.directory));

    everything_planted_is_found(&everywhere);
    let search = Search::new(&kept.canaries).expect("a search");
    let found: BTreeSet<Found> = everywhere.iter().flat_map(|place| search.find_in(place)).collect();
    let (rightful, wrong): (Vec<&Found>, Vec<&Found>) =
        found.iter().partition(|found| RIGHTFUL.iter().any(|rightful| rightful.covers(found)));
    println!("{} secrets, {} places, {} rightful", kept.canaries.len(), everywhere.len(), rightful.len());
    assert!(wrong.is_empty(), "{wrong:#?}");
    for exception in &RIGHTFUL {
        let used = rightful.iter().any(|found| exception.covers(found));
        assert!(used, "{} is never in {} ({})", exception.canary, exception.place, exception.why);
    }
    assert!(world.stack.directory.exists());
}

impl Rightful {
    fn covers(&self, found: &Found) -> bool {
        found.canary.starts_with(self.canary) && found.place.starts_with(self.place)
    }
}

fn shows(places: &[Place], name: &str, sign: &str) -> bool {
    let has = |place: &Place| place.content.windows(sign.len()).any(|window| window == sign.as_bytes());
    places.iter().filter(|place| place.name.starts_with(name)).any(has)
}

/// In the middle of each place, in each spelling.
fn everything_planted_is_found(places: &[Place]) {
    let planted = Canary::new("planted", "canary \"planted\" <in>\\every/place +77aa01");
    let search = Search::new([&planted]).expect("a search");
    let texts: BTreeSet<Vec<u8>> = planted.spellings().into_iter().map(|(_, text)| text).collect();
    let plants = texts.iter().fold(Vec::new(), |plants, text| [plants, text.clone(), b"|".to_vec()].concat());
    for place in places {
        assert!(search.find_in(place).is_empty(), "{place:?} has it already");
        let (before, after) = place.content.split_at(place.content.len() / 2);
        let content = [before, &plants, after].concat();
        let found = search.find_in(&Place::new(place.name.clone(), content));
        assert_eq!(found.len(), texts.len(), "{place:?}");
    }
}
