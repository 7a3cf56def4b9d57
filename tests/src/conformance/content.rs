//! The prompts and resources that the suite names.

use rmcp::ErrorData;
use rmcp::model::{
    GetPromptRequestParams, GetPromptResult, Prompt, ReadResourceResult, Resource, ResourceTemplate,
};
use serde_json::{Value, json};

use super::fixture;

/// One red pixel.
pub(super) const PNG: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==";

/// A header and no samples.
pub(super) const WAV: &str = "UklGRiQAAABXQVZFZm10IBAAAAABAAEAQB8AAEAfAAABAAgAZGF0YQAAAAA=";

pub(super) fn prompts() -> Vec<Prompt> {
    fixture(json!([
        {"name": "test_simple_prompt", "description": "A prompt without arguments"},
        {"name": "test_prompt_with_arguments", "description": "A prompt with two arguments", "arguments": [
            {"name": "arg1", "description": "The first", "required": true},
            {"name": "arg2", "description": "The second", "required": true},
        ]},
        {"name": "test_prompt_with_embedded_resource", "description": "A prompt that embeds a resource", "arguments": [
            {"name": "resourceUri", "description": "The resource to embed", "required": true},
        ]},
        {"name": "test_prompt_with_image", "description": "A prompt with an image"},
        {"name": "test_input_required_result_prompt", "description": "A prompt that asks the user first"},
    ]))
}

pub(super) fn prompt(request: &GetPromptRequestParams) -> Result<GetPromptResult, ErrorData> {
    let argument = |name: &str| {
        request
            .arguments
            .as_ref()
            .and_then(|arguments| arguments.get(name))
            .cloned()
            .ok_or_else(|| ErrorData::invalid_params(format!("the argument {name} is missing"), None))
    };
    let contents = match request.name.as_str() {
        "test_simple_prompt" => json!([text("This is a simple prompt for testing.")]),
        "test_prompt_with_arguments" => {
            let (first, second) = (plain(&argument("arg1")?), plain(&argument("arg2")?));
            json!([text(&format!("Prompt with arguments: arg1='{first}', arg2='{second}'"))])
        }
        "test_prompt_with_embedded_resource" => json!([
            {"type": "resource", "resource": {
                "uri": argument("resourceUri")?,
                "mimeType": "text/plain",
                "text": "Embedded resource content for testing.",
            }},
            text("Please process the embedded resource above."),
        ]),
        "test_prompt_with_image" => json!([
            {"type": "image", "data": PNG, "mimeType": "image/png"},
            text("Please analyze the image above."),
        ]),
        unknown => return Err(ErrorData::invalid_params(format!("there is no prompt {unknown}"), None)),
    };
    let messages: Vec<Value> = contents
        .as_array()
        .into_iter()
        .flatten()
        .map(|content| json!({"role": "user", "content": content}))
        .collect();
    Ok(fixture(json!({"resultType": "complete", "messages": messages})))
}

/// The text of a JSON string, or the JSON of anything else.
fn plain(value: &impl ToString) -> String {
    value.to_string().trim_matches('"').to_owned()
}

pub(super) fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

pub(super) fn resources() -> Vec<Resource> {
    fixture(json!([
        {"uri": "test://static-text", "name": "static-text", "description": "Fixed text", "mimeType": "text/plain"},
        {"uri": "test://static-binary", "name": "static-binary", "description": "A pixel", "mimeType": "image/png"},
        {"uri": "test://watched-resource", "name": "watched-resource", "description": "To be subscribed to",
         "mimeType": "text/plain"},
    ]))
}

pub(super) fn resource_templates() -> Vec<ResourceTemplate> {
    fixture(json!([
        {"uriTemplate": "test://template/{id}/data", "name": "template", "description": "Data by id",
         "mimeType": "application/json"},
    ]))
}

pub(super) fn read(uri: &str) -> Result<ReadResourceResult, ErrorData> {
    let content = match uri {
        "test://static-text" => json!({"mimeType": "text/plain",
            "text": "This is the content of the static text resource."}),
        "test://static-binary" => json!({"mimeType": "image/png", "blob": PNG}),
        "test://watched-resource" => json!({"mimeType": "text/plain", "text": "Watched."}),
        _ => from_template(uri)
            .ok_or_else(|| ErrorData::invalid_params("Resource not found", Some(json!({"uri": uri}))))?,
    };
    let mut content = content;
    content["uri"] = json!(uri);
    Ok(fixture(json!({"resultType": "complete", "contents": [content]})))
}

fn from_template(uri: &str) -> Option<Value> {
    let id = uri.strip_prefix("test://template/")?.strip_suffix("/data")?;
    let data = json!({"id": id, "templateTest": true, "data": format!("Data for ID: {id}")});
    Some(json!({"mimeType": "application/json", "text": data.to_string()}))
}
