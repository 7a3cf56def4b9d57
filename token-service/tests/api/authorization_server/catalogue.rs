//! All rows: what comes in, what has to become of it, what must never happen, and the tests that show it.
//!
//! A13 to A15 are about signing people in, and are shown where that is.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// One row. Its tests are `<file in this directory>::<name>`, or a path below the repository in place of the file.
struct Row {
    id: &'static str,
    input: &'static str,
    expected: &'static str,
    never: &'static str,
    tests: &'static [&'static str],
}

const ROWS: [Row; 21] = [
    Row {
        id: "A1",
        input: "a redirect URI that is not registered, in every spelling that has fooled somebody",
        expected: "a page with status 400; only the port of a loopback address is free",
        never: "a redirect, or a page that leads there",
        tests: &[
            "authorize.rs::redirect_uris_that_are_not_registered",
            "authorize.rs::the_port_of_a_loopback_address_is_free",
            "token-service/src/domain/redirect_uri/tests.rs::no_trick_is_taken_for_what_was_registered",
            "token-service/src/domain/redirect_uri/tests.rs::bad_ones_are_not",
        ],
    },
    Row {
        id: "A2",
        input: "no PKCE, plain, a challenge or verifier of the wrong form, another verifier, none",
        expected: "invalid_request at the authorization endpoint, invalid_grant at the token endpoint",
        never: "a token without the right verifier, or a second try",
        tests: &[
            "authorize.rs::everything_else_goes_back_to_the_client",
            "codes.rs::a_code_is_for_one_client_one_address_one_program_and_one_resource",
            "token-service/src/authorization_server/issue.rs::pkce_as_in_the_appendix_of_rfc_7636",
        ],
    },
    Row {
        id: "A3",
        input: "a code again, by another client, with another redirect URI, after a minute, fifty times at once",
        expected: "one success at most; what came of a code that is shown again ends",
        never: "two sign-ins from one code",
        tests: &[
            "codes.rs::a_code_is_for_one_client_one_address_one_program_and_one_resource",
            "codes.rs::a_code_is_good_once_and_for_a_minute",
            "codes.rs::of_fifty_redemptions_one_gets_tokens",
            "codes.rs::a_code_made_up_is_nobodys",
        ],
    },
    Row {
        id: "A4",
        input: "a refresh token again: at once, in parallel, after the grace, of a grandparent, after a restart, after a rotation of keys",
        expected: "the very same successor within the grace; otherwise the sign-in ends",
        never: "a benign client is punished, or a thief stays",
        tests: &[
            "refreshing.rs::each_is_good_once_and_the_next_goes_on",
            "refreshing.rs::a_lost_answer_is_given_again_for_half_a_minute",
            "refreshing.rs::parallel_refreshes_are_not_punished",
            "refreshing.rs::one_that_is_used_after_the_grace_was_stolen",
            "refreshing.rs::one_whose_successor_is_in_use_was_stolen",
            "refreshing.rs::theft_is_remembered_over_a_restart",
            "refreshing.rs::nothing_is_lost_when_keys_rotate",
            "refreshing.rs::a_client_that_sleeps_for_a_month_signs_in_again",
        ],
    },
    Row {
        id: "A5",
        input: "a refresh with more scope, another resource, another client",
        expected: "invalid_scope, invalid_target, invalid_grant; less scope is given",
        never: "a token for more than was allowed",
        tests: &["refreshing.rs::no_more_than_was_allowed"],
    },
    Row {
        id: "A6",
        input: "no resource, two, an unknown one, one that is not ours",
        expected: "invalid_target; a server that is not there is told from one that is not yours by nobody",
        never: "a token for more than one resource",
        tests: &[
            "authorize.rs::everything_else_goes_back_to_the_client",
            "consent.rs::a_server_that_is_not_there_looks_like_one_that_is_not_yours",
            "codes.rs::somebody_who_may_no_longer_use_the_server_gets_nothing",
            "leases.rs::a_token_is_for_the_one_path_that_it_was_issued_for",
        ],
    },
    Row {
        id: "A7",
        input: "registrations without end, with names that deceive, addresses inside, a thousand redirect URIs",
        expected: "limits; plain text with a badge; unused clients end after a day; off unless switched on",
        never: "an address of a registration is fetched or shown",
        tests: &[
            "registrations.rs::a_client_registers_and_is_shown_as_unverified",
            "registrations.rs::what_is_no_registration_is_refused",
            "registrations.rs::names_are_plain_text_and_addresses_are_not_fetched",
            "registrations.rs::there_is_a_limit_and_unused_clients_end",
            "metadata.rs::the_server_describes_itself",
        ],
    },
    Row {
        id: "A8",
        input: "a metadata document at an address that is none, that redirects, is too large, contradicts itself, has a secret, or changes",
        expected: "a page with status 400; errors are not remembered; a change of redirect URIs voids what was asked",
        never: "an address inside is reached, or a redirect followed",
        tests: &[
            "documents.rs::a_document_tells_who_the_client_is_and_its_host_vouches_for_it",
            "documents.rs::addresses_that_are_none_are_not_asked",
            "documents.rs::documents_that_are_not_in_order_are_refused_and_errors_forgotten",
            "documents.rs::a_document_is_believed_for_as_long_as_it_says_and_a_change_voids_what_was_asked",
            "token-service/src/authorization_server/document.rs::addresses",
        ],
    },
    Row {
        id: "A9",
        input: "an attacker's client, and a victim who is signed in",
        expected: "the consent page, each time, with client, host, workspace and scopes",
        never: "a code without a click of the victim",
        tests: &[
            "registrations.rs::somebody_elses_client_cannot_borrow_a_sign_in",
            "consent.rs::the_page_names_everything_and_decides_nothing",
            "chain.rs::one_way_from_the_client_to_a_connected_account",
        ],
    },
    Row {
        id: "A10",
        input: "an address from after the consent, opened by somebody else",
        expected: "their own page, or a refusal; another browser's way back from the provider is refused",
        never: "what one person agreed to becomes another's",
        tests: &[
            "consent.rs::another_persons_session_is_shown_its_own_page",
            "chain.rs::nobody_else_goes_on_with_it",
            "token-service/tests/api/callback.rs::an_answer_in_another_browser",
        ],
    },
    Row {
        id: "A11",
        input: "the consent page framed, clicked twice, posted from elsewhere, prefilled, replayed",
        expected: "403, 400 or 410; a request is decided once",
        never: "a second code, or one that nobody clicked for",
        tests: &[
            "consent.rs::the_page_names_everything_and_decides_nothing",
            "consent.rs::a_form_that_is_not_the_members_own_allows_nothing",
            "consent.rs::of_many_clicks_one_counts",
            "consent.rs::a_request_ends_after_twenty_minutes",
            "consent.rs::what_has_changed_since_the_page_was_made_is_shown_again",
            "authorize.rs::strangers_write_nothing_and_sign_in_first",
        ],
    },
    Row {
        id: "A12",
        input: "somebody's client id with a loopback address that any program can have",
        expected: "a warning that names the address; never approved by itself",
        never: "a page without it",
        tests: &["consent.rs::addresses_on_this_computer_are_warned_about"],
    },
    Row {
        id: "A16",
        input: "parameters that mean something elsewhere: prompt, max_age, request_uri, response modes and types",
        expected: "invalid_request, or the error of the parameter; only what is done is accepted",
        never: "request_uri is fetched, or a parameter is ignored that its sender relies on",
        tests: &["authorize.rs::everything_else_goes_back_to_the_client"],
    },
    Row {
        id: "A17",
        input: "a parameter twice",
        expected: "invalid_request; of client_id and redirect_uri a page",
        never: "one of the two is chosen",
        tests: &[
            "authorize.rs::everything_else_goes_back_to_the_client",
            "authorize.rs::clients_that_nobody_knows",
            "codes.rs::only_a_form_is_read_and_only_from_the_body",
        ],
    },
    Row {
        id: "A18",
        input: "a client that authenticates in two ways, in the wrong one, with an empty or wrong secret",
        expected: "invalid_client or invalid_request; only the registered method counts",
        never: "a code is used up by somebody who has not shown who they are",
        tests: &["codes.rs::a_client_authenticates_as_it_is_registered_and_in_no_other_way"],
    },
    Row {
        id: "A19",
        input: "the token endpoint with JSON, GET, parameters in the address, from any web page",
        expected: "invalid_request or 405; CORS for listed origins only",
        never: "a token",
        tests: &[
            "codes.rs::only_a_form_is_read_and_only_from_the_body",
            "metadata.rs::documents_are_for_every_web_page_and_tokens_for_listed_ones",
        ],
    },
    Row {
        id: "A20",
        input: "introspection and revocation of another client's token, of the wrong kind, of nothing",
        expected: "the answer for what is no token; only own tokens",
        never: "another client's sign-in is seen or ended",
        tests: &[
            "tokens.rs::a_client_learns_of_its_own_tokens_only",
            "tokens.rs::revoking_either_token_ends_the_sign_in_of_the_client_itself_only",
        ],
    },
    Row {
        id: "A21",
        input: "metadata with a forged Host, X-Forwarded-Host and the like",
        expected: "the issuer of the configuration, to the letter",
        never: "an address of the request in a document",
        tests: &[
            "metadata.rs::no_header_changes_who_we_are",
            "metadata.rs::every_path_of_a_server_is_a_resource_whether_there_is_one_or_not",
        ],
    },
    Row {
        id: "A22",
        input: "signing out by a foreign form, a session planted before sign-in, a cookie after sign-out",
        expected: "a new id at sign-in; sessions are kept on the server and end there",
        never: "a session survives its end",
        tests: &[
            "token-service/tests/api/sign_in.rs::a_form_of_somebody_else_signs_nobody_in",
            "consent.rs::a_form_that_is_not_the_members_own_allows_nothing",
            "seen.rs::a_person_sees_the_clients_and_signs_one_out",
        ],
    },
    Row {
        id: "A23",
        input: "a redirect after a form that carries a credential",
        expected: "303, or a page that goes on by itself",
        never: "307 or 308",
        tests: &["catalogue.rs::no_redirect_repeats_a_form"],
    },
    Row {
        id: "A24",
        input: "token exchange, jwt-bearer and other grants",
        expected: "unsupported_grant_type",
        never: "a token",
        tests: &["codes.rs::other_grants_are_off"],
    },
];

