//! The sample MCP server as a program: `sample-upstream [ADDRESS]`, by default on `127.0.0.1:8090`.
//!
//! The key that it demands on `/mcp` comes from `SAMPLE_UPSTREAM_KEY`, by default `sample-upstream-key`.

use anyhow::Context as _;
use portcullis_tests::upstream::sample::SampleUpstream;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    tracing_subscriber::fmt().init();
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:8090".to_owned());
    let key = std::env::var("SAMPLE_UPSTREAM_KEY").unwrap_or_else(|_| "sample-upstream-key".to_owned());
    let listener =
        TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    let mut upstream = SampleUpstream::start(listener, &key)?;
    println!("{} (with the key)\n{} (without)", upstream.url(), upstream.open_url());
    upstream.ended().await;
    anyhow::bail!("the server has ended")
}
