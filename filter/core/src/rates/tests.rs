use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use portcullis_wire::policy::Pattern;
use proptest::prelude::*;

use super::*;
use crate::shared::{Unavailable, Versioned};

const NOW: u64 = 1_800_000_000_000;

/// A map in which others are faster as often as told.
#[derive(Default)]
struct Map {
    values: RefCell<BTreeMap<String, Versioned>>,
    lost_races: Cell<u32>,
}

impl SharedData for Map {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        Ok(self.values.borrow().get(key).cloned())
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        if let Some(left) = self.lost_races.get().checked_sub(1) {
            self.lost_races.set(left);
            return Ok(false);
        }
        let mut values = self.values.borrow_mut();
        if values.get(key).map(|versioned| versioned.version) != version {
            return Ok(false);
        }
        let version = version.unwrap_or(0) + 1;
        values.insert(key.to_owned(), Versioned { value: value.to_vec(), version });
        Ok(true)
    }
}

fn rate(counter: &str, requests: u32, window_ms: u64) -> Rate {
    Rate {
        counter: counter.into(),
        name: format!("workspace/limits:{counter}"),
        tools: Vec::new(),
        requests,
        window_ms,
        by_tool: false,
    }
}

/// How many of `tries` at one moment are admitted.
fn admitted(rates: &[Rate], tool: Option<&str>, map: &Map, now_ms: u64, tries: u32) -> usize {
    (0..tries).filter(|_| admit(rates, tool, map, now_ms).is_ok()).count()
}

#[test]
fn a_windows_worth_at_once_then_one_a_step() {
    let (map, rates) = (Map::default(), [rate("a", 5, 10_000)]);
    assert_eq!(admitted(&rates, None, &map, NOW, 20), 5);
    let Err(Refused::Over { rate, retry_after_ms }) = admit(&rates, None, &map, NOW + 500) else {
        panic!("refused")
    };
    assert_eq!((rate.counter.as_str(), retry_after_ms), ("a", 1_500));
    assert_eq!(admitted(&rates, None, &map, NOW + 1_999, 20), 0);
    assert_eq!(admitted(&rates, None, &map, NOW + 2_000, 20), 1);
    assert_eq!(admitted(&rates, None, &map, NOW + 60_000, 20), 5);
}

#[test]
fn all_have_to_admit_and_what_is_refused_costs_nothing() {
    let map = Map::default();
    let rates = [rate("wide", 10, 86_400_000), rate("narrow", 2, 86_400_000)];
    assert_eq!(admitted(&rates, None, &map, NOW, 9), 2);
    assert_eq!(admitted(&rates[..1], None, &map, NOW, 20), 8, "the seven refusals were given back");
}

#[test]
fn tools_are_counted_by_pattern_and_apart() {
    let map = Map::default();
    let writes = Rate { tools: vec![Pattern("create_*".into())], ..rate("writes", 1, 60_000) };
    let each = Rate { by_tool: true, ..rate("each", 2, 60_000) };
    for (rates, tool, expected) in [
        (&writes, Some("create_issue"), 1),
        (&writes, Some("create_note"), 0),
        (&writes, Some("search"), 9),
        (&writes, None, 9),
        (&each, Some("search"), 2),
        (&each, Some("create_issue"), 2),
        (&each, None, 9),
    ] {
        let admitted = admitted(std::slice::from_ref(rates), tool, &map, NOW, 9);
        assert_eq!(admitted, expected, "{rates:?} {tool:?}");
    }
}

#[test]
fn a_counter_by_tool_is_bounded_and_forgets() {
    let map = Map::default();
    let rates = [Rate { by_tool: true, ..rate("each", 1, 60_000) }];
    for number in 0..2_000_u32 {
        let is_admitted = admit(&rates, Some(&format!("tool-{number}")), &map, NOW).is_ok();
        assert_eq!(is_admitted, number < 1_024, "{number}");
    }
    let size = || map.values.borrow().values().map(|versioned| versioned.value.len()).sum::<usize>();
    assert_eq!(size(), 16 * 1_024);
    assert_eq!(admitted(&rates, Some("late"), &map, NOW + 60_000, 9), 1);
    assert_eq!(size(), 16);
}

#[test]
fn a_stricter_limit_and_a_clock_put_back_do_not_shut_anybody_out() {
    let map = Map::default();
    assert_eq!(admitted(&[rate("a", 10, 86_400_000)], None, &map, NOW, 20), 10);
    // Paid for until tomorrow, but the new window is a minute.
    let stricter = [rate("a", 2, 60_000)];
    assert_eq!(admitted(&stricter, None, &map, NOW, 20), 0);
    assert_eq!(admitted(&stricter, None, &map, NOW + 30_000, 20), 0);
    assert_eq!(
        admit(&stricter, None, &map, NOW),
        Err(Refused::Over { rate: &stricter[0], retry_after_ms: 30_000 })
    );
    let map = Map::default();
    assert_eq!(admitted(&stricter, None, &map, NOW, 20), 2);
    assert_eq!(admitted(&stricter, None, &map, NOW - 86_400_000, 20), 0);
    assert_eq!(admitted(&stricter, None, &map, NOW + 30_000, 20), 1);
}

#[test]
fn lost_races_are_run_again_and_not_for_ever() {
    let (map, rates) = (Map::default(), [rate("a", 5, 60_000)]);
    map.lost_races.set(20);
    assert_eq!(admit(&rates, None, &map, NOW), Ok(()));
    map.lost_races.set(u32::MAX);
    assert_eq!(admit(&rates, None, &map, NOW), Err(Refused::Over { rate: &rates[0], retry_after_ms: 1 }));
}

#[test]
fn nothing_at_all_is_a_limit_too() {
    assert_eq!(admitted(&[rate("a", 0, 60_000)], None, &Map::default(), NOW, 5), 0);
}

proptest! {
    #[test]
    fn never_more_than_a_burst_and_the_rate(
        requests in 1_u32..50,
        window_ms in 1_u64..100_000,
        steps in proptest::collection::vec((0_u64..5_000, 0_u32..20), 1..40),
    ) {
        let (map, rates) = (Map::default(), [rate("a", requests, window_ms)]);
        let (mut passed, mut total) = (0, 0);
        for (ms, tries) in steps {
            passed += ms;
            total += admitted(&rates, None, &map, NOW + passed, tries) as u128;
        }
        // Windows that are no multiple of the requests are rounded, to the nanosecond.
        let span = u128::from(window_ms) * 1_000_000;
        let step = span / u128::from(requests);
        let admissible = u128::from(requests) + u128::from(passed) * 1_000_000 / step;
        prop_assert!(total <= admissible, "{total} of {admissible}");
    }

    #[test]
    fn any_value_is_read(value in proptest::collection::vec(any::<u8>(), 0..100), by_tool: bool) {
        let map = Map::default();
        map.values.borrow_mut().insert("portcullis.rate.a".into(), Versioned { value, version: 1 });
        let rates = [Rate { by_tool, ..rate("a", 3, 1_000) }];
        prop_assert!(admitted(&rates, Some("x"), &map, NOW, 20) <= 3);
    }
}
