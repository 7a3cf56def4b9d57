//! What the arguments of calls have to be.
//!
//! A condition is judged on the exact value, as far as there is only one: an object with two keys that some parsers take
//! for one another does not meet any condition on either.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::decimal::Decimal;
use super::names::Pattern;
use super::pointer::{Pointer, array_index};
use super::{is_false, same_but_for_case};

/// A condition on one argument of the tools that `tool` names. A call whose argument is missing, or of another type than
/// the condition speaks of, does not meet it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArgumentRule {
    pub tool: Pattern,
    /// A JSON pointer into the call's `arguments` (RFC 6901).
    pub argument: String,
    /// Whether the argument may be left out.
    #[serde(default, skip_serializing_if = "is_false")]
    pub optional: bool,
    pub is: Condition,
}

/// What an argument has to be, judged on its exact value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// A text, a number, `true`, `false` or `null`. Numbers are compared by value: `1`, `1.0` and `1e0` are equal.
    Equals(Scalar),
    OneOf(Vec<Scalar>),
    /// A text that begins so.
    Prefix(String),
    /// A text that matches.
    Glob(Pattern),
    /// A number from `min` to `max`, both included.
    Range {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min: Option<serde_json::Number>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        max: Option<serde_json::Number>,
    },
}

/// A JSON value without parts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Scalar {
    Text(String),
    Number(serde_json::Number),
    Bool(bool),
    Null,
}

/// A JSON value that can be judged, whoever has read it.
pub trait Json<'json>: Copy {
    /// The unescaped keys and the values of an object; `None` of anything else.
    fn members(self) -> Option<impl Iterator<Item = (Cow<'json, str>, Self)>>;

    /// The elements of an array; `None` of anything else.
    fn elements(self) -> Option<impl Iterator<Item = Self>>;

    /// `None` of objects and arrays.
    fn scalar(self) -> Option<Found<'json>>;
}

/// A value without parts, as it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found<'json> {
    /// Unescaped.
    Text(Cow<'json, str>),
    /// As it is written.
    Number(Cow<'json, str>),
    Bool(bool),
    Null,
}

enum Place<J> {
    At(J),
    Missing,
    /// There is something else on the way to it, or more than one thing that could be meant.
    Unfit,
}

impl ArgumentRule {
    /// Whether a call with these arguments meets the condition. A pointer that is none is met by nothing.
    pub fn holds<'json>(&self, arguments: Option<impl Json<'json>>) -> bool {
        let Ok(pointer) = Pointer::parse(&self.argument) else { return false };
        match arguments.map_or(Place::Missing, |arguments| find(arguments, &pointer)) {
            Place::At(value) => value.scalar().is_some_and(|found| self.is.holds(&found)),
            Place::Missing => self.optional,
            Place::Unfit => false,
        }
    }
}

fn find<'json, J: Json<'json>>(root: J, pointer: &Pointer) -> Place<J> {
    let mut at = root;
    for step in pointer.steps() {
        let next = match at.elements() {
            Some(elements) => element(elements, step),
            None => member(at, step),
        };
        match next {
            Place::At(value) => at = value,
            other => return other,
        }
    }
    Place::At(at)
}

fn member<'json, J: Json<'json>>(object: J, key: &str) -> Place<J> {
    let Some(members) = object.members() else { return Place::Unfit };
    let mut found = Place::Missing;
    for (name, value) in members {
        if name == key {
            found = Place::At(value);
        } else if same_but_for_case(&name, key) {
            return Place::Unfit;
        }
    }
    found
}

fn element<J>(mut elements: impl Iterator<Item = J>, step: &str) -> Place<J> {
    let Some(index) = array_index(step) else { return Place::Unfit };
    elements.nth(index).map_or(Place::Missing, Place::At)
}

impl Condition {
    fn holds(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Self::Equals(expected), found) => expected.is(found),
            (Self::OneOf(expected), found) => expected.iter().any(|expected| expected.is(found)),
            (Self::Prefix(prefix), Found::Text(text)) => text.starts_with(prefix.as_str()),
            (Self::Glob(pattern), Found::Text(text)) => pattern.matches(text),
            (Self::Range { min, max }, Found::Number(text)) => Decimal::parse(text).is_some_and(|number| {
                let bound = |bound: &serde_json::Number| Decimal::parse(&bound.to_string());
                min.as_ref().is_none_or(|min| bound(min).is_some_and(|min| min <= number))
                    && max.as_ref().is_none_or(|max| bound(max).is_some_and(|max| number <= max))
            }),
            (Self::Prefix(_) | Self::Glob(_) | Self::Range { .. }, _) => false,
        }
    }
}

impl Scalar {
    fn is(&self, found: &Found<'_>) -> bool {
        match (self, found) {
            (Self::Text(expected), Found::Text(text)) => expected == text,
            (Self::Number(expected), Found::Number(text)) => {
                let expected = Decimal::parse(&expected.to_string());
                expected.is_some() && expected == Decimal::parse(text)
            }
            (Self::Bool(expected), Found::Bool(value)) => expected == value,
            (Self::Null, Found::Null) => true,
            _ => false,
        }
    }
}

