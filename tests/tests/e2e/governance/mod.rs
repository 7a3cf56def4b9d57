//! Who may use what.

mod catalogue;
