//! Sections that say something of the organization, of workspaces and of members.

use std::collections::BTreeSet;

use super::PolicyTargetConfig;
use super::reader::{At, Fields};
use super::registry::{Names, identity};
use crate::domain::people::Identity;

/// What such a section is called, and what it says of a member.
pub(super) struct Section {
    pub(super) name: &'static str,
    /// The field of a member's item that holds it.
    pub(super) field: &'static str,
    /// Of a member who has two items.
    pub(super) twice: &'static str,
}

impl Section {
    /// Reads all that is said. `of_level` reads what stands under the organization or a workspace, `of_member` what stands
    /// under the field of a member's item.
    pub(super) fn read<T>(
        &self,
        sections: &Fields<'_>,
        names: &Names,
        of_level: impl Fn(&At<'_>, &PolicyTargetConfig) -> Vec<T>,
        of_member: impl Fn(&At<'_>, &PolicyTargetConfig) -> Vec<T>,
    ) -> Vec<T> {
        let levels =
            sections.get(self.name).and_then(|at| at.fields(&["organization", "workspaces", "members"]));
        let Some(levels) = levels else { return Vec::new() };
        let mut all = Vec::new();
        if let Some(at) = levels.get("organization") {
            all.extend(of_level(at, &PolicyTargetConfig::Organization));
        }
        for (slug, at) in levels.get("workspaces").and_then(At::entries).unwrap_or_default() {
            if let Some(slug) = names.find_workspace(&at, slug) {
                all.extend(of_level(&at, &PolicyTargetConfig::Workspace(slug)));
            }
        }
        let mut seen = BTreeSet::new();
        for at in levels.items("members") {
            let Some(fields) = at.fields(&["workspace", "issuer", "subject", self.field]) else { continue };
            if let Some(target) = self.member(&at, &fields, names, &mut seen)
                && let Some(at) = fields.require(self.field)
            {
                all.extend(of_member(at, &target));
            }
        }
        all
    }

    fn member(
        &self,
        at: &At<'_>,
        fields: &Fields<'_>,
        names: &Names,
        seen: &mut BTreeSet<(String, Identity)>,
    ) -> Option<PolicyTargetConfig> {
        let workspace = fields.require("workspace").and_then(|at| names.workspace(at));
        let identity = identity(fields);
        let (workspace, identity) = (workspace?, identity?);
        if !names.has_member(&workspace, &identity) {
            at.report(
                "the workspace has no such member in this file",
                "declare the member under workspaces:",
            );
        }
        if !seen.insert((workspace.to_string(), identity.clone())) {
            at.report(self.twice, "join them");
        }
        Some(PolicyTargetConfig::Member(workspace, identity))
    }
}
