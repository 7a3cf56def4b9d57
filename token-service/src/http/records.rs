//! OTLP (gRPC) for Envoy: `LogsService/Export`, which takes request records in.
//!
//! The codes say to the sender what to do: `unavailable` and `resource_exhausted` mean "again, later"; everything else means
//! that again would not help.

use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use tonic::Status;
use tonic::server::Grpc;
use tonic_prost::ProstCodec;

use crate::records::otlp::{self, Export, MOST_BYTES};
use crate::state::Shared;

/// As OTLP has it.
pub const EXPORT_PATH: &str = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";

/// How long one export may take, its reading included.
const TIMEOUT: Duration = Duration::from_secs(15);

pub async fn export(State(app): State<Shared>, request: Request) -> Response {
    let Some(records) = &app.records else {
        return Status::unimplemented("records are off here: set `records.enabled`, or send them elsewhere")
            .into_http();
    };
    // Before anything is read.
    let place = match records.intake.place() {
        Ok(place) => place,
        Err(refused) => return Status::resource_exhausted(refused.to_string()).into_http(),
    };
    let codec = ProstCodec::<ExportLogsServiceResponse, Export>::default();
    let mut grpc = Grpc::new(codec).max_decoding_message_size(MOST_BYTES);
    let keep = tower::service_fn(async |request: tonic::Request<Export>| {
        let (kept, rejected, why) = otlp::read(request.into_inner(), app.clock.now());
        if let Some(why) = why {
            records.intake.note_rejected(rejected);
            tracing::warn!(rejected, why = %why, "request records are rejected");
        }
        let kept = records.intake.keep(kept, &place).await;
        kept.map_err(|refused| Status::unavailable(refused.to_string()))?;
        let partial_success = why.map(|why| ExportLogsPartialSuccess {
            rejected_log_records: i64::try_from(rejected).unwrap_or(i64::MAX),
            error_message: why.to_string(),
        });
        Ok(tonic::Response::new(ExportLogsServiceResponse { partial_success }))
    });
    match tokio::time::timeout(TIMEOUT, grpc.unary(keep, request)).await {
        Ok(response) => response.map(Body::new),
        Err(_) => Status::unavailable("the export took too long").into_http(),
    }
}
