//! The part of the contract about limits: how often something may be called.

use async_trait::async_trait;

use super::Result;
use crate::domain::Revision;
use crate::domain::limit::{Limit, LimitName, LimitRule, LimitScope};
use crate::domain::policy::PolicyTarget;

#[async_trait]
pub trait LimitStore: Send + Sync {
    /// The limits of one level's object, by name.
    async fn limits(&self, target: &PolicyTarget) -> Result<Vec<Limit>>;

    /// Adds or replaces the limit of (target, name). `expected` concerns the one that is there. Whoever it concerned or
    /// concerns is told anew.
    async fn set_limit(
        &self,
        target: &PolicyTarget,
        name: &LimitName,
        scope: &LimitScope,
        rule: &LimitRule,
        expected: Option<Revision>,
    ) -> Result<Limit>;

    async fn delete_limit(&self, target: &PolicyTarget, name: &LimitName) -> Result<Option<Revision>>;
}
