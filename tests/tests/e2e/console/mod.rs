//! The console, in a real browser: what administrators do there, and how it looks.

mod first_steps;
mod hostile;
mod libraries;
mod live;
mod look;

use portcullis_tests::browser::{Browser, Person, Window};
use portcullis_tests::stack::{Builder, Stack};
use serde_json::json;

/// Somebody signed in on the admin side who owns the organization of a stack.
async fn owner(browser: &Browser, stack: &Stack, window: Window) -> anyhow::Result<Person> {
    let name = format!("olga-{}-{}", window.width, window.dark);
    let person = browser.person_at(&name, window).await;
    person.goto(&at(stack, "/")).await;
    person.click("button", "Olga Owner owner").await;
    person.wait_for("heading", "Overview").await;
    Ok(person)
}

/// A stack that has an owner, and learns what servers have.
async fn stack(mut builder: Builder) -> anyhow::Result<Stack> {
    builder.sections.insert("catalogue".into(), json!({"every": "1s"}));
    let stack = Stack::build(builder).await?;
    let olga =
        json!({"issuer": "https://idp.example", "subject": "olga", "name": "Olga Owner", "role": "owner"});
    stack.admin().post("/v1/administrators", olga).await?;
    Ok(stack)
}

/// The address of a page.
fn at(stack: &Stack, path: &str) -> String {
    format!("{}{path}", stack.admin().url())
}

/// What the browser complains about, but for answers that refuse: that they have such a status is their purpose.
async fn complaints(person: &Person) -> Vec<String> {
    let mut complaints = person.complaints().await;
    complaints.retain(|complaint| !complaint.contains("the server responded with a status"));
    complaints.retain(|complaint| !complaint.contains("Response Status Error Code"));
    complaints
}
