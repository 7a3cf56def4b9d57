//! All faults. To add one: a row here, and where it is driven, a call of [`super::drive::drive`] in one of the
//! [`super::stories`].

use std::collections::BTreeSet;

use anyhow::{bail, ensure};

use super::Outcome::{
    AskedToConnect as ASKED, NoAnswer as BROKEN, Refused as NO, Served as YES, ServedForAWhile as WHILE,
};
use super::{Driven, Fault, How, Outcome};
use crate::proofs::Proofs;

/// How many faults there are.
pub const COUNT: usize = 50;

const ALL_SERVED: [Outcome; 3] = [YES, YES, YES];
/// Whoever is new is refused at once, the others when nothing has been verified for too long.
const FADING: [Outcome; 3] = [NO, WHILE, WHILE];
/// Only who is new needs what is not there.
const NEW_ONLY: [Outcome; 3] = [NO, YES, YES];
/// Only one account is affected: that of the cached caller.
const ONE_ASKED: [Outcome; 3] = [YES, ASKED, YES];

const fn driven(
    id: &'static str,
    what: &'static str,
    story: &'static str,
    means: &'static str,
    during: [Outcome; 3],
) -> Fault {
    let driven = Driven { story, means, during, after: ALL_SERVED, may_reach: false };
    Fault { id, what, how: How::Driven(driven) }
}

/// As [`driven`], where a call may reach the upstream and be refused there or by what comes of it.
const fn reaching(
    id: &'static str,
    what: &'static str,
    story: &'static str,
    means: &'static str,
    during: [Outcome; 3],
) -> Fault {
    let driven = Driven { story, means, during, after: ALL_SERVED, may_reach: true };
    Fault { id, what, how: How::Driven(driven) }
}

const fn proved(
    id: &'static str,
    what: &'static str,
    shown: &'static str,
    by: &'static [&'static str],
) -> Fault {
    Fault { id, what, how: How::Proved { shown, by } }
}

const CRASHES: &[&str] = &[
    "token-service/tests/broker/crashes.rs::killed_anywhere_with_a_provider_that_punishes_reuse",
    "token-service/tests/broker/crashes.rs::killed_anywhere_with_a_provider_that_forgives_a_repetition",
];

