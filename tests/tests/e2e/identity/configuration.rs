//! The configuration that the README shows works as it stands, and each key sees what its owner may see.

use std::collections::BTreeSet;

use anyhow::Context as _;
use portcullis_tests::artifacts::repository;
use portcullis_tests::sdk::{Era, Job, Report, Sdk};
use portcullis_tests::stack::SAMPLE;
use serde_json::{Value, json};

use super::Setting;

/// The README's JSON for an MCP client, with this port, slug and key in place of its placeholders.
fn pasted(port: u16, slug: &str, key: &str) -> anyhow::Result<Value> {
    let readme = std::fs::read_to_string(repository().join("README.md"))?;
    let (_, rest) = readme.split_once("```json\n").context("the README shows no JSON")?;
    let (block, _) = rest.split_once("```").context("the block does not end")?;
    // The key first: the name of its variable begins with a word that is replaced too.
    let filled = block.replace("${env:PORTCULLIS_API_KEY}", key);
    let filled = filled.replace("PORT", &port.to_string()).replace("linear", slug);
    serde_json::from_str(&filled).with_context(|| format!("not JSON: {filled}"))
}

/// What a client sees that is configured so.
async fn seen(sdk: Sdk, era: Era, configuration: &Value) -> anyhow::Result<Option<Report>> {
    let server = &configuration["mcpServers"][SAMPLE];
    let authorization = server["headers"]["Authorization"].as_str().context("no Authorization")?;
    let job = Job {
        url: server["url"].as_str().context("no url")?.to_owned(),
        key: Some(authorization.strip_prefix("Bearer ").context("no bearer")?.to_owned()),
        era,
        calls: Vec::new(),
        prompts: Vec::new(),
        resources: Vec::new(),
        elicit: false,
        attended: false,
        sign_in: false,
    };
    sdk.drive(&job).await
}

#[tokio::test]
async fn the_configuration_of_the_readme_works_and_two_keys_see_two_lists() -> anyhow::Result<()> {
    let setting = Setting::start().await;
    let (seeded, port) = (&setting.stack.seeded, setting.stack.gateway.port());
    let position = setting.stack.servers.iter().position(|server| server.slug == SAMPLE);
    let server = &seeded.servers[position.context("it is registered")?];
    let policy = format!("/v1/policies/member:{}/{server}?wait=applied", seeded.others[0].id);
    setting.stack.admin().put(&policy, json!({"tools": {"deny": ["whoami"]}})).await?;

    for (sdk, era) in [(Sdk::TypeScriptV1, Era::Legacy), (Sdk::Python, Era::Modern), (Sdk::Rust, Era::Modern)]
    {
        let mut lists = Vec::new();
        for key in [&seeded.key, &seeded.others[0].key] {
            let Some(report) = seen(sdk, era, &pasted(port, SAMPLE, &key.text)?).await? else { continue };
            lists.push(BTreeSet::from_iter(report.tools));
        }
        let [adas, graces] = lists.as_slice() else { continue };
        let difference: Vec<_> = adas.symmetric_difference(graces).collect();
        assert_eq!(difference, ["whoami"], "{sdk:?}");
        assert!(adas.contains("whoami") && !adas.is_empty());
    }
    Ok(())
}
