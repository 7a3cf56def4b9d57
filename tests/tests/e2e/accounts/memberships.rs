//! One person, several connections: in two workspaces, and at two servers. What was connected for one is used for that
//! one only.

use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::person::{Page, Person};
use portcullis_tests::provider::Provider;
use portcullis_tests::provider::shape::Shape;
use portcullis_tests::seed::{self, Member, SUBJECT};
use portcullis_tests::stack::Builder;
use portcullis_tests::upstream::protected::Protected;
use serde_json::json;

use super::{
    ADA, ADA_THERE, GRACE_NAME, GRACE_THERE, LINEAR, Setting, account_of, agree, link_of, oauth, server,
    sign_in, whoami,
};

const ADA_IN_LAB: &str = "ada-of-the-lab@provider";

/// Makes Ada a member of a second workspace, `lab`; an agent of hers there.
async fn ada_in_lab(setting: &Setting) -> Agent {
    let admin = setting.stack.admin();
    let lab = admin.post("/v1/workspaces", json!({"slug": "lab", "name": "Lab"})).await.expect("a workspace");
    let lab = lab["id"].as_str().expect("an id");
    let member = seed::member(admin, lab, Member { subject: SUBJECT, name: ADA }).await.expect("a member");
    assert_ne!(member.id, setting.stack.seeded.member, "a membership of its own");
    setting.stack.agent_of(&member.key, LINEAR, Era::Modern)
}

/// The page that lists everything, for Ada.
async fn connections_page(setting: &Setting, ada: &Person) -> Page {
    ada.open(&format!("{}/connections", setting.stack.public_url())).await.expect("a page")
}

#[tokio::test]
async fn connecting_in_one_workspace_connects_no_other() {
    let setting = Setting::start().await;
    let core = setting.agent(Era::Modern);
    let lab = ada_in_lab(&setting).await;
    let ada = Person::new();
    let link = link_of(&whoami(&core).await);
    setting.connect_with(&ada, &link, ADA, ADA_THERE).await;
    assert_eq!(account_of(&whoami(&core).await), ADA_THERE);

    // The same person, who is signed in already; the page says for which workspace.
    let link = link_of(&whoami(&lab).await);
    let consent = ada.open(&link).await.expect("a page");
    assert!(
        consent.text().contains("Workspace Lab") && !consent.text().contains("Core"),
        "{}",
        consent.text()
    );
    setting.provider.approve_as(Some(ADA_IN_LAB));
    let connected = agree(&ada, &consent).await;
    assert!(connected.text().contains("agents in Lab"), "{}", connected.text());
    for _ in 0..3 {
        assert_eq!(account_of(&whoami(&core).await), ADA_THERE);
        assert_eq!(account_of(&whoami(&lab).await), ADA_IN_LAB);
    }
    assert_eq!(setting.connections().await.len(), 2);
    let page = connections_page(&setting, &ada).await;
    for card in ["Disconnect linear in Core", "Disconnect linear in Lab"] {
        assert!(page.form(card).is_ok(), "{card}: {}", page.text());
    }

    // Ending one ends no other, here and at the provider.
    ada.press(&page, "Disconnect linear in Core").await.expect("a page");
    link_of(&whoami(&core).await);
    assert_eq!(account_of(&whoami(&lab).await), ADA_IN_LAB);
}

#[tokio::test]
async fn renewing_for_one_workspace_leaves_the_other_alone() {
    let setting = Setting::start().await;
    let core = setting.agent(Era::Modern);
    let lab = ada_in_lab(&setting).await;
    for (agent, account) in [(&core, ADA_THERE), (&lab, ADA_IN_LAB)] {
        setting.connected(agent, ADA, account).await;
        assert_eq!(account_of(&whoami(agent).await), account);
    }
    setting.provider.withdraw(ADA_IN_LAB);
    link_of(&whoami(&lab).await);
    assert_eq!(account_of(&whoami(&core).await), ADA_THERE);
    setting.provider.expire_access_tokens();
    assert_eq!(account_of(&whoami(&core).await), ADA_THERE);
    link_of(&whoami(&lab).await);
    let renewed = setting.provider.ledger.requests_of("refresh_token").into_iter();
    let subjects: Vec<_> =
        renewed.filter_map(|request| request.outcome.ok()).map(|issued| issued.subject).collect();
    assert_eq!(subjects, [ADA_THERE]);
}

#[tokio::test]
async fn a_key_of_one_workspace_does_not_open_the_other() {
    let setting = Setting::start().await;
    let lab = ada_in_lab(&setting).await;
    setting.connected(&lab, ADA, ADA_IN_LAB).await;
    let page =
        sign_in(&Person::new(), &format!("{}/connections", setting.stack.public_url()), GRACE_NAME).await;
    assert!(!page.text().contains("Lab"), "{}", page.text());
    let crossed = setting.stack.agent_of(&setting.stack.seeded.key, "lab/linear", Era::Modern);
    let refused = whoami(&crossed).await;
    assert_eq!(refused.status, 403, "{refused:?}");
    link_of(&whoami(&setting.graces_agent(Era::Modern)).await);
    assert!(setting.protected.subjects_of("tools/call").is_empty());
}

/// Two servers of one provider, which knows Ada by another account at each.
#[tokio::test]
async fn a_member_with_two_servers_has_an_account_at_each() {
    let provider = Provider::start(Shape::linear()).await.expect("a provider");
    let protected = Protected::behind(&provider).await.expect("a protected server");
    let notes = Protected::behind(&provider).await.expect("another one");
    let servers = vec![server(LINEAR, &protected, oauth()), server("notes", &notes, oauth())];
    let setting = Setting::of(provider, protected, Builder { servers, ..Builder::default() }).await;
    let agents = [LINEAR, "notes"].map(|slug| setting.stack.agent(slug, Era::Modern));
    let accounts = [ADA_THERE, "ada-of-the-notes@provider"];
    for (agent, account) in agents.iter().zip(accounts) {
        setting.connected(agent, ADA, account).await;
    }
    for (agent, account) in agents.iter().zip(accounts) {
        assert_eq!(account_of(&whoami(agent).await), account);
    }
    // Each server was shown tokens that are meant for it, of its own account alone.
    assert_eq!(setting.protected.subjects_of("tools/call"), [accounts[0]]);
    assert_eq!(notes.subjects_of("tools/call"), [accounts[1]]);
    assert!(!setting.protected.calls().iter().any(|call| call.subject.as_deref() == Some(accounts[1])));
    assert!(!notes.calls().iter().any(|call| call.subject.as_deref() == Some(accounts[0])));

    // The other one's account can be withdrawn, and this one's goes on.
    setting.provider.withdraw(accounts[1]);
    link_of(&whoami(&agents[1]).await);
    assert_eq!(account_of(&whoami(&agents[0]).await), accounts[0]);
    let grace = setting.stack.agent_of(&setting.stack.seeded.others[0].key, "notes", Era::Modern);
    setting.connected(&grace, GRACE_NAME, GRACE_THERE).await;
    assert_eq!(account_of(&whoami(&grace).await), GRACE_THERE);
}
