//! The server that the conformance suite is run against: `conformance-server [ADDRESS]`.
//!
//! Prints its URL on one line once it listens. Without an address it takes a free port of the loopback interface.

use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".to_owned());
    let listener = TcpListener::bind(address).await?;
    println!("http://{}/mcp", listener.local_addr()?);
    axum::serve(listener, portcullis_tests::conformance::router()?).await?;
    Ok(())
}
