//! What every backend must do, as tests. A backend calls [`conformance_tests!`] with something that
//! makes a database; `None` ends the test where there is nothing to make it with.

mod audited;
mod authorization;
mod browsers;
mod catalogue;
mod connections;
mod credentials;
mod declared;
mod everything;
mod facts;
mod fixtures;
mod following;
mod governance;
mod limits;
mod moved;
mod objects;
mod people;
mod renewals;
mod replicas;
mod sealing;
mod server_auth;
mod start;
mod upstreams;

use std::sync::Arc;

use async_trait::async_trait;

pub(super) use self::audited::*;
pub(super) use self::authorization::*;
pub(super) use self::browsers::*;
pub(super) use self::catalogue::*;
pub(super) use self::connections::*;
pub(super) use self::credentials::*;
pub(super) use self::declared::*;
pub(super) use self::everything::*;
pub(super) use self::facts::*;
pub(super) use self::following::*;
pub(super) use self::governance::*;
pub(super) use self::limits::*;
pub(super) use self::moved::*;
pub(super) use self::objects::*;
pub(super) use self::people::*;
pub(super) use self::renewals::*;
pub(super) use self::replicas::*;
pub(super) use self::sealing::*;
pub(super) use self::server_auth::*;
pub(super) use self::start::*;
pub(super) use self::upstreams::*;
use super::Store;

/// One database, empty at first. Lives as long as the test.
#[async_trait]
pub(super) trait Database: Send + Sync {
    /// A further handle, as another process would have.
    async fn open(&self) -> Arc<dyn Store>;

    /// Lets all leases of renewals be over, as time would.
    async fn end_leases(&self);
}

/// One test per promise of the contract. `$database` makes a [`Database`].
macro_rules! conformance_tests {
    ($database:expr) => {
        conformance_tests!($database;
            objects_read_back_as_written, payload_settings_read_back_as_written, what_is_not_there_is_none, names_are_unique, references_must_lead_somewhere,
            stale_changes_are_refused, deleting_takes_what_belongs_to_it, provisions_toggle_and_new_workspaces_get_theirs,
            lists_are_paged_in_order,
            every_change_says_what_to_forget, what_changes_nothing_takes_no_revision, failures_leave_no_trace,
            cursors_page_through_commits, pruned_and_foreign_cursors_are_gaps, commits_are_announced,
            handles_see_each_others_commits, concurrent_commits_are_seen_in_order_and_whole,
            newcomers_at_once_become_one_member,
            declarations_replace_each_other, declared_objects_are_read_only, declarations_take_over_and_are_stale,
            a_large_change_forgets_everything,
            limits_read_back_as_written, limits_say_whom_to_forget, limits_go_with_what_they_name,
            facts_have_the_limits_that_concern_them, declared_limits_are_the_files, a_rotated_key_hands_on_its_limits,
            every_change_is_audited_with_its_author, declarations_are_audited_object_by_object,
            failures_and_repetitions_are_not_audited, the_last_use_of_a_key_is_kept_without_a_commit,
            a_rotated_key_hands_on_its_policies, fetched_keys_stay_with_their_address,
            what_reads_only_is_told_when_it_changes,
            what_reads_only_is_told_where_a_policy_judges_by_it,
            a_key_brings_its_facts, a_token_brings_its_facts, facts_leave_out_other_peoples_policies,
            connections_read_back_as_written, connecting_again_takes_the_next_generation,
            connecting_refers_to_what_there_is, consent_is_asked_for_and_tokens_stay,
            step_ups_are_noted_without_a_commit, accounts_are_named_without_a_commit, disconnecting_removes_tokens_for_good,
            connections_are_filtered_and_paged, what_is_due_comes_longest_overdue_first,
            connections_are_counted_by_state, connections_go_with_their_server_and_member, connection_changes_are_audited_and_told,
            of_two_at_once_one_renews, leases_end_by_the_databases_clock, late_owners_change_nothing,
            late_answers_count_until_somebody_takes_over, generations_fence_renewals,
            unanswered_attempts_are_remembered_until_an_answer, what_was_sent_and_lost_counts_as_ambiguous,
            refusals_ask_for_consent, failed_renewals_wait,
            connecting_and_disconnecting_discard_a_renewal, many_at_once_make_one_attempt_for_each_generation,
            another_origin_quarantines, moving_by_declaration_quarantines,
            quarantined_connections_are_released_or_connected_anew, a_renewal_under_way_survives_quarantine,
            tokens_for_another_origin_are_not_kept,
            oauth_settings_read_back_as_written, declarations_with_oauth_are_applied_once,
            registered_clients_are_compared_and_set, of_many_registrations_one_is_kept,
            the_last_issuer_is_the_newest_for_this_origin,
            catalogues_are_replaced_by_newer_ones, the_first_upstream_session_wins,
            tickets_are_used_once, a_live_ticket_is_found_again, a_burnt_ticket_is_audited, a_flow_in_a_wrong_browser_is_audited,
            newer_tickets_end_older_ones, tickets_are_counted,
            sessions_end_and_are_prolonged, flows_are_used_once, what_is_over_is_swept,
            browser_objects_go_with_their_server_and_member,
            administrators_read_back_as_written, the_last_owner_stays, declared_administrators_are_the_files,
            sign_ins_make_what_they_say_and_lapse_what_they_do_not, sign_ins_leave_alone_what_others_have_made,
            service_keys_are_forgotten_when_their_maker_changes, the_keys_of_a_member_are_paged,
            people_are_audited_by_issuer_and_subject,
            signing_keys_follow_each_other, clients_register_within_limits, used_clients_stay_until_they_are_deleted,
            a_request_is_agreed_to_once, a_code_becomes_one_session, codes_end_and_are_spoilt,
            of_many_redemptions_one_counts, refresh_tokens_rotate_without_a_commit,
            a_stolen_refresh_token_ends_its_session, parallel_refreshes_get_one_successor,
            client_sessions_are_listed_ended_and_swept, an_access_token_brings_its_facts,
            definitions_are_merged_as_they_are_learnt, approvals_are_compared_and_set,
            what_changes_after_an_approval_is_told, catalogue_entries_are_filtered_and_paged,
            names_of_tools_are_part_of_the_registry, a_server_that_renames_its_tools_fills_nothing, entries_go_with_their_server_and_origin,
            a_member_who_may_learns_for_all,
            quarantines_read_back_as_set_and_are_seen, quarantine_outlives_a_declaration, quarantines_go_with_their_object,
            members_are_chosen_and_single_ones_told_apart, admission_is_declared_as_a_whole,
            the_audit_of_objects_leaves_out_the_rest,
            data_keys_follow_each_other, everything_sealed_is_found_and_replaced,
            nothing_sealed_can_be_changed_or_moved, replicas_are_known_by_their_beats,
            a_fresh_database_says_so, the_first_data_key_wins, the_admin_token_is_compared_and_set,
        );
    };
    ($database:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                let Some(database) = $database else { return };
                crate::store::conformance::$case(&database).await;
            }
        )*
    };
}
pub(super) use conformance_tests;
