//! What servers have: merging what is learnt, approving it, and what filters are told.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::digest::Digest;
use portcullis_wire::policy::NewTools;
use portcullis_wire::watch::{Invalidation, MAX_LABELLED_TOOLS};
use serde_json::{Value, json};

use super::Database;
use super::facts::{key_proof, request};
use super::fixtures::*;
use crate::clock::Timestamp;
use crate::domain::Revision;
use crate::domain::catalogue::{EntryKind, LARGEST_DEFINITION, MOST_DEFINITIONS, State};
use crate::domain::ids::ServerId;
use crate::domain::people::KeyOwner;
use crate::domain::policy::{PolicyTarget, ServerRules};
use crate::domain::quarantine::QuarantineTarget;
use crate::store::catalogue::{
    ApprovalOutcome, CatalogueEntry, EntryFilter, FORGOTTEN_AFTER, MOST_ENTRIES, Unapprovable,
};
use crate::store::connections::{Catalogue, NewConnection};
use crate::store::{Actor, MemberChange, Store};

pub(super) fn tool(name: &str, description: &str) -> Value {
    json!({"name": name, "description": description})
}

fn learnt(at: u64, tools: &[Value]) -> Catalogue {
    let list = json!({"tools": tools}).to_string();
    let results = BTreeMap::from([("tools/list".to_owned(), list)]);
    Catalogue { learnt_at: Timestamp(at), results, cut: BTreeSet::new() }
}

pub(super) async fn learn(store: &dyn Store, server: &ServerId, at: u64, tools: &[Value]) {
    store.save_catalogue(server, &learnt(at, tools)).await.expect("saves");
}

const TOOLS: &[EntryKind] = &[EntryKind::Tool];

pub(super) async fn entries(
    store: &dyn Store,
    server: &ServerId,
    kinds: &[EntryKind],
) -> Vec<CatalogueEntry> {
    let filter = EntryFilter { kinds: kinds.to_vec(), state: None };
    store.catalogue_entries(server, &filter, None, 10_000).await.expect("reads")
}

async fn states(store: &dyn Store, server: &ServerId) -> Vec<(String, &'static str)> {
    let entries = entries(store, server, TOOLS).await;
    entries.into_iter().map(|entry| (entry.name.clone(), entry.state().as_str())).collect()
}

