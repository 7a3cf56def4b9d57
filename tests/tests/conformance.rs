//! The conformance suite, directly against a conforming server and through the gateway: the outcome is the same.

use anyhow::Context as _;
use portcullis_tests::artifacts::target_directory;
use portcullis_tests::conformance::suite::{self, ExpectedDifference, Outcomes, REQUIREMENT_SETS};
use portcullis_tests::seed::{self, Server};
use portcullis_tests::shim::Shim;
use portcullis_tests::stack::Stack;
use portcullis_tests::{conformance, upstream};
use tokio::net::TcpListener;

const EXPECTED: &str = include_str!("conformance/expected-differences.yaml");

/// Scenarios of the Tasks extension, which `rmcp` leaves to each server and ours does not have. They run all the same:
/// the refusals must be the same too.
const EXTENSION: &str = "tasks-";

#[tokio::test]
async fn the_gateway_changes_no_outcome() -> anyhow::Result<()> {
    let server = upstream::Serving::start(
        TcpListener::bind(("127.0.0.1", 0)).await?,
        conformance::router().context("no conforming server")?,
    )?;
    let url = format!("http://{}/mcp", server.address);
    let Some(directly) = run_all(&url).await? else { return Ok(()) };
    let failing: Vec<_> =
        directly.failing_scenarios().into_iter().filter(|name| !name.starts_with(EXTENSION)).collect();
    assert!(failing.is_empty(), "the server behind the gateway does not conform: {failing:?}");

    let stack = Stack::start().await;
    seed::register(stack.admin(), &stack.seeded.workspace, &everything_allowed(url)).await?;
    let shim = Shim::start(stack.gateway, &stack.seeded.key.text).await?;
    let through = run_all(&format!("http://{}/conformance/mcp", shim.address()))
        .await?
        .context("the suite was here a moment ago")?;

    std::fs::write(target_directory()?.join("conformance.txt"), suite::table(&directly, &through))?;
    let expected: Vec<ExpectedDifference> = serde_saphyr::from_str(EXPECTED)?;
    let complaints = suite::compare(&directly, &through, &expected);
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(stack.filter_never_trapped().await, "the filter has trapped");
    Ok(())
}

async fn run_all(url: &str) -> anyhow::Result<Option<Outcomes>> {
    let mut outcomes = Outcomes::default();
    for requirements in REQUIREMENT_SETS {
        match suite::run(requirements, url).await? {
            Some(more) => outcomes.extend(more),
            None => return Ok(None),
        }
    }
    Ok(Some(outcomes))
}

fn everything_allowed(url: String) -> Server {
    Server {
        slug: "conformance",
        url,
        auth: seed::no_credential(),
        allowed_tool: "test_simple_text",
        denied_tool: "no_such_tool",
        denied_prompts: Vec::new(),
        denied_resources: Vec::new(),
        payload: "redacted",
    }
}
