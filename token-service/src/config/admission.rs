//! Which members of a workspace a server is for.

use std::collections::BTreeMap;

use portcullis_wire::names::Slug;

use super::AdmissionConfig;
use super::reader::{At, Fields};
use super::registry::{Names, identity};
use crate::domain::people::Identity;
use crate::domain::provisioning::{MemberAccess, Members};

/// An item of a server's `workspaces`: a slug, or a workspace and what is said of its members.
pub(super) fn workspace(at: &At<'_>, names: &Names, admission: &mut Vec<AdmissionConfig>) -> Option<Slug> {
    if at.is_scalar() {
        return names.workspace(at);
    }
    let fields = at.fields(&["workspace", "members", "allow", "deny"])?;
    let workspace = fields.require("workspace").and_then(|at| names.workspace(at))?;
    if admission.iter().any(|known| known.workspace == workspace) {
        at.report("this workspace is listed twice", "join the two");
        return None;
    }
    let members = fields.get("members").map_or(Some(Members::All), members)?;
    let mut access = BTreeMap::new();
    for (name, says) in [("allow", MemberAccess::Allow), ("deny", MemberAccess::Deny)] {
        people(&fields, name, says, (&workspace, names), &mut access);
    }
    if let Some(at) = fields.get("allow").filter(|_| members == Members::All) {
        at.report(
            "everybody is allowed unless members are chosen",
            "write members: chosen, or leave allow out",
        );
    }
    admission.push(AdmissionConfig {
        workspace: workspace.clone(),
        members,
        access: access.into_iter().collect(),
    });
    Some(workspace)
}

fn members(at: &At<'_>) -> Option<Members> {
    at.parsed("write all or chosen", |text| Members::parse(text).ok_or("this is not a choice of members"))
}

fn people(
    fields: &Fields<'_>,
    name: &str,
    says: MemberAccess,
    (workspace, names): (&Slug, &Names),
    access: &mut BTreeMap<Identity, MemberAccess>,
) {
    for at in fields.items(name) {
        let Some(identity) = at.fields(&["issuer", "subject"]).and_then(|fields| identity(&fields)) else {
            continue;
        };
        if !names.has_member(workspace, &identity) {
            let remedy = "declare the member under workspaces:";
            at.report("the workspace has no such member in this file", remedy);
        }
        if access.insert(identity, says).is_some() {
            at.report("this member is listed twice", "remove one of the two");
        }
    }
}
