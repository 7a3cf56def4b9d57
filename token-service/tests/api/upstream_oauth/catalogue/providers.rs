//! O12 to O25: what servers and providers say of themselves, and where they lead.

use super::Row;

pub(super) const ROWS: [Row; 14] = [
    Row {
        id: "O12",
        input: "a provider that does not promise PKCE with S256",
        expected: "nobody is sent there, unless an administrator knows better, for one server, which is logged",
        never: "a flow without S256",
        tests: &[
            "token-service/tests/api/upstream_oauth/metadata.rs::pkce_is_promised_with_s256",
            "token-service/src/broker/provider.rs::people_are_sent_only_where_pkce_is",
        ],
    },
    Row {
        id: "O13",
        input: "an issuer that differs from where its metadata are, by as much as a slash",
        expected: "refused; of two documents the first counts and the other is not looked at",
        never: "one issuer speaks for another",
        tests: &[
            "token-service/tests/api/upstream_oauth/metadata.rs::an_issuer_is_itself_to_the_letter",
            "token-service/src/oauth/discovery/documents.rs::issuers_are_compared_byte_for_byte",
        ],
    },
    Row {
        id: "O14",
        input: "endpoints of other schemes, with credentials, fragments, control characters or a shell's",
        expected: "refused, or taken as what a URL parser makes of it",
        never: "anything but https is asked, or anything is given to a shell",
        tests: &[
            "token-service/tests/api/upstream_oauth/metadata.rs::endpoints_are_https_urls_and_nothing_else",
            "token-service/tests/api/upstream_oauth/metadata.rs::a_shells_characters_are_characters",
            "token-service/src/oauth/discovery/documents.rs::endpoints_are_judged",
        ],
    },
    Row {
        id: "O15",
        input: "hosts that are inside: addresses in every spelling, names of them, the service's own listeners",
        expected: "refused as they stand, and again after they are resolved",
        never: "a connection to the listener that counts them",
        tests: &[
            "token-service/tests/api/upstream_oauth/addresses.rs::addresses_inside_are_refused_wherever_they_stand",
            "token-service/tests/api/upstream_oauth/addresses.rs::names_of_what_is_inside_are_not_dialled",
            "token-service/tests/api/upstream_oauth/addresses.rs::the_services_own_listeners_are_not_asked",
            "token-service/src/egress/target.rs::every_spelling_of_an_address_inside",
            "token-service/src/egress/address.rs::no_clothing_makes_an_address_public",
        ],
    },
    Row {
        id: "O16",
        input: "names that resolve differently from time to time, or to addresses of both kinds",
        expected: "the address that was checked is the one that is dialled; those inside are left out",
        never: "a name is resolved between the check and the call",
        tests: &[
            "token-service/src/egress/tests.rs::a_name_is_resolved_once_and_judged_each_time",
            "token-service/src/egress/tests.rs::nothing_inside_is_ever_dialled",
            "token-service/src/egress/target.rs::names_that_resolve_inside",
        ],
    },
    Row {
        id: "O17",
        input: "redirects, of every kind, to inside, to http, to the same host",
        expected: "a redirect is an answer without a document",
        never: "it is followed",
        tests: &[
            "token-service/tests/api/upstream_oauth/answers.rs::redirects_are_not_followed",
            "token-service/src/egress/tests.rs::redirects_are_answers",
        ],
    },
    Row {
        id: "O18",
        input: "answers that are too large, without an end, compressed, slow, of many headers, or of another kind",
        expected: "256 KiB at most, ten seconds in all (whatever the transport does meanwhile), nothing decompressed",
        never: "more is kept in memory than the bound",
        tests: &[
            "token-service/tests/api/upstream_oauth/answers.rs::answers_are_bounded_and_of_their_kind",
            "token-service/tests/api/upstream_oauth/answers.rs::what_is_within_the_bounds_is_read",
            "token-service/src/egress/tests.rs::a_slow_server_is_given_up",
            "token-service/src/egress/tests.rs::bodies_are_bounded",
            "token-service/src/egress/tests.rs::a_compressed_body_stays_compressed",
            "token-service/src/egress/tests.rs::headers_are_bounded",
        ],
    },
    Row {
        id: "O19",
        input: "token answers with keys given twice, wrong types, odd lifetimes, tokens that no header can carry",
        expected: "refused, and at a renewal the member is asked again; more scopes than asked for are kept and logged",
        never: "a token goes into a header that it would break",
        tests: &[
            "token-service/tests/api/upstream_oauth/tokens.rs::tokens_are_read_strictly",
            "token-service/tests/api/upstream_oauth/tokens.rs::odd_answers_with_good_tokens_are_taken",
            "token-service/tests/broker/answers.rs::what_cannot_be_used_is_not_used",
            "token-service/src/oauth/token/answer.rs::lifetimes",
        ],
    },
    Row {
        id: "O20",
        input: "several challenges, quotes, escapes, and descriptions elsewhere or of another server",
        expected: "the Bearer challenge is found; a description is of this server or refused",
        never: "what a text holds is taken for a parameter",
        tests: &[
            "token-service/tests/api/upstream_oauth/challenges.rs::challenges_are_read_tolerantly",
            "token-service/tests/api/upstream_oauth/challenges.rs::a_challenge_cannot_lead_elsewhere",
            "token-service/tests/api/upstream_oauth/challenges.rs::a_description_is_about_the_server",
            "token-service/src/oauth/challenge.rs::any_text_is_read",
            "token-service/src/oauth/challenge.rs::any_value_survives_quoting",
        ],
    },
    Row {
        id: "O21",
        input: "a server that names several authorization servers, or another one afterwards",
        expected: "the first usable one; after a change members connect again, and an administrator's client stays put",
        never: "tokens or secrets are shown to another issuer",
        tests: &[
            "token-service/tests/api/upstream_oauth/metadata.rs::of_several_authorization_servers_one_is_taken",
            "token-service/tests/api/upstream_oauth/metadata.rs::tokens_do_not_follow_to_another_issuer",
            "token-service/src/oauth/discovery/tests.rs::an_outage_never_changes_the_server",
        ],
    },
    Row {
        id: "O22",
        input: "registrations with other redirect URIs, ids of others, no or expired secrets, addresses to manage them",
        expected: "refused where it differs from what was asked for; ids are per issuer",
        never: "an address of the answer is fetched",
        tests: &[
            "token-service/tests/api/upstream_oauth/registrations.rs::a_registration_is_what_was_asked_for",
            "token-service/tests/api/upstream_oauth/registrations.rs::a_registration_is_believed_where_it_may_decide",
            "token-service/src/oauth/registration.rs::answers_that_are_refused",
        ],
    },
    Row {
        id: "O23",
        input: "a server that would make the gateway register again and again",
        expected: "one registration for each issuer and redirect URI; a refusal is remembered for a minute",
        never: "one registration for each member or page",
        tests: &[
            "token-service/tests/api/upstream_oauth/registrations.rs::nobody_makes_the_gateway_register_again_and_again",
            "token-service/tests/broker/connections.rs::the_gateway_registers_once_for_everybody",
        ],
    },
    Row {
        id: "O24",
        input: "the gateway's client ID metadata document, fetched with any headers",
        expected: "the same for everybody, its client_id the URL where it is",
        never: "a secret is in it, or something of the request",
        tests: &[
            "token-service/tests/api/connections_page.rs::the_client_document_is_the_same_for_everybody",
            "token-service/src/oauth/registration.rs::what_the_gateway_says_of_itself",
        ],
    },
    Row {
        id: "O25",
        input: "a provider that names an honest one's token endpoint, to be given an assertion for it",
        expected: "the assertion's audience is the issuer alone, and it is good for a minute",
        never: "an assertion that another issuer would take",
        tests: &[
            "token-service/src/oauth/authentication.rs::assertions_are_for_the_issuer_and_for_a_minute",
            "token-service/src/oauth/authentication.rs::every_kind_of_key",
        ],
    },
];
