//! What the company's groups mean here.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_wire::names::Slug;

use super::people::{MemberRole, OrganizationRole};

/// One line of the mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingRule {
    pub who: Who,
    pub gives: Gives,
}

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// Whoever can sign in.
    Everyone,
    /// Compared byte for byte.
    Group(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Gives {
    Membership { workspace: Slug, role: MemberRole },
    Administration(OrganizationRole),
}

/// What somebody's groups come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mapped {
    pub memberships: BTreeMap<Slug, MemberRole>,
    pub administration: Option<OrganizationRole>,
}

/// Of several roles in one place the highest counts.
pub fn map(rules: &[MappingRule], groups: &BTreeSet<String>) -> Mapped {
    let mut mapped = Mapped::default();
    let applies = |who: &Who| match who {
        Who::Everyone => true,
        Who::Group(group) => groups.contains(group),
    };
    for rule in rules.iter().filter(|rule| applies(&rule.who)) {
        match &rule.gives {
            Gives::Membership { workspace, role } => {
                let present = mapped.memberships.entry(workspace.clone()).or_insert(*role);
                *present = (*present).max(*role);
            }
            Gives::Administration(role) => mapped.administration = mapped.administration.max(Some(*role)),
        }
    }
    mapped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(group: Option<&str>, gives: Gives) -> MappingRule {
        MappingRule { who: group.map_or(Who::Everyone, |group| Who::Group(group.to_owned())), gives }
    }

    #[test]
    fn groups_add_up_and_the_highest_role_counts() {
        let slug = |text| Slug::parse(text).expect("a slug");
        let membership = |workspace, role| Gives::Membership { workspace: slug(workspace), role };
        let rules = [
            rule(None, membership("everybody", MemberRole::Member)),
            rule(Some("leads"), membership("core", MemberRole::Manager)),
            rule(Some("engineers"), membership("core", MemberRole::Member)),
            rule(Some("owners"), Gives::Administration(OrganizationRole::Owner)),
            rule(Some("it"), Gives::Administration(OrganizationRole::Admin)),
        ];
        let of = |groups: &[&str]| map(&rules, &groups.iter().map(|&group| group.to_owned()).collect());
        let everybody = (slug("everybody"), MemberRole::Member);
        // Neither case nor spaces make one group of two.
        for nobody in [&[][..], &["Leads"], &["leads "], &["LEADS", "it "]] {
            let mapped = of(nobody);
            assert_eq!(mapped.memberships, BTreeMap::from([everybody.clone()]), "{nobody:?}");
            assert_eq!(mapped.administration, None, "{nobody:?}");
        }
        for (groups, role) in [
            (&["engineers"][..], MemberRole::Member),
            (&["leads"], MemberRole::Manager),
            (&["engineers", "leads"], MemberRole::Manager),
        ] {
            assert_eq!(of(groups).memberships.get(&slug("core")), Some(&role), "{groups:?}");
        }
        assert_eq!(of(&["it"]).administration, Some(OrganizationRole::Admin));
        assert_eq!(of(&["it", "owners"]).administration, Some(OrganizationRole::Owner));
    }
}
