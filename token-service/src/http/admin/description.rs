//! What `/openapi.json` says beside the operations: the frame, the token, and the one form of every error.

use utoipa::openapi::path::Operation;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Content, Ref, ResponseBuilder};
use utoipa::{Modify, OpenApi as _, openapi};

use crate::http::error::{PROBLEM_MEDIA_TYPE, ProblemDocument};

/// The names of the security schemes, also in the attribute below.
const TOKEN: &str = "admin_token";
const SESSION: &str = "session";

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Portcullis admin API",
        description = "Servers, workspaces, members, administrators, API keys and policies of a Portcullis gateway.\n\n\
            What somebody may not see looks as if it did not exist.\n\n\
            Errors are problem documents (RFC 9457) that list every fault. A change names its revision in \
            `x-portcullis-revision`; with `?wait=applied` it is answered when every connected filter has it.",
    ),
    components(schemas(ProblemDocument)),
    modifiers(&Token),
    security(("admin_token" = []), ("session" = []))
)]
struct Frame;

struct Token;

impl Modify for Token {
    fn modify(&self, document: &mut openapi::OpenApi) {
        let scheme = Http::builder()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some(
                "The content of the admin token file; the log of `portcullis serve` says where it is.",
            ))
            .build();
        let components = document.components.get_or_insert_default();
        components.add_security_scheme(TOKEN, SecurityScheme::Http(scheme));
        let cookie = ApiKeyValue::with_description(
            "portcullis-admin-session",
            "Of somebody who has signed in at /sign-in; on https its name begins with `__Host-`. Changes need \
             `Content-Type: application/json`, our `Origin`, and `x-portcullis-csrf` as `GET /v1/me` shows it.",
        );
        components.add_security_scheme(SESSION, SecurityScheme::ApiKey(ApiKey::Cookie(cookie)));
    }
}

/// The description without its operations.
pub fn frame() -> openapi::OpenApi {
    Frame::openapi()
}

/// Adds to every operation a name of its own, and that it may fail, always in the same form.
pub fn complete(mut document: openapi::OpenApi) -> openapi::OpenApi {
    for item in document.paths.paths.values_mut() {
        let operations = [&mut item.get, &mut item.put, &mut item.post, &mut item.delete, &mut item.patch];
        for operation in operations.into_iter().flatten() {
            name(operation);
            add_problem(operation);
        }
    }
    document
}

/// Functions are named within their noun; the description needs names that are unique.
fn name(operation: &mut Operation) {
    let tag = operation.tags.as_ref().and_then(|tags| tags.first());
    if let (Some(tag), Some(id)) = (tag, &operation.operation_id) {
        operation.operation_id = Some(format!("{tag}_{id}"));
    }
}

fn add_problem(operation: &mut Operation) {
    let content = Content::new(Some(Ref::from_schema_name("ProblemDocument")));
    let problem = ResponseBuilder::new()
        .description("What is wrong, every fault of it")
        .content(PROBLEM_MEDIA_TYPE, content)
        .build();
    operation.responses.responses.insert("default".to_owned(), problem.into());
}
