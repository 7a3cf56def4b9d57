//! The tools, prompts and resources that a request names.

use portcullis_wire::policy::Kind;

use crate::json::Value;

use super::fault::{Fault, quote};
use super::message::refuse_nul;
use super::method::Method;
use super::twins;

/// A name that policy judges.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Target {
    pub kind: Kind,
    /// Of a resource its URI, or its template's.
    pub name: String,
}

/// All that a request names.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) targets: Vec<Target>,
    pub(super) task_ids: Vec<String>,
    /// What the `Mcp-Name` header must repeat, and where it stands in the body.
    pub(super) header: Option<(String, &'static str)>,
}

impl Names {
    /// Reads what `method` names in `params`. One place for each method: who adds a method must come by here.
    pub(super) fn read(method: Method, params: Option<Value<'_, '_>>) -> Result<Self, Fault> {
        match method {
            Method::ToolsCall => Self::one(Kind::Tool, params, "name"),
            Method::PromptsGet => Self::one(Kind::Prompt, params, "name"),
            Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
                Self::one(Kind::Resource, params, "uri")
            }
            Method::CompletionComplete => Self::reference(params),
            Method::SubscriptionsListen => Self::subscriptions(params),
            Method::TasksGet | Method::TasksCancel | Method::TasksResult | Method::TasksUpdate => {
                let task_id = required(params, "params", "taskId")?;
                let header = Some((task_id.clone(), "params.taskId"));
                Ok(Self { task_ids: vec![task_id], header, ..Self::default() })
            }
            Method::Initialize
            | Method::Ping
            | Method::ServerDiscover
            | Method::ToolsList
            | Method::PromptsList
            | Method::ResourcesList
            | Method::ResourcesTemplatesList
            | Method::LoggingSetLevel
            | Method::TasksList
            | Method::NotificationsInitialized
            | Method::NotificationsCancelled
            | Method::NotificationsProgress
            | Method::NotificationsRootsListChanged
            | Method::NotificationsTasksStatus => Ok(Self::default()),
        }
    }

    fn one(kind: Kind, params: Option<Value<'_, '_>>, key: &'static str) -> Result<Self, Fault> {
        let name = required(params, "params", key)?;
        let place = if key == "uri" { "params.uri" } else { "params.name" };
        let header = Some((name.clone(), place));
        Ok(Self { targets: vec![Target { kind, name }], header, ..Self::default() })
    }

    /// `completion/complete` names a prompt, or a resource or template, in `params.ref`.
    fn reference(params: Option<Value<'_, '_>>) -> Result<Self, Fault> {
        let reference = params.and_then(|params| params.get("ref")).filter(Value::is_object);
        let Some(reference) = reference else {
            return Err(Fault::invalid_params("`params.ref` must be an object"));
        };
        twins::refuse(reference, twins::REFERENCE, "`params.ref`")?;
        let (kind, key) = match required(Some(reference), "params.ref", "type")?.as_str() {
            "ref/prompt" => (Kind::Prompt, "name"),
            "ref/resource" => (Kind::Resource, "uri"),
            other => {
                let message = format!(
                    r#"`params.ref.type` is {}; it must be "ref/prompt" or "ref/resource""#,
                    quote(other)
                );
                return Err(Fault::invalid_params(message));
            }
        };
        let name = required(Some(reference), "params.ref", key)?;
        Ok(Self { targets: vec![Target { kind, name }], ..Self::default() })
    }

    /// `subscriptions/listen` names resources and tasks in lists.
    fn subscriptions(params: Option<Value<'_, '_>>) -> Result<Self, Fault> {
        let Some(wanted) = params.and_then(|params| params.get("notifications")) else {
            return Ok(Self::default());
        };
        if !wanted.is_object() {
            return Err(Fault::invalid_params("`params.notifications` must be an object"));
        }
        twins::refuse(wanted, twins::SUBSCRIPTIONS, "`params.notifications`")?;
        let uris = strings(wanted, "resourceSubscriptions")?;
        let targets = uris.into_iter().map(|name| Target { kind: Kind::Resource, name }).collect();
        Ok(Self { targets, task_ids: strings(wanted, "taskIds")?, header: None })
    }
}

/// The string at `key`, which must be there. `place` is what the object is called in the message.
fn required(object: Option<Value<'_, '_>>, place: &str, key: &str) -> Result<String, Fault> {
    let text = object.and_then(|object| object.get(key)).and_then(|value| value.as_str());
    let Some(text) = text else {
        return Err(Fault::invalid_params(format!("`{place}.{key}` must be a string")));
    };
    refuse_nul(&text, &format!("`{place}.{key}`"))?;
    Ok(text.into_owned())
}

/// The list of strings at `key` of `params.notifications`, or none if it is not there.
fn strings(object: Value<'_, '_>, key: &str) -> Result<Vec<String>, Fault> {
    let Some(list) = object.get(key) else { return Ok(Vec::new()) };
    let refusal =
        || Fault::invalid_params(format!("`params.notifications.{key}` must be an array of strings"));
    if !list.is_array() {
        return Err(refusal());
    }
    let mut texts = Vec::new();
    for item in list.items() {
        let text = item.as_str().ok_or_else(refusal)?;
        refuse_nul(&text, &format!("`params.notifications.{key}`"))?;
        texts.push(text.into_owned());
    }
    Ok(texts)
}
