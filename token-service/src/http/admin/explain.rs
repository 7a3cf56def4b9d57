//! Why something is allowed or denied: now, or when a request was denied.

use axum::Json;
use portcullis_wire::decision::{DeniedRequest, Who};
use portcullis_wire::names::Slug;
use portcullis_wire::policy::Kind;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::acting::Acting;
use super::check::Problems;
pub(super) use super::explain_view::Answer;
use super::explain_view::{DecidedThen, Holds};
use crate::domain::Revision;
use crate::domain::access::{Object, Operation};
use crate::domain::explain::{Asked, Basis, basis};
use crate::domain::ids::ClientSessionId;
use crate::domain::people::{Identity, KeyOwner};
use crate::explain::Subject;
use crate::http::error::ApiError;
use crate::http::read::StrictJson;

/// How many audit entries an answer holds at most.
const MOST_ENTRIES: usize = 50;

/// Either a decision id, or a caller and a server.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// The field `decision_id` of a denied request in the access log.
    pub decision: Option<String>,
    pub caller: Option<CallerBody>,
    /// Id or slug.
    pub server: Option<String>,
    /// One of the three at most; none asks about the server as a whole.
    pub tool: Option<String>,
    pub prompt: Option<String>,
    /// A URI.
    pub resource: Option<String>,
    /// Of a call of the tool.
    #[schema(value_type = Option<Object>)]
    pub arguments: Option<Value>,
}

/// Who would call: a member, a key or a client's sign-in by id, or somebody with a token of an issuer.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CallerBody {
    pub member: Option<String>,
    pub key: Option<String>,
    pub session: Option<String>,
    pub issuer: Option<String>,
    pub subject: Option<String>,
    /// Id or slug of the workspace that the token or the path names; goes with the two before.
    pub workspace: Option<String>,
}

/// Explains a decision. The credential is taken as good; everything else is judged as for a request that comes now.
#[utoipa::path(
    post, path = "/v1/explain", tag = "explain", request_body = Question,
    responses((status = OK, body = Answer))
)]
pub async fn explain(
    app: Acting,
    StrictJson(question): StrictJson<Question>,
) -> Result<Json<Answer>, ApiError> {
    match checked(question)? {
        Checked::Decision(denied) => app.explain_decision(&denied).await,
        Checked::Caller { caller, server, asked } => {
            let subject = app.find_subject(caller).await?;
            app.explain_now(&subject, &server, asked.as_ref()).await
        }
    }
    .map(Json)
}

/// A question in which nothing is missing.
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it does not live long")]
enum Checked {
    Decision(Box<DeniedRequest>),
    Caller { caller: CallerBody, server: String, asked: Option<Asked> },
}

fn checked(question: Question) -> Result<Checked, ApiError> {
    let Question { decision, caller, server, tool, prompt, resource, arguments } = question;
    let mut problems = Problems::default();
    let named = [(Kind::Tool, tool), (Kind::Prompt, prompt), (Kind::Resource, resource)];
    let mut named =
        named.into_iter().filter_map(|(kind, name)| Some(Asked { kind, name: name?, arguments: None }));
    let asked = named.next();
    if named.next().is_some() {
        problems.add("tool", "is not the only name", "give one of `tool`, `prompt` and `resource`");
    }
    let asked = match (asked, arguments) {
        (asked, None) => asked,
        (Some(asked), arguments @ Some(Value::Object(_))) if asked.kind == Kind::Tool => {
            Some(Asked { arguments, ..asked })
        }
        (asked, Some(_)) => {
            problems.add("arguments", "are not the object of a tool's call", "give `tool` and an object");
            asked
        }
    };
    let checked = match (decision, caller, server) {
        (Some(text), None, None) if asked.is_none() => {
            let read = DeniedRequest::read(&text).ok_or("is no decision id");
            let remedy = "copy the field `decision_id` of a denied request from the access log, whole";
            problems.take("decision", read, remedy).map(|denied| Checked::Decision(Box::new(denied)))
        }
        (Some(_), ..) => {
            problems.add("decision", "says all of it", "leave out the other fields");
            None
        }
        (None, Some(caller), Some(server)) => {
            let remedy = "give `member`, `key` or `session`, or `issuer` and `subject`";
            let good = is_one_caller(&caller);
            if !good {
                problems.add("caller", "does not name one caller", remedy);
            }
            good.then_some(Checked::Caller { caller, server, asked })
        }
        (None, caller, _) => {
            let missing = if caller.is_none() { "caller" } else { "server" };
            problems.add(missing, "is missing", "give `caller` and `server`, or `decision`");
            None
        }
    };
    problems.finish(checked)
}

fn is_one_caller(caller: &CallerBody) -> bool {
    let ids = [&caller.member, &caller.key, &caller.session].into_iter().flatten().count();
    let pair = caller.issuer.is_some() && caller.subject.is_some();
    let part = caller.issuer.is_some() || caller.subject.is_some() || caller.workspace.is_some();
    matches!((ids, pair, part), (1, false, false) | (0, true, true))
}

