//! Compiled policies, one of each: callers of one workspace have the same rules.

use std::collections::HashMap;
use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash as _, Hasher as _};
use std::rc::{Rc, Weak};

use portcullis_wire::policy::{CompiledPolicy, Policy};

/// How many there are before those that nobody uses any more are looked for.
const LEAST_SWEEP: usize = 64;

/// The policies of the leases that are held. It keeps none of them alive: with the last lease a policy goes. What is left
/// is at most twice as many as there were in use at some time.
#[derive(Debug, Default)]
pub struct Policies {
    by_hash: HashMap<u64, Weak<CompiledPolicy>>,
    sweep_at: usize,
}

impl Policies {
    /// The compiled form of `policy`: the one that is there, if there is one.
    pub fn compiled(&mut self, policy: Policy) -> Rc<CompiledPolicy> {
        let mut hasher = DefaultHasher::new();
        policy.hash(&mut hasher);
        let hash = hasher.finish();
        let known = self.by_hash.get(&hash).and_then(Weak::upgrade);
        // A hash proves nothing.
        if let Some(known) = known.filter(|known| *known.source() == policy) {
            return known;
        }
        let compiled = Rc::new(CompiledPolicy::from(policy));
        self.sweep();
        self.by_hash.insert(hash, Rc::downgrade(&compiled));
        compiled
    }

    fn sweep(&mut self) {
        if self.by_hash.len() >= self.sweep_at.max(LEAST_SWEEP) {
            self.by_hash.retain(|_, policy| policy.strong_count() > 0);
            self.sweep_at = self.by_hash.len().saturating_mul(2);
        }
    }
}

#[cfg(test)]
mod tests {
    use portcullis_wire::policy::{LevelRules, NameRules, Pattern};

    use super::*;

    fn denying(pattern: &str) -> Policy {
        let tools = NameRules { allow: None, deny: vec![Pattern(pattern.into())] };
        Policy { levels: vec![LevelRules { tools, ..LevelRules::default() }], ..Policy::default() }
    }

    #[test]
    fn equal_policies_are_one_for_as_long_as_somebody_has_them() {
        let mut policies = Policies::default();
        let first = policies.compiled(denying("a"));
        assert!(Rc::ptr_eq(&first, &policies.compiled(denying("a"))));
        assert!(!Rc::ptr_eq(&first, &policies.compiled(denying("b"))));
        let gone = Rc::downgrade(&first);
        drop(first);
        assert!(gone.upgrade().is_none());
    }

    #[test]
    fn what_nobody_has_is_swept_out() {
        let mut policies = Policies::default();
        let held: Vec<_> = (0..50).map(|number| policies.compiled(denying(&number.to_string()))).collect();
        for number in 50..1_000 {
            drop(policies.compiled(denying(&number.to_string())));
        }
        assert!(policies.by_hash.len() <= 2 * held.len(), "{}", policies.by_hash.len());
        assert!(Rc::ptr_eq(&held[7], &policies.compiled(denying("7"))));
    }
}
