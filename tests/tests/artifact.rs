//! The filter as it is shipped: what it asks of its host, and how large it is.

use std::collections::BTreeSet;

use portcullis_tests::artifacts;
use wasmparser::{Parser, Payload};

/// What proxy-wasm hosts offer. Anything else compiles happily and makes Envoy refuse the module, which a stray `js`
/// feature of a dependency is enough for.
const HOST_MODULES: [&str; 2] = ["env", "wasi_snapshot_preview1"];

/// Every worker thread of every Envoy compiles the module when it starts.
const SIZE_BUDGET: usize = 2_000_000;

#[test]
fn the_filter_imports_only_what_envoy_offers() -> anyhow::Result<()> {
    let module = std::fs::read(artifacts::filter()?)?;
    let mut modules = BTreeSet::new();
    let mut exports = BTreeSet::new();
    for payload in Parser::new(0).parse_all(&module) {
        match payload? {
            Payload::ImportSection(section) => {
                for import in section.into_imports() {
                    modules.insert(import?.module.to_owned());
                }
            }
            Payload::ExportSection(section) => {
                for export in section {
                    exports.insert(export?.name.to_owned());
                }
            }
            _ => {}
        }
    }
    let foreign: Vec<_> = modules.iter().filter(|module| !HOST_MODULES.contains(&module.as_str())).collect();
    assert!(foreign.is_empty(), "no host offers {foreign:?}");
    assert!(modules.contains("env"), "the module calls no host at all: is it the filter?");
    assert!(exports.contains("proxy_abi_version_0_2_1"), "not a proxy-wasm 0.2.1 module: {exports:?}");
    Ok(())
}

#[test]
fn the_filter_stays_small() -> anyhow::Result<()> {
    let size = std::fs::metadata(artifacts::filter()?)?.len();
    assert!(size <= u64::try_from(SIZE_BUDGET)?, "{size} bytes are over the budget of {SIZE_BUDGET}");
    Ok(())
}