/// In the order of their numbers.
pub const FAULTS: &[Fault] = &[
    proved("F1", "killed before a renewal is sent", "the next one renews with the same token", CRASHES),
    proved(
        "F2",
        "killed when a renewal was sent",
        "one more try, then the member is asked; no row is lost",
        CRASHES,
    ),
    proved(
        "F3",
        "killed between the answer and the commit",
        "as F2: nobody knows the new token any more",
        CRASHES,
    ),
    proved(
        "F4",
        "killed between the commit and telling of it",
        "the next reader has what was committed",
        CRASHES,
    ),
    proved(
        "F5",
        "the commit fails after the provider has rotated",
        "the new pair serves from memory and from a sealed file, and is committed later",
        &[
            "token-service/tests/broker/connections.rs::renewed_tokens_that_cannot_be_committed_are_not_lost",
            "token-service/src/broker/unsaved.rs::what_was_written_is_found_at_the_next_start_until_it_is_forgotten",
        ],
    ),
    reaching(
        "F6",
        "PostgreSQL fails over",
        "failed_over",
        "a copy takes the database's place; connections are left to die",
        ONE_ASKED,
    ),
    driven("F7", "PostgreSQL is gone", "gone", "a line to it is cut", FADING),
    driven("F8", "PostgreSQL takes 5 s for each answer", "gone", "a line to it is slow", FADING),
    proved(
        "F9",
        "a replica reads what is old",
        "there is one database, and a renewal of an old generation changes nothing",
        &[
            "token-service/tests/broker/paused.rs::whoever_was_paused_is_fenced",
            "token-service/tests/broker/herd.rs::so_do_a_thousand_callers_of_two_replicas",
        ],
    ),
    reaching("F10", "the token-service's disk is full", "full", "a small tmpfs is filled", ALL_SERVED),
    driven(
        "F11",
        "power is cut: the end of SQLite's log is missing",
        "power_cut",
        "SIGKILL, and the log is cut short",
        ALL_SERVED,
    ),
    driven(
        "F12",
        "a row was changed by hand",
        "tampered_rows",
        "UPDATE, and all leases are forgotten",
        ONE_ASKED,
    ),
    driven(
        "F13",
        "the root key is another or missing at start",
        "wrong_root_key",
        "SIGKILL, the file is changed, start",
        FADING,
    ),
    proved(
        "F14",
        "the key management service is unreachable",
        "a start is refused; whoever runs goes on, and makes no new key",
        &["tests/tests/e2e/keys.rs::a_service_whose_root_key_is_in_vault_needs_it_at_the_start_only"],
    ),
    proved(
        "F15",
        "keys are rotated under load",
        "root key, data key and signing key: known everywhere before they are used, and none fails meanwhile",
        &[
            "tests/tests/e2e/keys.rs::every_key_is_replaced_under_calls",
            "token-service/tests/api/data_keys.rs::a_data_key_is_published_seals_and_leaves_nothing_of_the_one_before",
            "token-service/tests/api/authorization_server/keys.rs::a_new_key_is_known_before_it_signs_and_an_old_one_after",
            "token-service/tests/api/authorization_server/keys.rs::keys_rotate_by_themselves_after_ninety_days",
            "token-service/tests/api/authorization_server/refreshing.rs::nothing_is_lost_when_keys_rotate",
        ],
    ),
    proved(
        "F16",
        "a signing key is in the wrong hands",
        "it is replaced at once, and what it signed is refused",
        &[
            "token-service/tests/api/authorization_server/keys.rs::a_key_in_the_wrong_hands_is_replaced_at_once",
            "filter/core/tests/identity/life.rs::a_removed_key_takes_effect_at_once_and_others_cost_nothing",
        ],
    ),
    driven("F17", "the token-service's clock is five minutes wrong", "jumping", "libfaketime", ALL_SERVED),
    driven("F18", "the token-service's clock goes back five minutes", "jumping", "libfaketime", ALL_SERVED),
    driven("F19", "the way to the token-service breaks", "unreachable", "a line to it is cut", FADING),
    driven(
        "F20",
        "the way to the token-service falls silent",
        "unreachable",
        "a line to it carries nothing and stays open",
        FADING,
    ),
    driven(
        "F21",
        "the token-service is slow",
        "unreachable",
        "a line to it delays each answer by 1.5 s",
        NEW_ONLY,
    ),
    driven("F22", "leases are not what was asked for", "lying", "answers are forged", NEW_ONLY),
    driven("F23", "all token-services restart at once", "restarted", "SIGKILL, and start", FADING),
    driven(
        "F24",
        "Envoy starts while no token-service is there",
        "restarted",
        "SIGKILL of all, Envoy first",
        [NO, NO, BROKEN],
    ),
    driven(
        "F25",
        "Envoy starts with a configuration that the filter cannot use",
        "badly_configured",
        "the file is changed, start",
        [BROKEN, BROKEN, BROKEN],
    ),
    driven(
        "F26",
        "Envoy is handed such a configuration while it runs",
        "updated",
        "its listener comes from a file that is replaced",
        ALL_SERVED,
    ),
    driven(
        "F27",
        "the registry cannot be read, or is huge",
        "lying",
        "answers to the watch are forged",
        FADING,
    ),
    driven(
        "F28",
        "Envoy replaces its listener",
        "updated",
        "its listener comes from a file that is replaced",
        ALL_SERVED,
    ),
    proved(
        "F29",
        "another number of workers",
        "each worker has a VM and a watch of its own; all refuse at once what was taken away",
        &[
            "tests/tests/e2e/governance/revocation.rs::whatever_is_taken_away_is_gone_at_once_also_from_under_open_streams",
            "tests/tests/e2e/isolation.rs::ten_thousand_calls_amid_changes_never_mix",
        ],
    ),
    driven(
        "F30",
        "the filter traps in one worker",
        "trapped",
        "a module in which one function was replaced",
        [YES, YES, BROKEN],
    ),
    proved(
        "F31",
        "the filter needs more memory than there is",
        "what is held back is bounded, and what exceeds it is refused",
        &[
            "filter/core/tests/response_pipeline.rs::who_comes_when_the_worker_is_full_is_refused_and_it_empties_again",
            "filter/core/tests/response_pipeline.rs::a_list_too_long_to_hold_becomes_an_error",
            "filter/core/tests/identity/life.rs::memory_is_bounded",
        ],
    ),
    proved(
        "F32",
        "a loop without an end in the filter",
        "every reader goes once over its bytes, whichever they are",
        &[
            "filter/core/tests/json_properties.rs::any_bytes_are_read_alike",
            "filter/core/tests/response_properties.rs::streams_come_out_the_same_however_they_are_cut",
        ],
    ),
    reaching(
        "F33",
        "an account is withdrawn at its provider",
        "troubled",
        "the provider forgets the sign-in",
        ONE_ASKED,
    ),
    proved(
        "F34",
        "an upstream is down, breaks off or is slow",
        "its client is told in the words of its version, and what went on is in the record",
        &[
            "tests/tests/e2e/upstream_down.rs::a_server_that_nobody_runs",
            "tests/tests/e2e/records/outcomes.rs::an_upstream_that_does_not_answer_in_time",
            "tests/tests/e2e/logged/endings.rs::an_upstream_that_is_not_there_or_breaks_off",
        ],
    ),
    reaching(
        "F35",
        "a provider is down when a token ends",
        "troubled",
        "503 from its token endpoint",
        [YES, NO, YES],
    ),
    reaching(
        "F36",
        "a provider answers a renewal with something else",
        "troubled",
        "200 with a page; from then on nobody knows whether it has rotated",
        ONE_ASKED,
    ),
    proved(
        "F37",
        "a provider describes itself otherwise overnight",
        "what was made for one issuer goes to no other",
        &[
            "token-service/tests/api/upstream_oauth/metadata.rs::an_issuer_is_itself_to_the_letter",
            "token-service/tests/api/upstream_oauth/metadata.rs::tokens_do_not_follow_to_another_issuer",
            "token-service/src/broker/plan/tests.rs::what_was_made_for_another_origin_or_client_is_not_used",
        ],
    ),
    proved(
        "F38",
        "the company's provider is down",
        "nobody signs in, and that is said; who has signed in goes on",
        &[
            "token-service/tests/api/company/hostile.rs::a_provider_that_is_down_is_said_so_and_what_it_said_is_kept",
            "token-service/tests/api/identity_provider.rs::an_issuer_that_does_not_answer_is_no_denial",
            "token-service/tests/api/identity_provider.rs::keys_are_fetched_told_and_fetched_again",
        ],
    ),
    proved(
        "F39",
        "the company takes somebody off its lists",
        "memberships lapse with the groups; a token that is asked about ends when its issuer says so",
        &[
            "token-service/tests/api/company/mapping.rs::memberships_come_lapse_and_come_back_with_the_groups",
            "tests/tests/e2e/identity/opaque.rs::such_a_token_is_enough_for_its_server_until_the_provider_says_otherwise",
            "tests/tests/e2e/governance/revoked_sign_ins.rs::the_sign_in_of_a_client",
        ],
    ),
    proved(
        "F40",
        "a thousand requests at the moment when a token ends",
        "one token request, of one replica and of two",
        &[
            "tests/tests/e2e/accounts/renewal.rs::a_thousand_calls_at_once_renew_once",
            "token-service/tests/broker/herd.rs::so_do_a_thousand_callers_of_two_replicas",
            "token-service/tests/broker/herd.rs::nobody_waits_longer_than_they_can",
        ],
    ),
    proved(
        "F41",
        "very many tokens end in the same minute",
        "renewals come at different times, a few at once for each provider, and not before it wants them",
        &[
            "token-service/src/broker/schedule.rs::renewal_comes_early_enough_and_not_too_early",
            "token-service/src/broker/schedule.rs::rests_grow_and_honour_the_provider",
            "token-service/src/broker/pacing.rs::providers_are_paced_one_by_one",
        ],
    ),
    driven(
        "F42",
        "whoever listens for commits is cut off",
        "gone",
        "pg_terminate_backend of every connection",
        ALL_SERVED,
    ),
    driven("F43", "a replica stands still and goes on", "paused_replica", "SIGSTOP, SIGCONT", ALL_SERVED),
    proved(
        "F44",
        "two versions at once, and back again",
        "a version runs on what a later one has added to, and brings what an earlier one has left up to date",
        &[
            "token-service/src/store/sql/postgres/tests.rs::a_version_runs_beside_a_later_one",
            "token-service/src/store/sql/postgres/tests.rs::replicas_that_start_at_once_make_one_database",
            "token-service/src/store/sql/sqlite/tests.rs::a_database_of_the_first_release_is_brought_up_to_date_whole",
        ],
    ),
    reaching(
        "F45",
        "a backup is put back",
        "power_cut",
        "SIGKILL, and an older copy of the files",
        ONE_ASKED,
    ),
    proved(
        "F46",
        "changes cannot be audited",
        "a change and its entry are one transaction; records of requests wait in Envoy",
        &[
            "token-service/tests/api/audit.rs::each_change_is_recorded_with_its_author",
            "tests/tests/e2e/records/delivery.rs::a_token_service_that_comes_back_has_them_all",
        ],
    ),
    driven("F47", "Envoy's disk is full", "full", "a small tmpfs is filled", ALL_SERVED),
    driven(
        "F48",
        "somebody else answers at the token-service's address",
        "unreachable",
        "a line answers with garbage",
        FADING,
    ),
    proved(
        "F49",
        "a certificate between filter and token-service is not good",
        "nobody without a good one is served, so that the filter hears nothing: see F19",
        &["token-service/tests/api/mutual_tls.rs::nobody_else_is"],
    ),
    driven(
        "F50",
        "the kernel ends the token-service again and again",
        "restarted",
        "SIGKILL, three times",
        FADING,
    ),
];

