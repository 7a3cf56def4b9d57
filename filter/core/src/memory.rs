//! What all streams of a worker hold back together.
//!
//! A VM has 64 MiB, and running out of them ends every stream of its worker. Each stream's own bounds are not enough
//! for that: many slow upstreams can each stay within them. So what is held back is counted, and who comes when the
//! worker is full is refused, or goes without an excerpt in the log.

use std::cell::Cell;
use std::rc::Rc;

/// The bytes that are left to hold, shared by the streams of one worker.
#[derive(Clone, Debug)]
pub struct Budget(Rc<Cell<usize>>);

/// What one stream holds of a [`Budget`]; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    held: usize,
}

impl Budget {
    pub fn new(bytes: usize) -> Self {
        Self(Rc::new(Cell::new(bytes)))
    }

    pub fn share(&self) -> Share {
        Share { budget: self.clone(), held: 0 }
    }

    /// Bytes left.
    pub fn left(&self) -> usize {
        self.0.get()
    }
}

impl Share {
    /// How much the stream can hold in all.
    pub fn room(&self) -> usize {
        self.budget.left().saturating_add(self.held)
    }

    /// Says that the stream now holds `bytes` in all. `false`, and nothing is changed, if that is more than is left.
    pub fn hold(&mut self, bytes: usize) -> bool {
        let Some(left) = self.room().checked_sub(bytes) else { return false };
        self.budget.0.set(left);
        self.held = bytes;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.hold(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_is_shared_and_comes_back() {
        let budget = Budget::new(100);
        let (mut one, mut other) = (budget.share(), budget.share());
        assert!(one.hold(60));
        assert!(!other.hold(41));
        assert!(other.hold(40));
        assert!(one.hold(30), "less is always possible");
        assert!(other.hold(70));
        drop(other);
        assert_eq!(budget.left(), 70);
        drop(one);
        assert_eq!(budget.left(), 100);
    }
}
