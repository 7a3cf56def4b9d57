//! The faults, as they are made. Each story lays a scene of its own and drives one fault or several.

mod clocks;
mod databases;
mod disks;
mod envoys;
mod keys_and_rows;
mod providers;
mod service;

use std::pin::Pin;

use super::report::Report;

/// One of them; nothing came of it where something is missing on this machine, which is reported.
type Running = Pin<Box<dyn Future<Output = anyhow::Result<Option<Report>>>>>;

/// What can be run on its own.
#[derive(Clone, Copy, Debug)]
pub struct Story {
    pub name: &'static str,
    run: fn() -> Running,
}

impl Story {
    /// Runs it, and says what it has seen.
    pub async fn run(&self) -> anyhow::Result<Option<Report>> {
        (self.run)().await
    }
}

macro_rules! stories {
    ($($module:ident::$name:ident),* $(,)?) => {
        &[$(Story { name: stringify!($name), run: || Box::pin($module::$name()) }),*]
    };
}

/// All of them.
pub const STORIES: &[Story] = stories![
    service::unreachable,
    service::lying,
    service::restarted,
    databases::gone,
    databases::failed_over,
    databases::paused_replica,
    databases::power_cut,
    keys_and_rows::tampered_rows,
    keys_and_rows::wrong_root_key,
    disks::full,
    providers::troubled,
    envoys::badly_configured,
    envoys::trapped,
    envoys::updated,
    clocks::jumping,
];

/// The story of this name.
///
/// # Panics
/// If there is none.
pub fn named(name: &str) -> Story {
    *STORIES.iter().find(|story| story.name == name).unwrap_or_else(|| panic!("no story {name}"))
}
