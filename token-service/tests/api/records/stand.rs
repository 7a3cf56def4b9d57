//! A service, and a sender of records.

use axum::http::uri::PathAndQuery;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceResponse;
use portcullis_token_service::http::records::EXPORT_PATH;
use portcullis_token_service::records::otlp::{
    AnyValue, Export, KeyValue, LogRecord, ResourceLogs, Scalar, ScopeLogs,
};
use tonic::Status;
use tonic::client::Grpc;
use tonic::transport::{Channel, Endpoint};
use tonic_prost::ProstCodec;

use crate::harness::{Directory, START, Service};

pub(crate) struct Stand {
    pub(crate) service: Service,
    pub(crate) sender: Channel,
}

impl Stand {
    pub(crate) async fn start(declared: &str) -> Self {
        Self::start_in(Directory::new(), declared).await
    }

    pub(crate) async fn start_in(directory: Directory, declared: &str) -> Self {
        let internal = "internal: 127.0.0.1:0";
        let service = Service::start_with_internal(directory, internal, declared).await.expect("starts");
        let endpoint = Endpoint::from_shared(service.addresses.internal.clone()).expect("an address");
        Self { service, sender: endpoint.connect().await.expect("connects") }
    }

    pub(crate) async fn export(&self, export: Export) -> Result<ExportLogsServiceResponse, Status> {
        let mut grpc = Grpc::new(self.sender.clone());
        grpc.ready().await.expect("a connection");
        let codec = ProstCodec::<Export, ExportLogsServiceResponse>::default();
        let path = PathAndQuery::from_static(EXPORT_PATH);
        Ok(grpc.unary(tonic::Request::new(export), path, codec).await?.into_inner())
    }

    /// Sends records that are all kept.
    pub(crate) async fn send(&self, records: Vec<LogRecord>) {
        let answer = self.export(export(records)).await.expect("is taken");
        assert_eq!(answer.partial_success, None);
    }

    /// The names of the records of an answer.
    pub(crate) async fn names(&self, target: &str) -> Vec<String> {
        let reply = self.service.get(target).await;
        let records = reply.body["records"].as_array().unwrap_or_else(|| panic!("{target}: {}", reply.text));
        records.iter().map(|record| record["name"].as_str().unwrap_or("-").to_owned()).collect()
    }
}

pub(crate) fn export(log_records: Vec<LogRecord>) -> Export {
    Export { resource_logs: vec![ResourceLogs { scope_logs: vec![ScopeLogs { log_records }] }] }
}

/// A call of tool `name`, so many milliseconds after the service has started.
pub(crate) fn call(after_ms: u64, name: &str, more: &[(&str, &str)]) -> LogRecord {
    let uid = format!("{after_ms} {name}");
    let usual = [
        ("log.record.uid", uid.as_str()),
        ("portcullis.request_id", uid.as_str()),
        ("portcullis.server", "linear"),
        ("mcp.method.name", "tools/call"),
        ("portcullis.kind", "tool"),
        ("portcullis.name", name),
        ("portcullis.decision", "allow"),
        ("http.response.status_code", "200"),
        ("portcullis.latency_ms", "7"),
    ];
    let pairs = usual.iter().filter(|(name, _)| more.iter().all(|(other, _)| other != name)).chain(more);
    let attributes = pairs.map(|(name, value)| pair(name, value.as_bytes())).collect();
    LogRecord { time_unix_nano: (START.0 + after_ms) * 1_000_000, attributes, trace_id: Vec::new() }
}

pub(crate) fn pair(name: &str, value: &[u8]) -> KeyValue {
    let value = AnyValue { scalar: Some(Scalar::Text(value.to_vec())) };
    KeyValue { key: name.into(), value: Some(value) }
}
