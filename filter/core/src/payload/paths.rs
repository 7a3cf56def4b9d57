//! Places in a document that are not shown, whatever stands there.

use std::fmt;

use portcullis_wire::payload::{EVERY, parse_pointer};
use portcullis_wire::policy::array_index;

/// A bit of a [`Trail`] for each.
const MOST_PATHS: usize = 64;

/// Pointers, compiled.
#[derive(Clone, Default)]
pub(super) struct Paths(Vec<Vec<PathStep>>);

#[derive(Clone, Debug)]
struct PathStep {
    name: String,
    /// The name as a place in an array.
    index: Option<usize>,
    is_every: bool,
}

/// Which paths the way to a value has followed so far, one bit for each: all of them by as many steps as it is long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    followed: u64,
    depth: usize,
}

/// A step of the way.
#[derive(Clone, Copy)]
pub(super) enum Way<'a> {
    Key(&'a str),
    Index(usize),
}

/// What a step leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    Hidden,
    /// Something below it may be hidden.
    Inside(Trail),
}

impl Paths {
    /// Into a request's `params`. `None` if a pointer cannot be followed, or if there are too many.
    pub(super) fn into_params(pointers: &[String]) -> Option<Self> {
        let paths = pointers.iter().map(|pointer| compile(pointer)).collect::<Option<Vec<_>>>()?;
        (paths.len() <= MOST_PATHS).then_some(Self(paths))
    }

    /// Into a response's `result`. What is hidden in `structuredContent` is hidden in `content/*/text`, too: servers
    /// repeat the one as JSON in the other (MCP 2025-11-25, server/tools, "Structured Content").
    pub(super) fn into_result(pointers: &[String]) -> Option<Self> {
        let below = |start: &[&str], rest: &[PathStep]| -> Vec<PathStep> {
            let start = start.iter().map(|step| PathStep::new(step));
            start.chain(rest.iter().cloned()).collect()
        };
        let mut paths = Vec::new();
        for pointer in pointers {
            let path = compile(pointer)?;
            paths.push(below(&["result"], &path));
            if let Some((first, rest)) = path.split_first()
                && first.leads(Way::Key("structuredContent"))
            {
                paths.push(below(&["result", "content", EVERY, "text"], rest));
            }
        }
        (paths.len() <= MOST_PATHS).then_some(Self(paths))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Where the document begins.
    pub(super) fn start(&self) -> Trail {
        let unused = u32::try_from(MOST_PATHS.saturating_sub(self.0.len())).unwrap_or(u32::MAX);
        Trail { followed: u64::MAX.checked_shr(unused).unwrap_or(0), depth: 0 }
    }

    pub(super) fn follow(&self, trail: Trail, way: Way<'_>) -> Place {
        let mut followed = 0;
        if !trail.is_lost() {
            for (number, path) in self.0.iter().enumerate() {
                let bit =
                    u32::try_from(number).ok().and_then(|number| 1_u64.checked_shl(number)).unwrap_or(0);
                let step = path.get(trail.depth).filter(|step| trail.followed & bit != 0 && step.leads(way));
                if step.is_none() {
                    continue;
                }
                if path.len() == trail.depth.saturating_add(1) {
                    return Place::Hidden;
                }
                followed |= bit;
            }
        }
        Place::Inside(Trail { followed, depth: trail.depth.saturating_add(1) })
    }
}

impl Trail {
    /// No path leads here or below.
    pub(super) fn is_lost(self) -> bool {
        self.followed == 0
    }
}

impl PathStep {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), index: array_index(name), is_every: name == EVERY }
    }

    fn leads(&self, way: Way<'_>) -> bool {
        self.is_every
            || match way {
                Way::Key(key) => self.name == key,
                Way::Index(index) => self.index == Some(index),
            }
    }
}

fn compile(pointer: &str) -> Option<Vec<PathStep>> {
    Some(parse_pointer(pointer).ok()?.steps().map(PathStep::new).collect())
}

impl fmt::Debug for Paths {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Paths({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(pointers: &[&str]) -> Vec<String> {
        pointers.iter().map(|pointer| (*pointer).to_owned()).collect()
    }

    fn is_hidden(paths: &Paths, way: &[Way<'_>]) -> bool {
        let mut trail = paths.start();
        for step in way {
            match paths.follow(trail, *step) {
                Place::Hidden => return true,
                Place::Inside(inside) => trail = inside,
            }
        }
        false
    }

    #[test]
    fn steps_are_keys_or_places() {
        use Way::{Index, Key};
        let paths = Paths::into_params(&paths(&["/a/b", "/a/0", "/x/*/y", "/~1~0/*"])).expect("compiles");
        for (way, hidden) in [
            (&[Key("a"), Key("b")][..], true),
            (&[Key("a"), Key("b"), Key("c")], true),
            (&[Key("a"), Key("0")], true),
            (&[Key("a"), Index(0)], true),
            (&[Key("a"), Index(1)], false),
            (&[Key("a"), Key("c")], false),
            (&[Key("b"), Key("b")], false),
            (&[Key("x"), Key("q"), Key("y")], true),
            (&[Key("x"), Index(7), Key("y")], true),
            (&[Key("x"), Key("y")], false),
            (&[Key("/~"), Key("anything")], true),
            (&[Key("a")], false),
            (&[], false),
        ] {
            assert_eq!(is_hidden(&paths, way), hidden);
        }
        assert!(Paths::default().start().is_lost());
    }

    #[test]
    fn structured_content_is_hidden_where_it_is_repeated() {
        use Way::{Index, Key};
        let text = [Key("result"), Key("content"), Index(3), Key("text"), Key("rows"), Index(0), Key("ssn")];
        for pointer in ["/structuredContent/rows/*/ssn", "/*/rows/*/ssn", "/structuredContent"] {
            let paths = Paths::into_result(&paths(&[pointer])).expect("compiles");
            assert!(is_hidden(&paths, &text), "{pointer}");
        }
        let paths = Paths::into_result(&paths(&["/content/0/rows"])).expect("compiles");
        assert!(!is_hidden(&paths, &text));
    }

    #[test]
    fn as_many_as_there_are_bits() {
        let many: Vec<String> = (0..64).map(|number| format!("/{number}")).collect();
        let all = Paths::into_params(&many).expect("compiles");
        assert!(is_hidden(&all, &[Way::Key("63")]) && !is_hidden(&all, &[Way::Key("64")]));
        let more: Vec<String> = (0..65).map(|number| format!("/{number}")).collect();
        assert!(Paths::into_params(&more).is_none());
        assert!(Paths::into_params(&paths(&["nothing"])).is_none());
    }
}
