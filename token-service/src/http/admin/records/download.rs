//! Many records at once, as they are read.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse as _, Response};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::query::{DownloadQuery, Format, Search};
use super::view::RecordView;
use super::{csv, place};
use crate::domain::access::Visibility;
use crate::http::admin::acting::Acting;
use crate::http::error::{ApiError, error_chain};
use crate::http::read::StrictQuery;
use crate::record_store::Record;
use crate::records::Records;
use crate::state::Shared;

/// How many records are read at a time, so that no reading lasts as long as the download does.
const PAGE: u32 = 500;

/// Downloads records, newest first, as CSV or as JSON objects a line. What is more than `limit` is left out: go on with the id
/// of the last record as `after`.
#[utoipa::path(
    get, path = "/v1/records/download", tag = "records", params(DownloadQuery),
    responses((status = OK, content((String = "text/csv"), (String = "application/x-ndjson"))))
)]
pub async fn download(
    app: Acting,
    StrictQuery(query): StrictQuery<DownloadQuery>,
) -> Result<Response, ApiError> {
    let (search, format) = query.search()?;
    let place = place(&app.records()?.downloads, "downloads")?;
    let visibility = app.principal().visible_records();
    let (sender, receiver) = mpsc::channel(2);
    let shared = Shared::clone(&app);
    tokio::spawn(async move {
        let _place = place;
        if let Some(records) = &shared.records {
            send(records, &visibility, search, format, &sender).await;
        }
    });
    let (media_type, name) = match format {
        Format::Csv => ("text/csv; charset=utf-8", "attachment; filename=\"records.csv\""),
        Format::NdJson => ("application/x-ndjson", "attachment; filename=\"records.ndjson\""),
    };
    let headers = [(header::CONTENT_TYPE, media_type), (header::CONTENT_DISPOSITION, name)];
    Ok((headers, Body::from_stream(ReceiverStream::new(receiver))).into_response())
}

/// Ends early if whoever asked has gone, and where the store fails.
async fn send(
    records: &Records,
    visibility: &Visibility,
    mut search: Search,
    format: Format,
    sender: &mpsc::Sender<Result<String, std::io::Error>>,
) {
    let mut text = if format == Format::Csv { csv::head(search.payloads) } else { String::new() };
    while search.limit > 0 {
        let limit = search.limit.min(PAGE);
        let page = records.page(visibility, &search.query, search.range, limit, search.payloads).await;
        let page = match page {
            Ok(page) => page,
            Err(error) => {
                tracing::warn!(error = error_chain(&error), "a download of records ends early");
                // The client sees that it is not whole.
                let _ = sender.send(Err(std::io::Error::other("the store failed"))).await;
                return;
            }
        };
        search.limit -= u32::try_from(page.records.len()).unwrap_or(search.limit);
        page.records.into_iter().for_each(|record| write(&mut text, record, format, search.payloads));
        if sender.send(Ok(std::mem::take(&mut text))).await.is_err() {
            return;
        }
        match page.next {
            Some(next) => search.range.until = next,
            None => return,
        }
    }
}

fn write(text: &mut String, record: Record, format: Format, payloads: bool) {
    match format {
        Format::Csv => text.push_str(&csv::row(&record, payloads)),
        Format::NdJson => {
            let line = serde_json::to_string(&RecordView::from(record));
            text.push_str(&line.expect("plain structures with text keys are always written"));
            text.push('\n');
        }
    }
}