/// For explanations, whose arguments somebody gives. Numbers that neither 64 bits nor a double hold are rounded before they
/// come here; the filter reads them as they are written.
impl<'json> Json<'json> for &'json serde_json::Value {
    fn members(self) -> Option<impl Iterator<Item = (Cow<'json, str>, Self)>> {
        Some(self.as_object()?.iter().map(|(key, value)| (Cow::Borrowed(key.as_str()), value)))
    }

    fn elements(self) -> Option<impl Iterator<Item = Self>> {
        Some(self.as_array()?.iter())
    }

    fn scalar(self) -> Option<Found<'json>> {
        match self {
            serde_json::Value::Null => Some(Found::Null),
            serde_json::Value::Bool(value) => Some(Found::Bool(*value)),
            serde_json::Value::Number(number) => Some(Found::Number(Cow::Owned(number.to_string()))),
            serde_json::Value::String(text) => Some(Found::Text(Cow::Borrowed(text))),
            serde_json::Value::Array(_) | serde_json::Value::Object(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn rule(argument: &str, is: &Value) -> ArgumentRule {
        serde_json::from_value(json!({"tool": "t", "argument": argument, "is": is})).expect("a rule")
    }

    fn holds(argument: &str, is: &Value, arguments: &Value) -> bool {
        rule(argument, is).holds(Some(arguments))
    }

    #[test]
    fn conditions_on_the_exact_value() {
        for (is, good, bad) in [
            (
                json!({"equals": "main"}),
                vec![json!("main")],
                vec![json!("Main"), json!("main "), json!(["main"])],
            ),
            (
                json!({"equals": 1}),
                vec![json!(1), json!(1.0)],
                vec![json!("1"), json!(true), json!(1.5), json!({})],
            ),
            (json!({"equals": null}), vec![json!(null)], vec![json!("null"), json!(0), json!(false)]),
            (json!({"equals": false}), vec![json!(false)], vec![json!(true), json!(0), json!(null)]),
            (
                json!({"one_of": ["a", 2]}),
                vec![json!("a"), json!(2)],
                vec![json!("b"), json!("2"), json!([2])],
            ),
            (
                json!({"prefix": "acme/"}),
                vec![json!("acme/x"), json!("acme/")],
                vec![json!("acme"), json!(1)],
            ),
            (json!({"glob": "a*z"}), vec![json!("az"), json!("a/z")], vec![json!("azz "), json!(null)]),
            (
                json!({"range": {"min": 9_007_199_254_740_993_u64, "max": 9_007_199_254_740_995_u64}}),
                vec![json!(9_007_199_254_740_993_u64), json!(9_007_199_254_740_995_u64)],
                vec![
                    json!(9_007_199_254_740_992_u64),
                    json!(9_007_199_254_740_996_u64),
                    json!("9007199254740994"),
                ],
            ),
            (
                json!({"range": {"max": 0.1}}),
                vec![json!(0.1), json!(-5)],
                vec![json!(0.100_000_1), json!(true)],
            ),
            (json!({"range": {"min": -1}}), vec![json!(-1), json!(7)], vec![json!(-1.5)]),
        ] {
            for value in &good {
                assert!(holds("/a", &is, &json!({"a": value})), "{is} {value}");
            }
            for value in &bad {
                assert!(!holds("/a", &is, &json!({"a": value})), "{is} {value}");
            }
        }
    }

    #[test]
    fn where_the_argument_is() {
        let is = json!({"equals": 1});
        for (pointer, arguments) in [
            ("/a/b", json!({"a": {"b": 1}})),
            ("/a/1/b", json!({"a": [0, {"b": 1}]})),
            ("/a~1b", json!({"a/b": 1})),
            ("/0", json!({"0": 1})),
            ("/", json!({"": 1})),
        ] {
            assert!(holds(pointer, &is, &arguments), "{pointer}");
        }
        for (pointer, arguments) in [
            ("/a", json!({"a": 1, "A": 2})),
            ("/a/b", json!({"a": {"b": 1}, "A": {"b": 2}})),
            ("/a/01", json!({"a": [0, 1]})),
            ("/a/-", json!({"a": [0, 1]})),
            ("/a/b", json!({"a": "b"})),
            ("/a", json!([1])),
            ("a", json!({"a": 1})),
        ] {
            assert!(!holds(pointer, &is, &arguments), "{pointer} {arguments}");
        }
    }

    #[test]
    fn only_what_is_optional_may_be_missing_and_never_be_something_else() {
        let required = rule("/a/b", &json!({"equals": 1}));
        let optional = ArgumentRule { optional: true, ..required.clone() };
        for missing in [json!({}), json!({"a": {}}), json!({"a": []}), json!({"b": 1})] {
            let missing = Some(&missing);
            // No such place in an array is another thing than no such element.
            let in_array = missing.is_some_and(|value| value["a"].is_array());
            assert_eq!((required.holds(missing), optional.holds(missing)), (false, !in_array), "{missing:?}");
        }
        assert!(!required.holds(None::<&Value>) && optional.holds(None::<&Value>));
        for other in
            [json!({"a": null}), json!({"a": {"b": null}}), json!({"a": {"B": 1}}), json!([]), json!("a")]
        {
            assert!(!optional.holds(Some(&other)), "{other}");
        }
    }

    #[test]
    fn rules_are_read_strictly() {
        for bad in [
            json!({"tool": "t", "argument": "/a", "is": {"equals": [1]}}),
            json!({"tool": "t", "argument": "/a", "is": {"equals": 1, "prefix": "x"}}),
            json!({"tool": "t", "argument": "/a", "is": {"range": {"least": 1}}}),
            json!({"tool": "t", "argument": "/a", "is": {"matches": "x"}}),
            json!({"tool": "t", "is": {"equals": 1}}),
        ] {
            assert!(serde_json::from_value::<ArgumentRule>(bad.clone()).is_err(), "{bad}");
        }
    }
}
