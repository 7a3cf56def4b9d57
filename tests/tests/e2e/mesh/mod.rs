//! The gateways of Istio and Envoy Gateway, with what these make of the objects that are shipped for them; and the filter
//! from a file that Envoy follows.

mod calls;
mod discovery;
mod paths;
mod unconnected;

use portcullis_tests::fetched;
use portcullis_tests::mesh::Mesh;
use portcullis_tests::seed::Server;
use portcullis_tests::stack::{Builder, Stack};

/// `None` where there is no Node, which makes the configuration.
async fn stack(mesh: Mesh, servers: Vec<Server>) -> Option<Stack> {
    fetched::node_with_packages()?;
    // A gateway of a mesh has routes to the servers that it was told of.
    let builder = Builder { mesh: Some(mesh), scripted: false, servers, ..Builder::default() };
    Some(Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}")))
}
