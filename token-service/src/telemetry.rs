//! Logs: one JSON object a line on standard error. Traces, see [`Traces`].
//!
//! What is never logged: credentials of any kind, header values, bodies, query strings, and paths that no route
//! matched (a caller may have put anything there). Requests are logged by route, objects by id or slug.

mod traces;

use std::panic::PanicHookInfo;

use tracing::Subscriber;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt, registry};

pub use self::traces::{Traces, continue_trace};

/// A subscriber that writes what passes `levels` (such as `info` or `info,sqlx=warn`) as JSON lines to `writer`.
///
/// # Errors
///
/// `levels` is not a list of filter directives.
pub fn subscriber<W>(levels: &str, writer: W) -> Result<impl Subscriber + Send + Sync, ParseError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    subscriber_with(levels, writer, None)
}

/// [`subscriber`], which also hands spans to `traces`.
///
/// # Errors
///
/// As for [`subscriber`].
pub fn subscriber_with<W>(
    levels: &str,
    writer: W,
    traces: Option<&Traces>,
) -> Result<impl Subscriber + Send + Sync + use<W>, ParseError>
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    let lines = fmt::layer().json().flatten_event(true).with_current_span(false).with_span_list(false);
    // What is logged and what is traced are two questions.
    let lines = lines.with_writer(writer).with_filter(EnvFilter::builder().parse(levels)?);
    Ok(registry().with(lines).with(traces.map(Traces::layer)))
}

/// Logs panics by their place only: the message may hold what must not be logged.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|panic: &PanicHookInfo<'_>| {
        let place = panic.location().map(ToString::to_string);
        tracing::error!(place, "panicked");
    }));
}