/// How a fault is driven, if it is.
pub fn driven_fault(id: &str) -> Option<Driven> {
    let fault = FAULTS.iter().find(|fault| fault.id == id)?;
    match fault.how {
        How::Driven(driven) => Some(driven),
        How::Proved { .. } => None,
    }
}

/// Whether every fault is there once, every proof exists, and every story is one that there is.
pub fn check() -> anyhow::Result<()> {
    let expected: Vec<String> = (1..=COUNT).map(|number| format!("F{number}")).collect();
    let ids: Vec<&str> = FAULTS.iter().map(|fault| fault.id).collect();
    ensure!(ids == expected, "missing, doubled or out of order: {ids:?}");
    let stories: BTreeSet<&str> = super::stories::STORIES.iter().map(|story| story.name).collect();
    let (mut problems, mut told, mut proofs) = (Vec::new(), BTreeSet::new(), Proofs::default());
    for fault in FAULTS {
        match fault.how {
            How::Driven(driven) if stories.contains(driven.story) => {
                told.insert(driven.story);
            }
            How::Driven(driven) => problems.push(format!("{}: no story {}", fault.id, driven.story)),
            How::Proved { by: [], .. } => problems.push(format!("{}: proved by nothing", fault.id)),
            How::Proved { by, .. } => {
                let lost = by.iter().filter_map(|test| proofs.find(test).err());
                problems.extend(lost.map(|error| format!("{}: {error}", fault.id)));
            }
        }
    }
    problems.extend(stories.difference(&told).map(|story| format!("story {story} drives nothing")));
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    Ok(())
}
