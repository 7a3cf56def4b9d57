//! Every method that a client may call, with the era it belongs to.

use super::list_kind::ListKind;
use super::message::MessageKind;
use super::version::Era;

/// What a client can ask for. A method without a variant is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    Initialize,
    Ping,
    ServerDiscover,
    ToolsList,
    ToolsCall,
    PromptsList,
    PromptsGet,
    ResourcesList,
    ResourcesTemplatesList,
    ResourcesRead,
    ResourcesSubscribe,
    ResourcesUnsubscribe,
    SubscriptionsListen,
    CompletionComplete,
    LoggingSetLevel,
    TasksGet,
    TasksCancel,
    TasksResult,
    TasksList,
    TasksUpdate,
    NotificationsInitialized,
    NotificationsCancelled,
    NotificationsProgress,
    NotificationsRootsListChanged,
    NotificationsTasksStatus,
}

/// In which eras a method exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Eras {
    Legacy,
    Modern,
    Both,
}

/// The rule for each method, by name. Versions of one era are not told apart: a session may have agreed on a later
/// version than the header of a sloppy client says, and no method has different names to judge in two of them.
const RULES: [(&str, Method, Eras); 25] = [
    ("initialize", Method::Initialize, Eras::Legacy),
    ("ping", Method::Ping, Eras::Legacy),
    ("server/discover", Method::ServerDiscover, Eras::Modern),
    ("tools/list", Method::ToolsList, Eras::Both),
    ("tools/call", Method::ToolsCall, Eras::Both),
    ("prompts/list", Method::PromptsList, Eras::Both),
    ("prompts/get", Method::PromptsGet, Eras::Both),
    ("resources/list", Method::ResourcesList, Eras::Both),
    ("resources/templates/list", Method::ResourcesTemplatesList, Eras::Both),
    ("resources/read", Method::ResourcesRead, Eras::Both),
    ("resources/subscribe", Method::ResourcesSubscribe, Eras::Legacy),
    ("resources/unsubscribe", Method::ResourcesUnsubscribe, Eras::Legacy),
    ("subscriptions/listen", Method::SubscriptionsListen, Eras::Modern),
    ("completion/complete", Method::CompletionComplete, Eras::Both),
    ("logging/setLevel", Method::LoggingSetLevel, Eras::Legacy),
    ("tasks/get", Method::TasksGet, Eras::Both),
    ("tasks/cancel", Method::TasksCancel, Eras::Both),
    ("tasks/result", Method::TasksResult, Eras::Legacy),
    ("tasks/list", Method::TasksList, Eras::Legacy),
    ("tasks/update", Method::TasksUpdate, Eras::Modern),
    // Modern clients send no notifications over HTTP. In particular they cancel by closing the response: a
    // notification would have to name a request by an id that other callers may use too.
    ("notifications/initialized", Method::NotificationsInitialized, Eras::Legacy),
    ("notifications/cancelled", Method::NotificationsCancelled, Eras::Legacy),
    ("notifications/progress", Method::NotificationsProgress, Eras::Legacy),
    ("notifications/roots/list_changed", Method::NotificationsRootsListChanged, Eras::Legacy),
    ("notifications/tasks/status", Method::NotificationsTasksStatus, Eras::Legacy),
];

impl Method {
    /// The method of this name, if it exists in this era. Names are compared byte for byte.
    pub fn parse(name: &str, era: Era) -> Option<Self> {
        let (_, method, eras) = RULES.iter().find(|(known, _, _)| *known == name)?;
        let exists = matches!(
            (eras, era),
            (Eras::Both, _) | (Eras::Legacy, Era::Legacy) | (Eras::Modern, Era::Modern)
        );
        exists.then_some(*method)
    }

    /// `name`, if it is that of a method of any era.
    pub fn known_name(name: &str) -> Option<&'static str> {
        RULES.iter().find(|(known, _, _)| *known == name).map(|(known, _, _)| *known)
    }

    /// Whether a message of this method is answered or not.
    pub fn kind(self) -> MessageKind {
        match self {
            Self::NotificationsInitialized
            | Self::NotificationsCancelled
            | Self::NotificationsProgress
            | Self::NotificationsRootsListChanged
            | Self::NotificationsTasksStatus => MessageKind::Notification,
            _ => MessageKind::Request,
        }
    }

    /// The list that the answer holds.
    pub fn list(self) -> Option<ListKind> {
        match self {
            Self::ToolsList => Some(ListKind::Tools),
            Self::PromptsList => Some(ListKind::Prompts),
            Self::ResourcesList => Some(ListKind::Resources),
            Self::ResourcesTemplatesList => Some(ListKind::ResourceTemplates),
            _ => None,
        }
    }
}
