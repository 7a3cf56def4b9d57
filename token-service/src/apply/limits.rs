//! The limits that are declared.

use super::{Ids, Problem, Work};
use crate::domain::limit::LimitScope;
use crate::store::DeclaredLimit;

impl Work<'_> {
    pub(super) fn limits(&self, ids: &Ids, problems: &mut Vec<Problem>) -> Vec<DeclaredLimit> {
        let mut limits = Vec::new();
        for limit in &self.declared.limits {
            let Some(target) = ids.target(&limit.target) else { continue };
            let server = limit.server.as_ref().map(|slug| ids.servers.get(slug).cloned());
            let workspace = limit.workspace.as_ref().map(|slug| ids.workspaces.get(slug).cloned());
            // What is named and not there was reported when the file was read.
            let (None | Some(Some(_)), None | Some(Some(_))) = (&server, &workspace) else { continue };
            if self.present.api_limits.contains(&(target.clone(), limit.name.clone())) {
                let level = target.level().as_str();
                problems.push(Problem {
                    line: None,
                    place: "limits".to_owned(),
                    what: format!(
                        "the admin API has set a limit {:?} of a {level} already",
                        limit.name.as_str()
                    ),
                    remedy:
                        "delete that with `DELETE /v1/limits/{target}/{name}`, or give this one another name"
                            .to_owned(),
                });
            }
            let scope = LimitScope { server: server.flatten(), workspace: workspace.flatten() };
            limits.push(DeclaredLimit { target, name: limit.name.clone(), scope, rule: limit.rule.clone() });
        }
        limits
    }
}
