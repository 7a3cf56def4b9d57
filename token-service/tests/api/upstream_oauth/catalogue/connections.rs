//! O26 to O38: renewing, administering, losing and ending what is connected.

use super::Row;

pub(super) const ROWS: [Row; 13] = [
    Row {
        id: "O26",
        input: "a token endpoint that answers 200 with an error, nothing, a page, 401, 403, 429, 5xx",
        expected: "one meaning for each; only a structured invalid_grant is final",
        never: "a connection is given up for an outage",
        tests: &[
            "token-service/tests/broker/answers.rs::every_error_has_one_meaning",
            "token-service/tests/api/upstream_oauth/tokens.rs::errors_are_told_apart_and_not_repeated",
            "token-service/src/broker/verdict.rs::every_answer_in_every_circumstance",
        ],
    },
    Row {
        id: "O27",
        input: "a renewal without a refresh token, with an empty one, with a new one",
        expected: "the old one is kept, kept, replaced",
        never: "a good refresh token is thrown away",
        tests: &["token-service/tests/broker/answers.rs::the_next_renewal_shows_the_newest_refresh_token"],
    },
    Row {
        id: "O28",
        input: "two replicas that renew one connection at once, at a provider that punishes reuse",
        expected: "one token request",
        never: "the one that came too late removes anything",
        tests: &[
            "token-service/tests/broker/herd.rs::so_do_a_thousand_callers_of_two_replicas",
            "token-service/tests/broker/paused.rs::whoever_was_paused_is_fenced",
            "token-service/tests/broker/crashes.rs::killed_anywhere_with_a_provider_that_punishes_reuse",
        ],
    },
    Row {
        id: "O29",
        input: "invalid_grant for a replica that another one has overtaken",
        expected: "it reads again and hands out what the other has stored",
        never: "the member is asked to connect",
        tests: &[
            "token-service/tests/broker/paused.rs::whoever_was_paused_is_fenced",
            "token-service/tests/broker/crashes.rs::killed_anywhere_with_a_provider_that_forgives_a_repetition",
        ],
    },
    Row {
        id: "O30",
        input: "an error that repeats the refresh token or the code",
        expected: "it is read for its code, which is repeated if it is of a list",
        never: "the provider's words are in a log, a page or an error",
        tests: &[
            "token-service/tests/api/upstream_oauth/tokens.rs::errors_are_told_apart_and_not_repeated",
            "token-service/src/oauth/token/answer.rs::no_error_repeats_a_body",
            "tests/tests/e2e/canaries/mod.rs::no_secret_is_where_it_does_not_belong",
        ],
    },
    Row {
        id: "O31",
        input: "client credentials at a server that names another issuer afterwards",
        expected: "an administrator has to act; resource is that of this server",
        never: "the secret is shown to a second issuer",
        tests: &[
            "token-service/tests/api/upstream_oauth/machines.rs::a_clients_secret_is_shown_to_one_issuer",
        ],
    },
    Row {
        id: "O32",
        input: "a fixed header that frames or routes the request, or whose value breaks it",
        expected: "422 when it is written, naming the fault and not the value",
        never: "it is stored",
        tests: &[
            "token-service/tests/api/upstream_oauth/headers.rs::headers_that_would_change_the_request_are_refused",
            "token-service/src/domain/header.rs::names",
            "token-service/src/domain/header.rs::values",
        ],
    },
    Row {
        id: "O33",
        input: "an administrator who moves a server to another origin after members have connected",
        expected: "its connections are quarantined until an administrator decides",
        never: "tokens go to the new origin by themselves",
        tests: &[
            "token-service/tests/api/connections.rs::tokens_follow_a_moved_server_only_when_an_administrator_says_so",
            "token-service/src/broker/plan/tests.rs::what_was_made_for_another_origin_or_client_is_not_used",
        ],
    },
    Row {
        id: "O34",
        input: "an upstream that answers 401 to a token that looks good",
        expected: "one renewal for all, one repetition, then the link",
        never: "a loop",
        tests: &[
            "tests/tests/e2e/accounts/renewal.rs::a_server_that_refuses_every_token_ends_in_a_link_and_no_loop",
            "tests/tests/e2e/accounts/renewal.rs::a_thousand_calls_at_once_renew_once",
            "token-service/tests/broker/connections.rs::a_refused_token_is_renewed_once_and_then_given_up",
        ],
    },
    Row {
        id: "O35",
        input: "an upstream that demands ever new scopes",
        expected: "asked for at the next consent, three times an hour",
        never: "more scopes without a consent",
        tests: &[
            "token-service/tests/broker/connections.rs::further_scopes_are_asked_for_three_times_an_hour",
            "tests/tests/e2e/accounts/scopes.rs::a_tool_that_wants_more_scope_gets_it_by_a_new_consent",
            "tests/tests/e2e/accounts/scopes.rs::a_server_that_always_wants_more_is_asked_for_three_times_an_hour",
        ],
    },
    Row {
        id: "O36",
        input: "a connection that is ended while it is renewed",
        expected: "what the renewal brings is discarded and revoked",
        never: "the connection comes back",
        tests: &[
            "token-service/tests/broker/connections.rs::disconnecting_discards_a_renewal_and_revokes_what_it_brings",
        ],
    },
    Row {
        id: "O37",
        input: "a revocation endpoint that is inside, slow, broken, or not there",
        expected: "the connection has ended here before the provider is told, as far as it can be",
        never: "somebody waits for the provider, or something inside is asked",
        tests: &[
            "token-service/tests/api/upstream_oauth/revocations.rs::a_provider_cannot_keep_a_connection_alive",
            "token-service/tests/api/upstream_oauth/revocations.rs::a_provider_that_does_not_answer_holds_nobody_up",
            "token-service/tests/api/upstream_oauth/revocations.rs::a_provider_is_told_both_tokens",
        ],
    },
    Row {
        id: "O38",
        input: "an agent that asks for links without end",
        expected: "the same link while it is good; three are good at a time, and thirty are made in an hour",
        never: "other members or servers are affected",
        tests: &[
            "token-service/tests/api/connect_link.rs::an_agent_that_asks_again_gets_the_same_link_and_not_endlessly_many",
            "token-service/src/connect/link.rs::what_is_remembered_is_bounded",
        ],
    },
];
