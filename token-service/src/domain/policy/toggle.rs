//! Taking one name away at a level, and giving it back, as a switch in a list does.

use portcullis_wire::policy::{NameRules, Pattern, Shape};

/// What a level's rules make of one name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Switch<'rules> {
    On,
    Off,
    /// Taken away by a pattern for several names, so no switch for one name can give it back.
    OffBy(&'rules Pattern),
}

impl Switch<'_> {
    pub fn is_on(self) -> bool {
        self == Self::On
    }
}

/// How the switch of a name stands.
pub fn switch<'rules>(rules: &'rules NameRules, name: &str) -> Switch<'rules> {
    if let Some(pattern) = rules.deny.iter().find(|pattern| !is_exact(pattern) && pattern.matches(name)) {
        return Switch::OffBy(pattern);
    }
    let is_allowed =
        rules.allow.as_ref().is_none_or(|allow| allow.iter().any(|pattern| pattern.matches(name)));
    if is_allowed && !rules.deny.iter().any(|pattern| pattern.matches(name)) {
        Switch::On
    } else {
        Switch::Off
    }
}

/// Turns the switch of a name. Where a pattern for several names takes it away, it stays off.
pub fn turn(rules: &mut NameRules, name: &str, on: bool) {
    let is_it = |pattern: &Pattern| is_exact(pattern) && pattern.0 == name;
    rules.deny.retain(|pattern| !is_it(pattern));
    if on {
        if let Some(allow) = &mut rules.allow
            && !allow.iter().any(|pattern| pattern.matches(name))
        {
            allow.push(Pattern(name.to_owned()));
        }
        return;
    }
    if let Some(allow) = &mut rules.allow {
        allow.retain(|pattern| !is_it(pattern));
    }
    if switch(rules, name).is_on() {
        rules.deny.push(Pattern(name.to_owned()));
    }
}

fn is_exact(pattern: &Pattern) -> bool {
    matches!(pattern.shape(), Shape::Exact(_))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names() -> impl Strategy<Value = String> {
        "[ab]{1,3}"
    }

    fn patterns() -> impl Strategy<Value = Pattern> {
        "[ab*]{1,3}".prop_map(Pattern)
    }

    fn rules() -> impl Strategy<Value = NameRules> {
        let some = || prop::collection::vec(patterns(), 0..4);
        (prop::option::of(some()), some()).prop_map(|(allow, deny)| NameRules { allow, deny })
    }

    proptest! {
        #[test]
        fn a_switch_does_what_it_says_and_touches_no_other_name(
            before in rules(), name in names(), other in names(), on in any::<bool>()
        ) {
            let mut after = before.clone();
            turn(&mut after, &name, on);
            let is_stuck = matches!(switch(&before, &name), Switch::OffBy(_));
            prop_assert_eq!(switch(&after, &name).is_on(), on && !is_stuck);
            if other != name {
                prop_assert_eq!(switch(&after, &other).is_on(), switch(&before, &other).is_on());
            }
        }

        #[test]
        fn turning_twice_is_turning_once(before in rules(), name in names(), on in any::<bool>()) {
            let mut once = before;
            turn(&mut once, &name, on);
            let mut twice = once.clone();
            turn(&mut twice, &name, on);
            prop_assert_eq!(once, twice);
        }
    }
}