const TABLES: &str = "token-service/tests/api/authorization_server";

#[test]
fn every_row_is_there_once_and_says_what_it_means() {
    let ids: Vec<&str> = ROWS.iter().map(|row| row.id).collect();
    let expected: Vec<String> = (1..=12).chain(16..=24).map(|number| format!("A{number}")).collect();
    assert_eq!(ids, expected);
    for row in &ROWS {
        for text in [row.input, row.expected, row.never] {
            assert!(!text.is_empty(), "{} leaves something open", row.id);
        }
    }
}

#[test]
fn every_named_test_is_there() {
    for row in &ROWS {
        assert!(!row.tests.is_empty(), "{} is shown by nothing", row.id);
        for test in row.tests {
            let (file, name) = test.split_once("::").expect("a file and a name");
            let file = if file.contains('/') { file.to_owned() } else { format!("{TABLES}/{file}") };
            let text = std::fs::read_to_string(repository().join(&file))
                .unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(tests_of(&text).contains(name), "{}: there is no test {test}", row.id);
        }
    }
}

/// Whatever sends a browser on after a form answers with 303, which makes the next request a `GET` without the form.
#[test]
fn no_redirect_repeats_a_form() {
    let sources = repository().join("token-service/src");
    let mut directories = vec![sources];
    let mut read = 0;
    while let Some(directory) = directories.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(&path).expect("a text");
                for status in ["Redirect::", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT", "StatusCode::FOUND"]
                {
                    assert!(!text.contains(status), "{} has {status}", path.display());
                }
                read += 1;
            }
        }
    }
    assert!(read > 100, "{read}");
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// The functions that follow a test's attribute with nothing in between.
fn tests_of(text: &str) -> BTreeSet<&str> {
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    let pairs = lines
        .windows(2)
        .filter_map(|pair| if let [attribute, function] = pair { Some((attribute, function)) } else { None });
    let named = pairs.filter_map(|(attribute, function)| {
        let is_test = attribute.starts_with("#[test]") || attribute.starts_with("#[tokio::test");
        let function = function.strip_prefix("async ").unwrap_or(function).strip_prefix("fn ")?;
        is_test.then(|| function.split_once('(').map(|(name, _)| name))?
    });
    named.collect()
}
