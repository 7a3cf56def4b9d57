//! Who may use what: from the admin API to what an agent sees.

mod rules;
