//! Logs: one JSON object a line on standard error.
//!
//! What is never logged: credentials of any kind, header values, bodies, query strings, and paths that no route
//! matched (a caller may have put anything there). Requests are logged by route, objects by id or slug.

use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, fmt, registry};

/// A subscriber that writes what passes `levels` (such as `info` or `info,sqlx=warn`) as JSON lines to `writer`.
///
/// # Errors
///
/// `levels` is not a list of filter directives.
pub fn subscriber<W>(levels: &str, writer: W) -> Result<impl Subscriber + Send + Sync, ParseError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let layer = fmt::layer().json().flatten_event(true).with_current_span(false).with_writer(writer);
    Ok(registry().with(EnvFilter::builder().parse(levels)?).with(layer))
}

/// Logs panics by their place only: the message may hold what must not be logged.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}
