//! Rows that take more than one request. Each is a function that panics where something is not as it has to be.

mod certificates;
mod changes;
mod http2;
mod lasting;
mod process;

use std::pin::Pin;
use std::sync::Arc;

use super::stand::Stand;

/// Told to the stand of the row's file, or to a stack of its own.
pub(crate) type Story = fn(Arc<Stand>) -> Pin<Box<dyn Future<Output = ()>>>;

macro_rules! stories {
    ($($module:ident::$name:ident)*) => {
        /// By the names that the catalogue uses.
        pub(crate) const ALL: &[(&str, Story)] =
            &[$((stringify!($name), |stand| Box::pin($module::$name(stand)))),*];
    };
}

stories! {
    certificates::only_a_good_certificate_is_talked_to
    changes::a_slug_that_is_used_again_is_another_server
    changes::what_cannot_be_audited_is_not_done
    changes::who_is_made_again_is_somebody_else
    http2::http2_out_of_order_costs_its_own_stream_only
    lasting::a_body_that_stalls_is_given_up
    lasting::long_bodies_at_once_are_bounded
    lasting::ten_thousand_requests_cost_no_memory
    process::nobody_looks_into_the_token_service
}
