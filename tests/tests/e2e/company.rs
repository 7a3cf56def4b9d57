//! People sign in at the company's identity provider, in a real browser, and are here what their groups say.

use portcullis_tests::artifacts::target_directory;
use portcullis_tests::browser::{Browser, Person};
use serde_json::{Value, json};

use super::office::Office;

#[tokio::test]
async fn people_are_what_their_groups_say() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let Some(office) = Office::open().await? else { return Ok(()) };
    let (pages, admin) = (office.stack.public_url(), office.stack.admin().url().to_owned());
    let ada = browser.person("ada").await;
    ada.goto(&format!("{pages}/connections")).await;
    office.at_the_provider(&ada, "ada").await;
    ada.wait_for_url(&format!("{pages}/connections")).await;
    assert!(ada.text().await.contains("Ada Lovelace"), "{}", ada.text().await);
    let members = office.stack.admin().get("/v1/workspaces/engineering/members").await?;
    let member = &members["members"][0];
    assert_eq!(
        (&member["subject"], &member["role"], &member["origin"]),
        (&json!("ada"), &json!("manager"), &json!("sign_in"))
    );

    // Signing out is not signing in again at once, although the provider would let her.
    ada.click("button", "Sign out").await;
    ada.wait_for("link", "Sign in again").await;
    picture(&ada, "signed-out").await?;
    ada.click("link", "Sign in again").await;
    ada.wait_for_url(&format!("{pages}/connections")).await;

    // The admin side has a session of its own, and the same provider.
    ada.goto(&format!("{admin}/sign-in")).await;
    ada.wait_for_url(&format!("{admin}/")).await;
    ada.goto(&format!("{admin}/v1/me")).await;
    let me: Value = serde_json::from_str(&ada.text().await)?;
    assert_eq!((&me["name"], &me["organization_role"]), (&json!("Ada Lovelace"), &json!("admin")), "{me}");
    assert_eq!(me["memberships"][0]["slug"], "engineering");
    Ok(())
}

#[tokio::test]
async fn somebody_of_no_group_is_told_whom_to_ask() -> anyhow::Result<()> {
    let Some(browser) = Browser::start().await? else { return Ok(()) };
    let Some(office) = Office::open().await? else { return Ok(()) };
    let grace = browser.person("grace").await;
    grace.goto(&format!("{}/sign-in", office.stack.public_url())).await;
    office.at_the_provider(&grace, "grace").await;
    grace.wait_for_url("/sign-in/callback").await;
    assert_eq!(grace.status().await, 403);
    assert!(grace.text().await.contains("Ask whoever looks after this gateway"), "{}", grace.text().await);
    assert!(grace.cookies().await.iter().all(|cookie| !cookie.name.contains("portcullis")));
    picture(&grace, "no-access").await
}

/// For looking at.
async fn picture(person: &Person, name: &str) -> anyhow::Result<()> {
    let directory = target_directory()?.join("pages");
    std::fs::create_dir_all(&directory)?;
    person.screenshot(&directory.join(format!("company-{name}.png"))).await;
    assert_eq!(person.overflow().await, 0, "{name} is wider than its window");
    Ok(())
}
