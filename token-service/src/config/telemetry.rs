//! The section `telemetry`.

use url::Url;

use super::reader::Fields;

/// `telemetry.otlp_endpoint`. `Some(None)` if it is not given.
#[expect(clippy::option_option, reason = "the outer one says whether all is well, as in every section")]
pub(super) fn read(sections: &Fields<'_>) -> Option<Option<String>> {
    let Some(at) = sections.get("telemetry") else { return Some(None) };
    let fields = at.fields(&["otlp_endpoint"])?;
    let Some(at) = fields.get("otlp_endpoint") else { return Some(None) };
    let remedy = "write the address of an OTLP collector (gRPC), such as http://127.0.0.1:4317";
    let endpoint = at.parsed(remedy, |text| {
        let url = Url::parse(text).map_err(|error| error.to_string())?;
        let is_good = ["http", "https"].contains(&url.scheme()) && url.has_host();
        if is_good { Ok(text.to_owned()) } else { Err("it must be http or https".to_owned()) }
    });
    endpoint.map(Some)
}
