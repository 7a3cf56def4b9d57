//! Who may use what.

mod catalogue;
mod rules;
