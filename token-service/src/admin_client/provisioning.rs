//! `portcullis provision`, `unprovision` and `admit`: who has which server.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::json;

use super::client::ClientError;
use super::{Change, part};

#[derive(Debug, Args)]
pub struct Provision {
    /// Id or slug.
    server: String,
    /// Id or slug.
    #[arg(required_unless_present = "new_workspaces")]
    workspace: Option<String>,
    /// For all members of the workspace, or for chosen ones only.
    #[arg(long, requires = "workspace")]
    members: Option<MembersArgument>,
    /// Whether workspaces that are made from now on get the server. Those that there are stay as they are.
    #[arg(long, value_name = "ON_OR_OFF")]
    new_workspaces: Option<Switch>,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub struct Unprovision {
    /// Id or slug.
    server: String,
    /// Id or slug.
    workspace: String,
    #[command(flatten)]
    change: Change,
}

#[derive(Debug, Args)]
pub struct Admit {
    /// Id or slug.
    server: String,
    /// The member's id.
    member: String,
    access: AccessArgument,
    #[command(flatten)]
    change: Change,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum MembersArgument {
    All,
    Chosen,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    On,
    Off,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum AccessArgument {
    Allow,
    Deny,
    Default,
}

impl Provision {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let Self { server, workspace, members, new_workspaces, change } = self;
        let client = change.client()?;
        let path = format!("/v1/servers/{}", part(&server));
        let mut done = json!({"server": server});
        let mut text = String::new();
        if let Some(switch) = new_workspaces {
            let is_on = switch == Switch::On;
            client.send(Method::PATCH, &path, Some(json!({"provision_new_workspaces": is_on}))).await?;
            done["provision_new_workspaces"] = is_on.into();
            let word = if is_on { "get" } else { "do not get" };
            // Writing to a text cannot fail.
            let _ = writeln!(text, "workspaces to come {word} {server}");
        }
        if let Some(workspace) = workspace {
            let path = format!("{path}/workspaces/{}", part(&workspace));
            client.send(Method::PUT, &path, None).await?;
            if let Some(members) = members {
                let members = if matches!(members, MembersArgument::All) { "all" } else { "chosen" };
                client.send(Method::PATCH, &path, Some(json!({"members": members}))).await?;
                done["members"] = members.into();
            }
            let _ = writeln!(text, "{workspace} has {server}");
            done["workspace"] = workspace.into();
            done["provisioned"] = true.into();
        }
        Ok(change.said(&done, text))
    }
}

impl Unprovision {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let Self { server, workspace, change } = self;
        let path = format!("/v1/servers/{}/workspaces/{}", part(&server), part(&workspace));
        change.client()?.send(Method::DELETE, &path, None).await?;
        let text = format!("{workspace} does not have {server}\n");
        let done = json!({"server": server, "workspace": workspace, "provisioned": false});
        Ok(change.said(&done, text))
    }
}

impl Admit {
    pub(super) async fn ask(self) -> Result<String, ClientError> {
        let Self { server, member, access, change } = self;
        let path = format!("/v1/servers/{}/members/{}", part(&server), part(&member));
        let (method, body, word) = match access {
            AccessArgument::Allow => (Method::PUT, Some(json!({"access": "allow"})), "allow"),
            AccessArgument::Deny => (Method::PUT, Some(json!({"access": "deny"})), "deny"),
            AccessArgument::Default => (Method::DELETE, None, "default"),
        };
        change.client()?.send(method, &path, body).await?;
        let done = json!({"server": server, "member": member, "access": word});
        Ok(change.said(&done, format!("{server} for {member}: {word}\n")))
    }
}
