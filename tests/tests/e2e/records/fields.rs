//! The access log is described in four places: the filter sets filter state, `envoy.yaml` formats JSON lines and OTLP, the
//! token-service knows what it receives, and `envoy/README.md` explains. They say the same.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_tests::artifacts::repository;
use portcullis_tests::envoy::shipped_configuration;
use portcullis_token_service::record_store::FIELDS;
use serde_json::Value;

/// Attributes that repeat a field in the words of the semantic conventions, or name the record.
const BESIDES: [&str; 8] = [
    "log.record.uid",
    "gen_ai.tool.name",
    "gen_ai.prompt.name",
    "mcp.resource.uri",
    "gen_ai.operation.name",
    "error.type",
    "network.transport",
    "network.protocol.name",
];

/// JSON fields that OTLP has in another form: the time of the log record, and what the trace id is of.
const JSON_ONLY: [&str; 2] = ["timestamp", "traceparent"];

struct Formats {
    json: BTreeMap<String, String>,
    otlp: BTreeMap<String, String>,
}

fn formats() -> Formats {
    let text = std::fs::read_to_string(shipped_configuration()).expect("the configuration");
    let root: Value = serde_saphyr::from_str(&text).expect("YAML");
    let log = &root["static_resources"]["listeners"][0]["filter_chains"][0]["filters"][0]["typed_config"]["access_log"];
    let json = log[0]["typed_config"]["log_format"]["json_format"].as_object().expect("a format");
    let attributes = log[1]["typed_config"]["attributes"]["values"].as_array().expect("attributes");
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    Formats {
        json: json.iter().map(|(name, format)| (name.clone(), text(format))).collect(),
        otlp: attributes
            .iter()
            .map(|attribute| (text(&attribute["key"]), text(&attribute["value"]["string_value"])))
            .collect(),
    }
}

/// Every field that the filter sets, from its source.
fn filter_state() -> BTreeSet<String> {
    let mut fields = BTreeSet::new();
    let mut places = vec![repository().join("filter/core/src/exchange")];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                places.push(path);
                continue;
            }
            let source = std::fs::read_to_string(path).expect("a source");
            for setting in ["set(\"", "set_said(\"", "give(\""] {
                for call in source.split(setting).skip(1) {
                    let field = call.split('"').next().expect("a start");
                    if call[field.len()..].starts_with("\",") {
                        fields.insert(field.to_owned());
                    }
                }
            }
        }
    }
    fields
}

#[test]
fn what_the_filter_sets_is_in_both_formats() {
    let Formats { json, otlp } = formats();
    let fields = filter_state();
    assert!(fields.len() > 20, "{fields:?}");
    for field in fields {
        let format = format!("%FILTER_STATE(wasm.portcullis.{field}:PLAIN)%");
        assert_eq!(json.get(&field), Some(&format), "JSON lines have no {field}");
        assert!(otlp.values().any(|other| *other == format), "OTLP has no {field}");
    }
}

#[test]
fn the_formats_and_the_token_service_agree() {
    let Formats { json, otlp } = formats();
    let known: BTreeMap<&str, &str> = FIELDS.iter().map(|field| (field.name, field.attribute)).collect();
    for (name, format) in &json {
        if JSON_ONLY.contains(&name.as_str()) {
            continue;
        }
        let attribute = known.get(name.as_str()).unwrap_or_else(|| panic!("no field of records is {name}"));
        assert_eq!(otlp.get(*attribute), Some(format), "{name} and {attribute} differ");
    }
    for attribute in otlp.keys().filter(|attribute| !BESIDES.contains(&attribute.as_str())) {
        let is_known = known.iter().any(|(name, known)| known == attribute && json.contains_key(*name));
        assert!(is_known, "{attribute} is in OTLP alone");
    }
}

#[test]
fn the_table_names_each_field_and_its_attribute() {
    let readme = std::fs::read_to_string(repository().join("envoy/README.md")).expect("the README");
    let rows: BTreeMap<&str, &str> = readme
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| `")?.split('|').map(str::trim);
            Some((cells.next()?.trim_end_matches('`'), cells.next()?))
        })
        .collect();
    let known: BTreeMap<&str, &str> = FIELDS.iter().map(|field| (field.name, field.attribute)).collect();
    for name in formats().json.keys() {
        let row = rows.get(name.as_str()).unwrap_or_else(|| panic!("the table has no {name}"));
        if let Some(attribute) = known.get(name.as_str()) {
            assert!(row.contains(&format!("`{attribute}`")), "the row of {name} says {row}");
        }
    }
}
