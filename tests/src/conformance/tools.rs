//! The tools that the suite names, but for those that need input first.

use std::time::Duration;

use rmcp::ErrorData;
use rmcp::model::{
    CallToolRequestParams, CallToolResult, ClientCapabilities, LoggingLevel, LoggingMessageNotificationParam,
    ProgressNotificationParam, Tool,
};
use rmcp::service::{RequestContext, RoleServer};
use serde_json::{Value, json};

use super::content::{PNG, WAV, text};
use super::{Changed, ConformanceServer, fixture};

/// The pause that the suite asks for between two notifications of one call.
const PAUSE: Duration = Duration::from_millis(50);

pub(super) fn list() -> Vec<Tool> {
    const PLAIN: [(&str, &str); 23] = [
        ("test_simple_text", "Answers with text"),
        ("test_image_content", "Answers with an image"),
        ("test_audio_content", "Answers with sound"),
        ("test_embedded_resource", "Answers with a resource"),
        ("test_multiple_content_types", "Answers with text, an image and a resource"),
        ("test_tool_with_logging", "Logs three messages"),
        ("test_error_handling", "Fails"),
        ("test_tool_with_progress", "Reports progress"),
        ("test_elicitation_sep1034_defaults", "Asks with default values"),
        ("test_elicitation_sep1330_enums", "Asks with every form of enumeration"),
        ("test_reconnection", "Answers late, as a call does whose stream broke"),
        ("test_missing_capability", "Needs sampling"),
        ("test_streaming_elicitation", "Reports progress, and never asks on the stream"),
        ("test_logging_tool", "Logs only when the request asks for it"),
        ("test_trigger_tool_change", "Tells subscribers that the tools changed"),
        ("test_trigger_prompt_change", "Tells subscribers that the prompts changed"),
        ("test_input_required_result_elicitation", "Asks the user"),
        ("test_input_required_result_sampling", "Asks the model"),
        ("test_input_required_result_list_roots", "Asks for the roots"),
        ("test_input_required_result_request_state", "Asks, and expects its state back"),
        ("test_input_required_result_tampered_state", "Asks, and refuses changed state"),
        ("test_input_required_result_multiple_inputs", "Asks the user, the model and for the roots"),
        ("test_input_required_result_multi_round", "Asks twice"),
    ];
    let plain = PLAIN.map(|(name, description)| {
        json!({"name": name, "description": description, "inputSchema": {"type": "object", "properties": {}}})
    });
    let mut tools: Vec<Tool> = fixture(Value::Array(plain.to_vec()));
    tools.extend(fixture::<Vec<Tool>>(json!([
        {"name": "test_input_required_result_capabilities", "description": "Asks only what the client can answer",
         "inputSchema": {"type": "object", "properties": {}}},
        {"name": "test_sampling", "description": "Asks the model of the client", "inputSchema": {
            "type": "object", "properties": {"prompt": {"type": "string"}}, "required": ["prompt"]}},
        {"name": "test_elicitation", "description": "Asks the user of the client", "inputSchema": {
            "type": "object", "properties": {"message": {"type": "string"}}, "required": ["message"]}},
        {"name": "test_header_parameter", "description": "Takes a parameter that travels in a header too",
         "inputSchema": {"type": "object", "properties": {
            "region": {"type": "string", "x-mcp-header": "Region"}}, "required": ["region"]}},
        {"name": "json_schema_2020_12_tool", "description": "Has a schema with the wider vocabulary",
         "inputSchema": wide_schema()},
    ])));
    tools
}

