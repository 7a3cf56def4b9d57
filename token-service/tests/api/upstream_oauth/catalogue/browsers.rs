//! O1 to O11: links, and the way to the provider and back.

use super::Row;

pub(super) const ROWS: [Row; 11] = [
    Row {
        id: "O1",
        input: "a callback with no state, an unknown, expired or used one, or one of another flow",
        expected: "400; the flow is used up in one statement before anything else",
        never: "the code is sent to anybody",
        tests: &[
            "token-service/tests/api/callback.rs::an_answer_that_nobody_waits_for",
            "token-service/tests/api/callback.rs::an_answer_that_comes_too_late",
            "token-service/tests/api/callback.rs::an_answer_on_the_path_of_another_server",
            "token-service/tests/api/callback.rs::of_fifty_callbacks_one_redeems",
        ],
    },
    Row {
        id: "O2",
        input: "fifty callbacks with one state at once",
        expected: "one redeems, 49 are refused",
        never: "a second token request",
        tests: &["token-service/tests/api/callback.rs::of_fifty_callbacks_one_redeems"],
    },
    Row {
        id: "O3",
        input: "a callback in a browser without the flow's cookie, or with a wrong one",
        expected: "403, and an entry in the audit log",
        never: "the code is redeemed",
        tests: &[
            "token-service/tests/api/callback.rs::an_answer_in_another_browser",
            "token-service/tests/api/callback.rs::an_answer_that_another_persons_flow_was_waiting_for",
            "tests/tests/e2e/accounts/refusals.rs::a_captured_address_of_the_provider_or_of_the_way_back_is_of_no_use",
        ],
    },
    Row {
        id: "O4",
        input: "a callback in the right browser, after signing out or as somebody else",
        expected: "403",
        never: "anything is stored",
        tests: &[
            "token-service/tests/api/callback.rs::an_answer_after_signing_out_or_as_somebody_else",
            "token-service/tests/api/callback.rs::an_answer_for_somebody_who_may_no_longer_use_the_server",
        ],
    },
    Row {
        id: "O5",
        input: "a link that is opened by another member",
        expected: "403, the link is burned, and an entry in the audit log",
        never: "the page names a person or an account",
        tests: &[
            "token-service/tests/api/connect_link.rs::somebody_else_burns_the_link_and_learns_nothing",
            "token-service/tests/api/connect_link.rs::somebody_else_cannot_send_the_form_either",
            "tests/tests/e2e/accounts/refusals.rs::somebody_else_cannot_use_the_link",
        ],
    },
    Row {
        id: "O6",
        input: "a link that is opened twice, after ten minutes, or by a link preview",
        expected: "a GET changes nothing; a POST with its token works once, within ten minutes",
        never: "a flow begins without the form of the page",
        tests: &[
            "token-service/tests/api/connect_link.rs::looking_at_a_link_changes_nothing",
            "token-service/tests/api/connect_link.rs::a_link_is_good_once",
            "token-service/tests/api/connect_link.rs::a_link_is_good_for_ten_minutes",
            "token-service/tests/api/connect_link.rs::a_form_from_elsewhere_leaves_the_link_as_it_was",
        ],
    },
    Row {
        id: "O7",
        input: "cookies that a neighbouring host has planted",
        expected: "browsers refuse them because of the prefix __Host-, which every name has on https; of two, none counts",
        never: "a planted cookie passes for the session's or the flow's",
        tests: &[
            "token-service/src/http/public/cookies.rs::on_https_a_cookie_is_of_this_host_alone",
            "token-service/src/http/public/cookies.rs::one_of_a_name_counts",
        ],
    },
    Row {
        id: "O8",
        input: "an iss that is left out though promised, wrong, spelt otherwise, or given twice",
        expected: "400; compared as text",
        never: "the code is sent to anybody",
        tests: &[
            "token-service/tests/api/upstream_oauth/issuers.rs::an_answer_names_who_made_it",
            "token-service/tests/api/callback.rs::an_answer_of_another_provider",
            "token-service/tests/api/callback.rs::a_provider_that_promises_no_name_need_not_give_one",
            "token-service/src/oauth/authorize.rs::whose_response_it_is",
        ],
    },
    Row {
        id: "O9",
        input: "a server whose authorization endpoint leads to an honest provider, with the gateway's client id there",
        expected: "the provider refuses the redirect URI, which is of the other server, or the gateway the path",
        never: "the honest provider's code reaches the other server",
        tests: &[
            "tests/tests/e2e/upstream_oauth/mod.rs::an_honest_provider_is_not_lent_to_another_server",
            "token-service/tests/api/callback.rs::an_answer_on_the_path_of_another_server",
        ],
    },
    Row {
        id: "O10",
        input: "the code of an attacker's account in the flow of a member",
        expected: "the verifier does not fit, and the provider refuses; a page shows the account that is connected",
        never: "somebody else's account is connected",
        tests: &[
            "tests/tests/e2e/upstream_oauth/mod.rs::a_code_is_good_for_its_own_flow_only",
            "token-service/tests/api/connections_page.rs::keeping_and_disconnecting",
        ],
    },
    Row {
        id: "O11",
        input: "a code in another flow, or a second time",
        expected: "invalid_grant, which is final",
        never: "the code is tried again",
        tests: &[
            "tests/tests/e2e/upstream_oauth/mod.rs::a_code_is_good_for_its_own_flow_only",
            "token-service/tests/api/callback.rs::the_token_endpoint_says_no",
        ],
    },
];
