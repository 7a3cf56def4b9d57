//! What the records of a server's requests hold of their payloads.

use portcullis_wire::payload::{
    Capture, DEFAULT_LIMIT, LEAST_LIMIT, MOST_LIMIT, MOST_POINTERS, Redaction, parse_pointer,
};
use portcullis_wire::watch::PayloadPolicy;

use super::auth_draft::{Fault, Field};

/// What an administrator says about one server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PayloadSettings {
    pub policy: PayloadPolicy,
    /// Bytes of text, of parameters and of response each.
    pub limit: u32,
    /// Counts under [`PayloadPolicy::Redacted`].
    pub redact: Redaction,
}

impl Default for PayloadSettings {
    fn default() -> Self {
        PayloadPolicy::default().into()
    }
}

impl From<PayloadPolicy> for PayloadSettings {
    fn from(policy: PayloadPolicy) -> Self {
        Self { policy, limit: DEFAULT_LIMIT, redact: Redaction::default() }
    }
}

impl PayloadSettings {
    /// What is wrong with them, by the fields of configuration and admin API.
    pub fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        if !(LEAST_LIMIT..=MOST_LIMIT).contains(&self.limit) {
            let problem = "is not from 256 to 65536";
            faults.push(fault(
                Field::of(&["payload_limit"]),
                problem,
                "give a number of bytes in these bounds",
            ));
        }
        if self.policy == PayloadPolicy::Full && !self.redact.is_empty() {
            let remedy = "give payload redacted, or an empty redact";
            faults.push(fault(Field::of(&["redact"]), "hides nothing where payload is full", remedy));
        }
        for (list, pointers) in self.redact.lists() {
            faults.extend(of_pointers(&Field::of(&["redact", list]), pointers));
        }
        faults
    }

    /// What filters are told: the policy, for those that know nothing else, and all of it if there is more to say. What is to
    /// be hidden cannot be hidden by the former, so they show a digest.
    pub fn told(&self) -> (PayloadPolicy, Option<Capture>) {
        let Self { policy, limit, redact } = self.clone();
        let hides = policy == PayloadPolicy::Redacted && !redact.is_empty();
        let is_plain = !hides && limit == DEFAULT_LIMIT;
        let redact = if hides { redact } else { Redaction::default() };
        let capture = (!is_plain).then_some(Capture { policy, limit, redact });
        (if hides { PayloadPolicy::Digest } else { policy }, capture)
    }
}

fn of_pointers(at: &Field, pointers: &[String]) -> Vec<Fault> {
    let mut faults = Vec::new();
    if pointers.len() > MOST_POINTERS {
        let remedy =
            "give at most 32; * stands for every element and every key, and a pointer hides all below it";
        faults.push(fault(at.clone(), &format!("has {} pointers", pointers.len()), remedy));
    }
    for (index, pointer) in pointers.iter().enumerate() {
        let at = at.clone().index(index);
        let remedy = "write a JSON pointer such as /arguments/customer/email or /content/*/text";
        if let Err(problem) = parse_pointer(pointer) {
            faults.push(fault(at, problem, remedy));
        } else if pointers.iter().take(index).any(|other| other == pointer) {
            faults.push(fault(at, "is there twice", "remove one of the two"));
        }
    }
    faults
}

fn fault(field: Field, problem: &str, remedy: &str) -> Fault {
    Fault { field, problem: problem.to_owned(), remedy: remedy.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redacting(parameters: &[&str]) -> PayloadSettings {
        let parameters = parameters.iter().map(|pointer| (*pointer).to_owned()).collect();
        let redact = Redaction { parameters, response: Vec::new() };
        PayloadSettings { redact, ..PayloadSettings::default() }
    }

    #[test]
    fn old_filters_show_nothing_of_what_is_to_be_hidden() {
        let settings = redacting(&["/arguments/email"]);
        let (policy, capture) = settings.told();
        assert_eq!(policy, PayloadPolicy::Digest);
        let capture = capture.expect("more to say");
        assert_eq!((capture.policy, &capture.redact), (PayloadPolicy::Redacted, &settings.redact));
        for policy in
            [PayloadPolicy::Off, PayloadPolicy::Digest, PayloadPolicy::Redacted, PayloadPolicy::Full]
        {
            assert_eq!(PayloadSettings::from(policy).told(), (policy, None));
            let longer = PayloadSettings { limit: 9_000, ..policy.into() };
            let capture = Capture { policy, limit: 9_000, redact: Redaction::default() };
            assert_eq!(longer.told(), (policy, Some(capture)));
        }
        let off = PayloadSettings { policy: PayloadPolicy::Off, ..settings };
        assert_eq!(off.told(), (PayloadPolicy::Off, None));
    }

    #[test]
    fn all_faults_are_found() {
        let faults = |settings: &PayloadSettings| -> Vec<String> {
            settings.faults().iter().map(|fault| format!("{}: {}", fault.field, fault.problem)).collect()
        };
        assert_eq!(faults(&redacting(&["/arguments/*/a~1b", "/"])), [""; 0]);
        let many: Vec<String> = (0..33).map(|number| format!("/{number}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(faults(&redacting(&many)), ["redact.parameters: has 33 pointers"]);
        let bad = redacting(&["/a", "$.a", "/a", "/a~"]);
        let bad = PayloadSettings { policy: PayloadPolicy::Full, limit: 255, ..bad };
        assert_eq!(
            faults(&bad),
            [
                "payload_limit: is not from 256 to 65536",
                "redact: hides nothing where payload is full",
                "redact.parameters[1]: does not begin with `/`, as a JSON pointer does",
                "redact.parameters[2]: is there twice",
                "redact.parameters[3]: has a `~` without 0 or 1 behind it",
            ]
        );
    }
}