/// JSON Schema 2020-12 keywords that a gateway must not drop on the way (SEP-1613, SEP-2106).
fn wide_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "$defs": {"address": {"$anchor": "addressDef", "type": "object", "properties": {
            "street": {"type": "string"}, "city": {"type": "string"}}}},
        "properties": {
            "name": {"type": "string"},
            "address": {"$ref": "#/$defs/address"},
            "contactMethod": {"type": "string", "enum": ["phone", "email"]},
            "phone": {"type": "string"},
            "email": {"type": "string"},
        },
        "allOf": [{"anyOf": [{"required": ["phone"]}, {"required": ["email"]}]}],
        "if": {"properties": {"contactMethod": {"const": "phone"}}, "required": ["contactMethod"]},
        "then": {"required": ["phone"]},
        "else": {"required": ["email"]},
        "additionalProperties": false,
    })
}

pub(super) async fn call(
    server: &ConformanceServer,
    request: CallToolRequestParams,
    context: RequestContext<RoleServer>,
) -> Result<CallToolResult, ErrorData> {
    let blocks = match request.name.as_ref() {
        "test_simple_text" => json!([text("This is a simple text response for testing.")]),
        "test_image_content" => json!([{"type": "image", "data": PNG, "mimeType": "image/png"}]),
        "test_audio_content" => json!([{"type": "audio", "data": WAV, "mimeType": "audio/wav"}]),
        "test_embedded_resource" => json!([embedded(
            "test://embedded-resource",
            "text/plain",
            "This is an embedded resource content."
        )]),
        "test_multiple_content_types" => json!([
            text("Multiple content types test:"),
            {"type": "image", "data": PNG, "mimeType": "image/png"},
            embedded("test://mixed-content-resource", "application/json", r#"{"test":"data","value":123}"#),
        ]),
        "test_error_handling" => {
            return Ok(fixture(json!({"resultType": "complete", "isError": true,
                "content": [text("This tool intentionally returns an error for testing")]})));
        }
        "test_tool_with_logging" => log_three_times(&context, Some(LoggingLevel::Info)).await?,
        "test_logging_tool" => log_three_times(&context, context.meta.log_level()).await?,
        "test_tool_with_progress" | "test_streaming_elicitation" => report_progress(&context).await?,
        "test_reconnection" => {
            tokio::time::sleep(PAUSE).await;
            json!([text("Reconnection test completed")])
        }
        "test_sampling" => ask_the_model(&request, &context).await?,
        "test_elicitation" => {
            ask_the_user(&context, &argument(&request, "message")?, contact_schema()).await?
        }
        "test_elicitation_sep1034_defaults" => {
            ask_the_user(&context, "Please review the defaults", defaults_schema()).await?
        }
        "test_elicitation_sep1330_enums" => {
            ask_the_user(&context, "Please choose", enumerations_schema()).await?
        }
        "test_missing_capability" => need_sampling(&context)?,
        "test_trigger_tool_change" => announce(server, Changed::Tools),
        "test_trigger_prompt_change" => announce(server, Changed::Prompts),
        "test_header_parameter" => json!([text(&argument(&request, "region")?)]),
        "json_schema_2020_12_tool" => json!([text("ok")]),
        unknown => return Err(ErrorData::invalid_params(format!("there is no tool {unknown}"), None)),
    };
    Ok(fixture(json!({"resultType": "complete", "content": blocks})))
}

fn argument(request: &CallToolRequestParams, name: &str) -> Result<String, ErrorData> {
    let value = request.arguments.as_ref().and_then(|arguments| arguments.get(name)).and_then(Value::as_str);
    value
        .map(str::to_owned)
        .ok_or_else(|| ErrorData::invalid_params(format!("the argument {name} is missing"), None))
}

fn embedded(uri: &str, mime_type: &str, content: &str) -> Value {
    json!({"type": "resource", "resource": {"uri": uri, "mimeType": mime_type, "text": content}})
}

fn announce(server: &ConformanceServer, change: Changed) -> Value {
    // Nobody listening is as good.
    let listeners = server.changes.send(change).unwrap_or(0);
    json!([text(&format!("{listeners} subscribers"))])
}

async fn log_three_times(
    context: &RequestContext<RoleServer>,
    level: Option<LoggingLevel>,
) -> Result<Value, ErrorData> {
    // The modern era has no messages for requests that did not name a level.
    let modern = context.meta.protocol_version().is_some();
    let level = if modern { context.meta.log_level() } else { level };
    for message in ["Tool execution started", "Tool processing data", "Tool execution completed"] {
        if let Some(level) = level {
            let notification = LoggingMessageNotificationParam::new(level, json!(message));
            context.peer.notify_logging_message(notification).await.map_err(internal)?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(json!([text("Logged three messages")]))
}

async fn report_progress(context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    for progress in [0.0, 50.0, 100.0] {
        if let Some(token) = context.meta.get_progress_token() {
            let notification = ProgressNotificationParam::new(token, progress).with_total(100.0);
            context.peer.notify_progress(notification).await.map_err(internal)?;
        }
        tokio::time::sleep(PAUSE).await;
    }
    Ok(json!([text("Reported progress")]))
}

async fn ask_the_model(
    request: &CallToolRequestParams,
    context: &RequestContext<RoleServer>,
) -> Result<Value, ErrorData> {
    let question = json!({"messages": [{"role": "user", "content": text(&argument(request, "prompt")?)}],
        "maxTokens": 100});
    let answer = context.peer.create_message(fixture(question)).await.map_err(internal)?;
    let answer = json!(answer);
    Ok(json!([text(&format!("LLM response: {}", answer["content"]["text"].as_str().unwrap_or_default()))]))
}

async fn ask_the_user(
    context: &RequestContext<RoleServer>,
    message: &str,
    schema: Value,
) -> Result<Value, ErrorData> {
    let question = json!({"mode": "form", "message": message, "requestedSchema": schema});
    let answer = json!(context.peer.create_elicitation(fixture(question)).await.map_err(internal)?);
    let (action, fields) = (answer["action"].as_str().unwrap_or_default(), &answer["content"]);
    Ok(json!([text(&format!("Elicitation completed: action={action}, content={fields}"))]))
}

fn need_sampling(context: &RequestContext<RoleServer>) -> Result<Value, ErrorData> {
    let declared = context.meta.client_capabilities().is_some_and(|client| client.sampling.is_some());
    if declared {
        return Ok(json!([text("The client can sample")]));
    }
    let needed: ClientCapabilities = fixture(json!({"sampling": {}}));
    Err(ErrorData::missing_required_client_capability(needed))
}

fn contact_schema() -> Value {
    json!({"type": "object", "properties": {
        "username": {"type": "string", "description": "User's response"},
        "email": {"type": "string", "description": "User's email address"},
    }, "required": ["username", "email"]})
}

fn defaults_schema() -> Value {
    json!({"type": "object", "properties": {
        "name": {"type": "string", "default": "John Doe"},
        "age": {"type": "integer", "default": 30},
        "score": {"type": "number", "default": 95.5},
        "status": {"type": "string", "enum": ["active", "inactive", "pending"], "default": "active"},
        "verified": {"type": "boolean", "default": true},
    }})
}

fn enumerations_schema() -> Value {
    let titled = json!([
        {"const": "value1", "title": "First Option"},
        {"const": "value2", "title": "Second Option"},
        {"const": "value3", "title": "Third Option"},
    ]);
    json!({"type": "object", "properties": {
        "untitledSingle": {"type": "string", "enum": ["option1", "option2", "option3"]},
        "titledSingle": {"type": "string", "oneOf": titled},
        "legacyEnum": {"type": "string", "enum": ["opt1", "opt2", "opt3"],
            "enumNames": ["Option One", "Option Two", "Option Three"]},
        "untitledMulti": {"type": "array", "items": {"type": "string", "enum": ["option1", "option2", "option3"]}},
        "titledMulti": {"type": "array", "items": {"anyOf": titled}},
    }})
}

fn internal(error: impl std::fmt::Display) -> ErrorData {
    ErrorData::internal_error(error.to_string(), None)
}