fn stood(expected: &[(&str, &'static str)]) -> Vec<(String, &'static str)> {
    expected.iter().map(|(name, state)| ((*name).to_owned(), *state)).collect()
}

async fn digest(store: &dyn Store, server: &ServerId, name: &str) -> Digest {
    let found = store.catalogue_entry(server, EntryKind::Tool, name).await.expect("reads");
    found.expect("is there").0.digest
}

/// Approves the present definitions.
pub(super) async fn approve(store: &dyn Store, server: &ServerId, names: &[&str]) -> ApprovalOutcome {
    let mut approvals = BTreeMap::new();
    for name in names {
        approvals.insert((*name).to_owned(), digest(store, server, name).await);
    }
    store.approve_tools(server, &approvals).await.expect("answers")
}

pub(in crate::store) async fn definitions_are_merged_as_they_are_learnt(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let server = small(store.as_ref()).await.server.id;
    learn(store.as_ref(), &server, 10, &[tool("a", "one"), tool("b", "one")]).await;
    learn(store.as_ref(), &server, 20, &[tool("a", "one"), tool("b", "two"), tool("c", "one")]).await;
    let times = |entry: &CatalogueEntry| {
        [entry.first_seen_at, entry.last_seen_at, entry.changed_at].map(|time| time.0)
    };
    let seen = async || {
        let entries = entries(other.as_ref(), &server, TOOLS).await;
        entries.iter().map(|entry| (entry.name.clone(), times(entry), entry.gone)).collect::<Vec<_>>()
    };
    let expected = |a, b, c: [u64; 3], gone| {
        vec![("a".to_owned(), a, false), ("b".to_owned(), b, gone), ("c".to_owned(), c, false)]
    };
    assert_eq!(seen().await, expected([10, 20, 10], [10, 20, 20], [20, 20, 20], false));
    let found = other.catalogue_entry(&server, EntryKind::Tool, "b").await.expect("reads");
    let (entry, definitions) = found.expect("is there");
    assert_eq!((definitions.present, definitions.approved), (tool("b", "two").to_string(), None));
    assert_eq!((entry.reads_only, entry.approval), (false, None));

    // What was learnt before counts for nothing, and the beginning of a list does not say what is missing.
    learn(store.as_ref(), &server, 15, &[tool("late", "x")]).await;
    let mut cut = learnt(30, &[tool("a", "one"), tool("c", "one")]);
    cut.cut.insert("tools/list".to_owned());
    store.save_catalogue(&server, &cut).await.expect("saves");
    assert_eq!(seen().await, expected([10, 30, 10], [10, 20, 20], [20, 30, 20], false));
    // Neither does a list that could not be had.
    let nothing = Catalogue { learnt_at: Timestamp(35), ..Catalogue::default() };
    store.save_catalogue(&server, &nothing).await.expect("saves");
    assert_eq!(seen().await, expected([10, 30, 10], [10, 20, 20], [20, 30, 20], false));
    learn(store.as_ref(), &server, 40, &[tool("a", "one"), tool("c", "one")]).await;
    assert_eq!(seen().await, expected([10, 40, 10], [10, 20, 20], [20, 40, 20], true));
    learn(store.as_ref(), &server, 50, &[tool("a", "one"), tool("b", "two"), tool("c", "one")]).await;
    assert_eq!(seen().await, expected([10, 50, 10], [10, 50, 20], [20, 50, 20], false), "it is back");

    let forgotten = 50 + u64::try_from(FORGOTTEN_AFTER.as_millis()).expect("fits");
    learn(store.as_ref(), &server, forgotten, &[tool("a", "one")]).await;
    assert_eq!(seen().await.len(), 3, "not yet");
    learn(store.as_ref(), &server, forgotten + 1, &[tool("a", "one")]).await;
    assert_eq!(seen().await.len(), 1);
}

pub(in crate::store) async fn approvals_are_compared_and_set(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let server = small(store.as_ref()).await.server.id;
    let large = tool("large", &"x".repeat(LARGEST_DEFINITION));
    let all = [tool("a", "one"), tool("b", "one"), tool("c", "one"), large];
    learn(store.as_ref(), &server, 10, &all).await;
    let looked_at = digest(store.as_ref(), &server, "b").await;
    learn(store.as_ref(), &server, 20, &[tool("a", "one"), tool("b", "two"), tool("c", "one")]).await;
    let before = revision(store.as_ref()).await;
    let mut approvals = BTreeMap::from([
        ("a".to_owned(), digest(store.as_ref(), &server, "a").await),
        ("b".to_owned(), looked_at),
        ("large".to_owned(), digest(store.as_ref(), &server, "large").await),
        ("none".to_owned(), looked_at),
    ]);
    let refused = store.approve_tools(&server, &approvals).await.expect("answers");
    let expected = [
        ("b".to_owned(), Unapprovable::Stale),
        ("large".to_owned(), Unapprovable::TooLarge),
        ("none".to_owned(), Unapprovable::Missing),
    ];
    assert_eq!(refused, ApprovalOutcome::Refused(expected.into()));
    assert_eq!(revision(store.as_ref()).await, before, "none was approved");
    assert!(entries(other.as_ref(), &server, TOOLS).await.iter().all(|entry| entry.approval.is_none()));

    approvals.retain(|name, _| name == "a");
    approvals.insert("b".to_owned(), digest(store.as_ref(), &server, "b").await);
    let (olga, now) = (Actor::Person(identity(7)), Timestamp(99));
    let acting = store.on_behalf_of(olga.clone(), now);
    let at = Revision(before.0 + 1);
    let outcome = acting.approve_tools(&server, &approvals).await.expect("approves");
    assert_eq!(outcome, ApprovalOutcome::Approved(at));
    assert_eq!(changes(store.as_ref(), before).await, change_set(at, false, &[told(&server)]));
    let found = other.catalogue_entry(&server, EntryKind::Tool, "b").await.expect("reads");
    let (entry, definitions) = found.expect("is there");
    let approval = entry.approval.clone().expect("approved");
    assert_eq!((approval.digest, approval.by, approval.at), (entry.digest, olga, now));
    assert_eq!(definitions.approved, Some(definitions.present));
    let expected = stood(&[("a", "approved"), ("b", "approved"), ("c", "new"), ("large", "gone")]);
    assert_eq!(states(other.as_ref(), &server).await, expected);
    let of = |name: &str| format!("{server} {} {name}", approvals[name]);
    let written = audited(store.as_ref(), 2).await;
    assert_eq!(written, [("tool.approve".to_owned(), of("a")), ("tool.approve".to_owned(), of("b"))]);

    // Again: the first to approve stays the one who did.
    let again = store.approve_tools(&server, &approvals).await.expect("answers");
    assert_eq!(again, ApprovalOutcome::Approved(at));
    let nowhere = store.approve_tools(&"nowhere".into(), &approvals).await.expect("answers");
    assert!(matches!(nowhere, ApprovalOutcome::Refused(names) if names.len() == 2));

    // Withdrawn it is as new, and approved it can be again.
    assert_eq!(store.withdraw_approval(&server, "c").await.expect("answers"), None);
    assert_eq!(store.withdraw_approval(&server, "none").await.expect("answers"), None);
    let withdrawn = store.withdraw_approval(&server, "a").await.expect("answers").expect("was approved");
    assert_eq!(changes(store.as_ref(), at).await, change_set(withdrawn, false, &[told(&server)]));
    assert_eq!(audited(store.as_ref(), 1).await, [("tool.withdraw_approval".to_owned(), of("a"))]);
    let expected = stood(&[("a", "new"), ("b", "approved"), ("c", "new"), ("large", "gone")]);
    assert_eq!(states(other.as_ref(), &server).await, expected);
    assert!(matches!(approve(store.as_ref(), &server, &["a"]).await, ApprovalOutcome::Approved(_)));
}

fn told(server: &ServerId) -> Invalidation {
    Invalidation::Server(server.to_string())
}

pub(in crate::store) async fn what_changes_after_an_approval_is_told(database: &dyn Database) {
    let store = database.open().await;
    let Small { workspace, server, .. } = small(store.as_ref()).await;
    let key = store.create_key(&new_key(1, &workspace, KeyOwner::Service)).await.expect("makes");
    let mut settings = key.settings.clone();
    settings.scope.read_only = false;
    store.change_key(&key.id, &settings, None).await.expect("changes");
    let request = request("server-1", key_proof(key.id.as_str()));
    let id = server.id;
    let known = async || {
        let facts = store.lease_facts(&request).await.expect("reads").server.expect("is there");
        (facts.reading_tools, facts.approved_tools)
    };
    let reading = |name: &str, description: &str| json!({"name": name, "description": description, "annotations": {"readOnlyHint": true}});
    learn(store.as_ref(), &id, 10, &[reading("r", "one"), tool("w", "one"), tool("x", "one")]).await;
    approve(store.as_ref(), &id, &["r", "w"]).await;
    assert_eq!(known().await, (vec![], vec![]), "no policy judges by it");
    let rules = ServerRules { new_tools: NewTools::Hold, ..ServerRules::default() };
    store.set_policy(&PolicyTarget::Organization, &id, &rules, None).await.expect("sets");
    assert_eq!(known().await, (vec![], vec!["r".to_owned(), "w".to_owned()]));

    for (at, tools, approved, is_told, why) in [
        (
            20,
            vec![reading("r", "one"), tool("w", "one"), tool("x", "two")],
            vec!["r", "w"],
            false,
            "new as before",
        ),
        (30, vec![reading("r", "one"), tool("w", "two"), tool("x", "two")], vec!["r"], true, "it changed"),
        (40, vec![reading("r", "one"), tool("w", "three")], vec!["r"], false, "it changed before"),
        (50, vec![reading("r", "one"), tool("w", "one")], vec!["r", "w"], true, "as approved"),
        (60, vec![tool("w", "one")], vec!["r", "w"], false, "others may see it still"),
        (70, vec![tool("r", "one"), tool("w", "one")], vec!["w"], true, "it writes"),
    ] {
        let before = revision(store.as_ref()).await;
        learn(store.as_ref(), &id, at, &tools).await;
        assert_eq!(known().await.1, approved, "{why}");
        let expected = if is_told { vec![told(&id)] } else { vec![] };
        assert_eq!(changes(store.as_ref(), before).await.invalidations, expected, "{why}");
    }
    assert_eq!(
        states(store.as_ref(), &id).await,
        stood(&[("r", "changed"), ("w", "approved"), ("x", "gone")])
    );

    // Taking back what holds no more changes nothing for anybody.
    let before = revision(store.as_ref()).await;
    store.withdraw_approval(&id, "r").await.expect("answers").expect("was approved once");
    assert_eq!(changes(store.as_ref(), before).await.invalidations, []);
}

pub(in crate::store) async fn names_of_tools_are_part_of_the_registry(database: &dyn Database) {
    let (store, other) = (database.open().await, database.open().await);
    let server = small(store.as_ref()).await.server.id;
    let labels = async || other.registry().await.expect("reads").tools.remove(&server).unwrap_or_default();
    assert_eq!(labels().await, Vec::<String>::new());
    for (at, tools, expected, is_told) in [
        (10, vec![tool("b", "one"), tool("a", "one")], vec!["a", "b"], true),
        (20, vec![tool("a", "two"), tool("b", "one")], vec!["a", "b"], false),
        (30, vec![tool("a", "two")], vec!["a", "b"], false),
        (40, vec![tool("c", "one")], vec!["a", "b", "c"], true),
    ] {
        let before = revision(store.as_ref()).await;
        learn(store.as_ref(), &server, at, &tools).await;
        assert_eq!(labels().await, expected);
        let after = revision(store.as_ref()).await;
        assert_eq!(after > before, is_told, "at {at}");
        assert_eq!(changes(store.as_ref(), before).await, change_set(after, is_told, &[]), "at {at}");
    }
    // However many there are, and whatever they are called later.
    let many = |from: usize| {
        (from..from + 100).map(|number| tool(&format!("t{number:04}"), "one")).collect::<Vec<_>>()
    };
    learn(store.as_ref(), &server, 50, &many(0)).await;
    let first = labels().await;
    assert_eq!((first.len(), first.first().map(String::as_str)), (MAX_LABELLED_TOOLS, Some("a")));
    let before = revision(store.as_ref()).await;
    learn(store.as_ref(), &server, 60, &many(100)).await;
    assert_eq!((labels().await, revision(store.as_ref()).await), (first, before));
}

pub(in crate::store) async fn catalogue_entries_are_filtered_and_paged(database: &dyn Database) {
    let store = database.open().await;
    let server = small(store.as_ref()).await.server.id;
    let results = [
        ("tools/list", json!({"tools": [tool("a", "1"), tool("b", "1"), tool("c", "1"), tool("d", "1")]})),
        ("prompts/list", json!({"prompts": [{"name": "a"}]})),
        ("resources/list", json!({"resources": [{"uri": "x://a"}]})),
        ("resources/templates/list", json!({"resourceTemplates": [{"uriTemplate": "x://{a}"}]})),
    ];
    let results = results.map(|(method, result)| (method.to_owned(), result.to_string()));
    let catalogue = Catalogue { learnt_at: Timestamp(1), results: results.into(), cut: BTreeSet::new() };
    store.save_catalogue(&server, &catalogue).await.expect("saves");
    approve(store.as_ref(), &server, &["a", "b"]).await;
    learn(store.as_ref(), &server, 2, &[tool("a", "1"), tool("b", "2"), tool("c", "1")]).await;
    let page = async |kinds: &[EntryKind], state, after: Option<(EntryKind, &str)>, limit| {
        let filter = EntryFilter { kinds: kinds.to_vec(), state };
        let after = after.map(|(kind, name)| (kind, name.to_owned()));
        let found = store.catalogue_entries(&server, &filter, after.as_ref(), limit).await.expect("reads");
        if let Some(state) = state {
            assert!(found.iter().all(|entry| entry.state() == state), "{found:?}");
        }
        found.into_iter().map(|entry| format!("{} {}", entry.kind.as_str(), entry.name)).collect::<Vec<_>>()
    };
    for (state, expected) in [
        (State::Approved, "tool a"),
        (State::Changed, "tool b"),
        (State::New, "tool c"),
        (State::Gone, "tool d"),
    ] {
        assert_eq!(page(TOOLS, Some(state), None, 9).await, [expected]);
    }
    let all = page(&EntryKind::ALL, None, None, 9).await;
    let expected =
        ["prompt a", "resource x://a", "resource_template x://{a}", "tool a", "tool b", "tool c", "tool d"];
    assert_eq!(all, expected);
    assert_eq!(page(&EntryKind::ALL, None, Some((EntryKind::Resource, "x://a")), 2).await, expected[2..4]);
    assert_eq!(page(TOOLS, None, Some((EntryKind::Tool, "d")), 9).await, Vec::<String>::new());
    let nowhere = EntryFilter { kinds: TOOLS.to_vec(), state: None };
    assert_eq!(store.catalogue_entries(&"nowhere".into(), &nowhere, None, 9).await.expect("reads"), []);
    assert_eq!(store.catalogue_entry(&server, EntryKind::Tool, "none").await.expect("reads"), None);
}

pub(in crate::store) async fn a_server_that_renames_its_tools_fills_nothing(database: &dyn Database) {
    let store = database.open().await;
    let server = small(store.as_ref()).await.server.id;
    learn(store.as_ref(), &server, 1, &[tool("approved", "one")]).await;
    approve(store.as_ref(), &server, &["approved"]).await;
    for round in 1..=3_u64 {
        let tools: Vec<_> =
            (0..MOST_DEFINITIONS).map(|number| tool(&format!("{round}-{number}"), "one")).collect();
        learn(store.as_ref(), &server, round + 1, &tools).await;
    }
    let entries = entries(store.as_ref(), &server, TOOLS).await;
    assert_eq!(entries.len(), MOST_ENTRIES);
    let count = |round: &str| entries.iter().filter(|entry| entry.name.starts_with(round)).count();
    assert_eq!((count("3-"), count("1-")), (MOST_DEFINITIONS, 0), "the newest stay");
    assert_eq!(count("approved"), 1, "and what was approved");
}

pub(in crate::store) async fn entries_go_with_their_server_and_origin(database: &dyn Database) {
    let store = database.open().await;
    let moved = small(store.as_ref()).await.server;
    let deleted = store.create_server(&new_server(2)).await.expect("makes").id;
    for server in [&moved.id, &deleted] {
        learn(store.as_ref(), server, 1, &[tool("a", "one")]).await;
        approve(store.as_ref(), server, &["a"]).await;
    }
    let ages = store.catalogue_ages().await.expect("reads");
    assert_eq!(ages, [(moved.id.clone(), Some(Timestamp(1))), (deleted.clone(), Some(Timestamp(1)))]);
    store.delete_server(&deleted).await.expect("deletes");
    let elsewhere = oauth_settings("https://other.example/mcp");
    store.change_server(&moved.id, &elsewhere, None).await.expect("changes");
    for server in [&moved.id, &deleted] {
        assert_eq!(entries(store.as_ref(), server, TOOLS).await, []);
    }
    assert_eq!(store.catalogue_ages().await.expect("reads"), [(moved.id, None)]);
}

pub(in crate::store) async fn a_member_who_may_learns_for_all(database: &dyn Database) {
    let store = database.open().await;
    let small = small(store.as_ref()).await;
    let server = &small.server.id;
    let learner = async |preferred: Option<&str>| {
        let preferred = preferred.map(Into::into);
        let found = store.learners(server, preferred.as_ref(), 1).await.expect("reads");
        found.into_iter().next().map(|id| id.to_string())
    };
    assert_eq!(learner(None).await, None);
    let older = connected(store.as_ref(), &small).await;
    let second = store.create_member(&new_member(2, &small.workspace)).await.expect("makes");
    let newer = NewConnection {
        now: Timestamp(older.connected_at.0 + 1_000),
        ..new_connection(&small.server, of_member(&second), 1)
    };
    let newer = store.connect(&newer).await.expect("connects");
    let (first, second_id) = (small.member.id.to_string(), second.id.to_string());
    assert_eq!(learner(None).await, Some(second_id.clone()));
    assert_eq!(learner(Some(&first)).await, Some(first.clone()));
    assert_eq!(learner(Some("nobody")).await, Some(second_id.clone()));
    let all = store.learners(server, None, 10).await.expect("reads");
    assert_eq!(all, [second.id.clone(), small.member.id.clone()]);
    let switched_off = QuarantineTarget::Member(second.id.clone());
    store
        .on_behalf_of(Actor::AdminToken, Timestamp(77))
        .set_quarantine(&switched_off, "stolen", true)
        .await
        .expect("sets");
    assert_eq!(learner(Some(&second_id)).await, Some(first.clone()), "who is in quarantine learns nothing");
    store.on_behalf_of(Actor::AdminToken, Timestamp(77)).lift_quarantine(&switched_off).await.expect("lifts");
    store.disconnect(&newer.id).await.expect("disconnects");
    assert_eq!(learner(Some(&second_id)).await, Some(first.clone()));
    let change = MemberChange { name: small.member.name.clone(), role: small.member.role, disabled: true };
    store.change_member(&small.member.id, &change, None).await.expect("changes");
    assert_eq!(learner(None).await, None, "who is disabled learns nothing");
    let change = MemberChange { disabled: false, ..change };
    store.change_member(&small.member.id, &change, None).await.expect("changes");
    assert_eq!(learner(None).await, Some(first));
    store.set_provision(server, &small.workspace.id, false).await.expect("sets");
    assert_eq!(learner(None).await, None, "nor does who has lost the server");
}
