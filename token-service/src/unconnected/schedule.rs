//! When catalogues are due, besides when members connect and come by.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::domain::ids::{MemberId, ServerId};

/// A server that says again and again that its lists changed is asked no more often than this.
const PAUSE: Duration = Duration::from_secs(5);

/// What this process knows of the servers besides their catalogues. All of it may be lost at any time.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    courses: Mutex<HashMap<ServerId, Course>>,
    /// Of each process its own, so that several on one database do not all learn at the same time.
    chance: RandomState,
}

#[derive(Debug, Default)]
struct Course {
    /// When it was due last; whether it could be learnt then is another matter.
    due_at: Option<Timestamp>,
    /// The server has said since that its lists changed.
    changed: bool,
    /// Whose grant was used last.
    member: Option<MemberId>,
}

impl Schedule {
    /// A grant of this member was used.
    pub(super) fn came_by(&self, server: &ServerId, member: &MemberId) {
        self.with(|courses| {
            let course = courses.entry(server.clone()).or_default();
            if course.member.as_ref() != Some(member) {
                course.member = Some(member.clone());
            }
        });
    }

    pub(super) fn last_member(&self, server: &ServerId) -> Option<MemberId> {
        self.with(|courses| courses.get(server)?.member.clone())
    }

    pub(super) fn lists_changed(&self, server: &ServerId) {
        self.with(|courses| courses.entry(server.clone()).or_default().changed = true);
    }

    /// The servers that are to be learnt now. `ages` are all servers, and when each was learnt; others are forgotten.
    pub(super) fn take_due(
        &self,
        ages: &[(ServerId, Option<Timestamp>)],
        every: Option<Duration>,
        now: Timestamp,
    ) -> Vec<ServerId> {
        let ages: BTreeMap<&ServerId, Option<Timestamp>> = ages.iter().map(|(id, at)| (id, *at)).collect();
        self.with(|courses| {
            courses.retain(|id, _| ages.contains_key(id));
            let mut due = Vec::new();
            for (id, learnt_at) in ages {
                let course = courses.entry(id.clone()).or_default();
                let last = learnt_at.max(course.due_at);
                let is_over = every.is_some_and(|every| {
                    last.is_none_or(|last| last.plus(self.spread(every, id, last)) <= now)
                });
                if is_over || course.has_news(now) {
                    course.due_at = Some(now);
                    course.changed = false;
                    due.push(id.clone());
                }
            }
            due
        })
    }

    /// Nine to eleven tenths of `every`: servers that were learnt together, as after a start, part ways.
    fn spread(&self, every: Duration, server: &ServerId, last: Timestamp) -> Duration {
        let share =
            u32::try_from(self.chance.hash_one((server.as_str(), last.0)) % 1_000).unwrap_or_default();
        let tenth = every / 10;
        every.saturating_sub(tenth).saturating_add(tenth * 2 * share / 1_000)
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<ServerId, Course>) -> T) -> T {
        work(&mut self.courses.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Course {
    fn has_news(&self, now: Timestamp) -> bool {
        self.changed && self.due_at.is_none_or(|at| at.plus(PAUSE) <= now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVERY: Duration = Duration::from_mins(15);

    fn id(number: u32) -> ServerId {
        format!("srv_{number}").as_str().into()
    }

    #[test]
    fn a_server_is_due_once_in_a_while() {
        let (schedule, now) = (Schedule::default(), Timestamp(1_000_000_000));
        let ages = [(id(1), None), (id(2), Some(now))];
        let due = |after: Duration| schedule.take_due(&ages, Some(EVERY), now.plus(after));
        assert_eq!(due(Duration::ZERO), [id(1)], "what was never learnt");
        assert_eq!(due(EVERY * 8 / 10), [], "though it could not be learnt");
        assert_eq!(due(EVERY * 12 / 10), [id(1), id(2)]);
        assert_eq!(due(EVERY * 13 / 10), []);
        let never = Schedule::default();
        assert_eq!(never.take_due(&ages, None, now.plus(EVERY * 100)), []);
    }

    #[test]
    fn servers_part_ways_and_keep_within_a_tenth() {
        let schedule = Schedule::default();
        let times: std::collections::BTreeSet<_> =
            (0..100).map(|number| schedule.spread(EVERY, &id(number), Timestamp(7))).collect();
        assert!(times.len() > 50, "{times:?}");
        assert!(times.iter().all(|time| (EVERY * 9 / 10..=EVERY * 11 / 10).contains(time)), "{times:?}");
    }

    #[test]
    fn a_change_is_never_missed_and_no_reason_to_hurry() {
        let (schedule, now) = (Schedule::default(), Timestamp(1_000_000_000));
        let ages = [(id(1), Some(now))];
        let due = |after: Duration| schedule.take_due(&ages, None, now.plus(after));
        assert_eq!(due(Duration::ZERO), []);
        schedule.lists_changed(&id(1));
        assert_eq!(due(Duration::ZERO), [id(1)]);
        assert_eq!(due(PAUSE), []);
        schedule.lists_changed(&id(1));
        assert_eq!(due(Duration::from_secs(1)), [], "asked a moment ago");
        assert_eq!(due(PAUSE), [id(1)], "and not forgotten");
    }

    #[test]
    fn what_is_gone_is_forgotten() {
        let schedule = Schedule::default();
        schedule.came_by(&id(1), &"mem_1".into());
        schedule.came_by(&id(1), &"mem_2".into());
        assert_eq!(schedule.last_member(&id(1)), Some("mem_2".into()));
        schedule.take_due(&[], None, Timestamp(1));
        assert_eq!(schedule.last_member(&id(1)), None);
    }
}
