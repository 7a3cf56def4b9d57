//! What every backend must do, as tests. A backend calls [`conformance_tests!`] with something that makes databases.

mod audited;
mod declared;
mod facts;
mod fixtures;
mod following;
mod objects;
mod start;

use std::sync::Arc;

use async_trait::async_trait;

pub(super) use self::audited::*;
pub(super) use self::declared::*;
pub(super) use self::facts::*;
pub(super) use self::following::*;
pub(super) use self::objects::*;
pub(super) use self::start::*;
use super::Store;

/// One database, empty at first. Lives as long as the test.
#[async_trait]
pub(super) trait Database: Send + Sync {
    /// A further handle, as another process would have.
    async fn open(&self) -> Arc<dyn Store>;
}

/// One test per promise of the contract. `$database` makes a [`Database`].
macro_rules! conformance_tests {
    ($database:expr) => {
        conformance_tests!($database;
            objects_read_back_as_written, what_is_not_there_is_none, names_are_unique, references_must_lead_somewhere,
            stale_changes_are_refused, deleting_takes_what_belongs_to_it, provisions_toggle_and_new_workspaces_get_theirs,
            lists_are_paged_in_order,
            every_change_says_what_to_forget, what_changes_nothing_takes_no_revision, failures_leave_no_trace,
            cursors_page_through_commits, pruned_and_foreign_cursors_are_gaps, commits_are_announced,
            handles_see_each_others_commits, concurrent_commits_are_seen_in_order_and_whole,
            newcomers_at_once_become_one_member,
            declarations_replace_each_other, declared_objects_are_read_only, declarations_take_over_and_are_stale,
            a_large_change_forgets_everything,
            every_change_is_audited_with_its_author, declarations_are_audited_object_by_object,
            failures_and_repetitions_are_not_audited, the_last_use_of_a_key_is_kept_without_a_commit,
            a_key_brings_its_facts, a_token_brings_its_facts, facts_leave_out_other_peoples_policies,
            a_fresh_database_says_so, the_first_data_key_wins, the_admin_token_is_compared_and_set,
        );
    };
    ($database:expr; $($case:ident),* $(,)?) => {
        $(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $case() {
                crate::store::conformance::$case(&$database).await;
            }
        )*
    };
}
pub(super) use conformance_tests;
