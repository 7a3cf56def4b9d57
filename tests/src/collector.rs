//! A collector of traces: takes OTLP over gRPC, as a real one does, and keeps what comes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

use crate::patience::poll;

/// One span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CollectedSpan {
    /// `service.name` of whoever sent it.
    pub service: String,
    pub name: String,
    /// In hexadecimal, as all ids.
    pub trace_id: String,
    pub span_id: String,
    /// Empty for the first of a trace.
    pub parent_id: String,
    /// Everything else, as it is printed.
    pub rest: String,
}

/// A running collector; it ends with the test.
#[derive(Clone, Debug)]
pub struct Collector {
    pub address: SocketAddr,
    spans: Arc<Mutex<Vec<CollectedSpan>>>,
}

impl Collector {
    /// Listens on a free port.
    ///
    /// # Errors
    /// If there is none.
    pub async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let collector = Self { address: listener.local_addr()?, spans: Arc::default() };
        let service = TraceServiceServer::new(collector.clone());
        let serving = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        tokio::spawn(serving);
        Ok(collector)
    }

    pub fn spans(&self) -> Vec<CollectedSpan> {
        self.spans.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits for any span of this service in this trace.
    ///
    /// # Panics
    /// As [`Self::wait_for`].
    pub async fn wait_for_service(&self, trace_id: &str, service: &str) -> CollectedSpan {
        let is_it = |span: &CollectedSpan| span.trace_id == trace_id && span.service == service;
        let found = poll(async || self.spans().into_iter().find(is_it)).await;
        found.unwrap_or_else(|| panic!("no span of {service} in {trace_id}: {:#?}", self.spans()))
    }

    /// Waits for a span of this service and name in this trace.
    ///
    /// # Panics
    /// If it does not come, with what came.
    pub async fn wait_for(&self, trace_id: &str, service: &str, name: &str) -> CollectedSpan {
        let is_it =
            |span: &CollectedSpan| span.trace_id == trace_id && span.service == service && span.name == name;
        let found = poll(async || self.spans().into_iter().find(is_it)).await;
        found.unwrap_or_else(|| panic!("no span {name} of {service} in {trace_id}: {:#?}", self.spans()))
    }
}

#[tonic::async_trait]
impl TraceService for Collector {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let mut spans = self.spans.lock().unwrap_or_else(PoisonError::into_inner);
        for batch in request.into_inner().resource_spans {
            let attributes = batch.resource.map(|resource| resource.attributes).unwrap_or_default();
            let named = attributes.into_iter().find(|attribute| attribute.key == "service.name");
            let service = named
                .and_then(|attribute| attribute.value)
                .map(|value| format!("{value:?}"))
                .unwrap_or_default();
            let service = service.split('"').nth(1).unwrap_or_default().to_owned();
            for span in batch.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(CollectedSpan {
                    service: service.clone(),
                    trace_id: hexadecimal(&span.trace_id),
                    span_id: hexadecimal(&span.span_id),
                    parent_id: hexadecimal(&span.parent_span_id),
                    rest: format!("{:?} {:?} {:?}", span.attributes, span.events, span.status),
                    name: span.name,
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn hexadecimal(id: &[u8]) -> String {
    use std::fmt::Write as _;
    id.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}