impl Acting {
    /// Whoever looks after the caller may know why.
    async fn find_subject(&self, caller: CallerBody) -> Result<Subject, ApiError> {
        let manage = Operation::Manage;
        if let Some(id) = caller.member {
            return Ok(Subject::Member(self.find_member(&id, manage).await?));
        }
        if let Some(id) = caller.key {
            return Ok(Subject::Key(self.find_key(&id, manage).await?));
        }
        if let Some(id) = caller.session {
            let missing = || ApiError::NotFound { what: "session" };
            let session = self.store.client_session(&ClientSessionId::from(id)).await?.ok_or_else(missing)?;
            let member = self.store.member(&session.member).await?.ok_or_else(missing)?;
            self.may(manage, Object::Member(&member), "session")?;
            return Ok(Subject::Session(Box::new(session)));
        }
        let (issuer, subject) = (caller.issuer.unwrap_or_default(), caller.subject.unwrap_or_default());
        let workspace = if let Some(name) = caller.workspace {
            Some(self.find_workspace(&name, manage).await?.slug)
        } else {
            self.may_in_organization(Operation::See)?;
            None
        };
        Ok(Subject::Bearer { identity: Identity { issuer, subject }, workspace })
    }

    async fn explain_now(
        &self,
        subject: &Subject,
        server: &str,
        asked: Option<&Asked>,
    ) -> Result<Answer, ApiError> {
        // A server that the caller may not see is one that there is not.
        let (slug, hidden) = match self.find_server(server, Operation::See).await {
            Ok(server) => (server.slug, false),
            Err(error @ ApiError::NotFound { .. }) => (Slug::parse(server).map_err(|_| error)?, true),
            Err(error) => return Err(error),
        };
        let explanation = self.explain(subject, &slug, asked, hidden).await?;
        let account = self.account(&explanation).await?;
        let depends = asked.is_some_and(|asked| explanation.depends_on_arguments(asked));
        Ok(Answer { depends_on_arguments: depends, ..Answer::of(&explanation, account) })
    }

    async fn explain_decision(&self, denied: &DeniedRequest) -> Result<Answer, ApiError> {
        let rests_on = basis(&denied.rule);
        let subject = self.subject_of(denied).await?;
        let then = DecidedThen::of(denied);
        let (Some(subject), Some(server)) = (&subject, &denied.server) else {
            return Ok(Answer::of_the_past(then, Holds::Depends, self.store.current_revision().await?));
        };
        let asked =
            denied.whole_target().map(|(kind, name)| Asked { kind, name: name.to_owned(), arguments: None });
        let is_cut = denied.target.is_some() && asked.is_none();
        let now = match self.explain_now(subject, server, asked.as_ref()).await {
            // Its name is no slug, so there never was such a server.
            Err(ApiError::NotFound { .. }) => {
                return Ok(Answer::of_the_past(then, Holds::Depends, self.store.current_revision().await?));
            }
            now => now?,
        };
        let holds = match (rests_on, now.rule.as_deref()) {
            (Basis::Registry, Some(rule)) if rule == denied.rule => Holds::Yes,
            (_, Some(_)) => Holds::ByAnotherRule,
            (Basis::Registry, None) if !is_cut => Holds::No,
            _ => Holds::Depends,
        };
        let since = self.since(denied, subject).await?;
        Ok(Answer { then: Some(then), holds: Some(holds), since, ..now })
    }

    /// Who it was; `None` if that is not known, or gone, and then only the organization's own may ask.
    async fn subject_of(&self, denied: &DeniedRequest) -> Result<Option<Subject>, ApiError> {
        let caller = match denied.who.clone() {
            None => None,
            Some(Who::Member(id)) => Some(CallerBody { member: Some(id), ..CallerBody::default() }),
            Some(Who::Key(id)) => Some(CallerBody { key: Some(id), ..CallerBody::default() }),
            Some(Who::Session(id)) => Some(CallerBody { session: Some(id), ..CallerBody::default() }),
            Some(Who::Subject { issuer, subject }) => Some(CallerBody {
                issuer: Some(issuer),
                subject: Some(subject),
                workspace: denied.workspace.clone(),
                ..CallerBody::default()
            }),
        };
        if let Some(caller) = caller {
            match self.find_subject(caller).await {
                Ok(subject) => return Ok(Some(subject)),
                Err(ApiError::NotFound { .. }) if self.principal().administers() => {}
                Err(error) => return Err(error),
            }
        }
        self.may_in_organization(Operation::See)?;
        Ok(None)
    }

    /// What was changed since about the objects that the decision is about.
    async fn since(
        &self,
        denied: &DeniedRequest,
        subject: &Subject,
    ) -> Result<Vec<super::audit::AuditView>, ApiError> {
        let Some(revision) = denied.revision else { return Ok(Vec::new()) };
        let mut ids: Vec<String> = Vec::new();
        match subject {
            Subject::Member(member) => ids.extend([member.id.to_string(), member.workspace.to_string()]),
            Subject::Key(key) => {
                ids.extend([key.id.to_string(), key.workspace.to_string()]);
                if let KeyOwner::Member(member) = &key.owner {
                    ids.push(member.to_string());
                }
            }
            Subject::Session(session) => ids.extend([session.id.to_string(), session.member.to_string()]),
            Subject::Bearer { identity, .. } => {
                for member in self.store.memberships(identity).await? {
                    ids.extend([member.id.to_string(), member.workspace.to_string()]);
                }
            }
        }
        let server = denied.server.as_deref().and_then(|name| Slug::parse(name).ok());
        if let Some(slug) = server
            && let Some(server) = self.store.server_by_slug(&slug).await?
        {
            ids.push(server.id.to_string());
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let entries = self.store.audit_of(&ids, Revision(revision), MOST_ENTRIES).await?;
        Ok(entries.into_iter().map(Into::into).collect())
    }
}
