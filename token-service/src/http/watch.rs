//! `GET /v1/watch`, the long-poll by which filters learn of changes.

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use portcullis_wire::watch::WatchQuery;
use tokio::time::{Instant, sleep_until};

use super::error::ApiError;
use super::read::StrictQuery;
use crate::domain::Revision;
use crate::measure::OpenWatch;
use crate::news::News;
use crate::state::Shared;

const LONGEST_FILTER_ID: usize = 64;

/// Answers at once if there is news after the cursor, otherwise with the first commit or when the hold is over.
pub async fn watch(
    State(app): State<Shared>,
    StrictQuery(query): StrictQuery<WatchQuery>,
) -> Result<Response, ApiError> {
    check_filter_id(&query.filter)?;
    let _open = OpenWatch::begin();
    let begun = Instant::now();
    // Before the store is read: a commit from here on wakes this watch.
    let mut commits = app.store.commits();
    let mut cursor = Revision(query.cursor);
    // Only a cursor beyond what is known here has to be looked up.
    if cursor > *commits.borrow() && cursor > app.store.current_revision().await? {
        // From another database, such as the one before a restore; it acknowledges nothing here.
        cursor = Revision(0);
    }
    let hold = app.settings.watch_hold;
    app.watch_hub.acknowledge(&query.filter, cursor, app.clock.now(), hold);
    loop {
        commits.mark_unchanged();
        let is_over = begun.elapsed() >= hold || app.shutdown.is_requested();
        let news = app.news(cursor).await?;
        // An empty database has nothing to tell; answering at once would have filters ask in a tight loop.
        if is_over || news.cursor.0 > query.cursor || (news.reset && news.cursor.0 != 0) {
            return Ok(respond(news));
        }
        tokio::select! {
            _ = commits.changed() => {}
            () = sleep_until(begun + hold) => {}
            () = app.shutdown.requested() => {}
        }
    }
}

fn respond(news: News) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], news.body).into_response()
}

fn check_filter_id(filter: &str) -> Result<(), ApiError> {
    let well_formed =
        (1..=LONGEST_FILTER_ID).contains(&filter.len()) && filter.bytes().all(|byte| byte.is_ascii_graphic());
    if well_formed {
        return Ok(());
    }
    Err(ApiError::invalid("filter", "is not 1 to 64 visible ASCII characters", "choose an id of that form"))
}
