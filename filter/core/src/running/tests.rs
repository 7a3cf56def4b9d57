use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use super::*;
use crate::shared::{Unavailable, Versioned};

const NOW: u64 = 1_800_000_000_000;

#[derive(Default)]
struct Map {
    values: RefCell<BTreeMap<String, Versioned>>,
    is_gone: Cell<bool>,
}

impl SharedData for Map {
    fn get(&self, key: &str) -> Result<Option<Versioned>, Unavailable> {
        if self.is_gone.get() { Err(Unavailable) } else { Ok(self.values.borrow().get(key).cloned()) }
    }

    fn replace(&self, key: &str, value: &[u8], version: Option<u32>) -> Result<bool, Unavailable> {
        let mut values = self.values.borrow_mut();
        if values.get(key).map(|versioned| versioned.version) != version {
            return Ok(false);
        }
        let version = version.unwrap_or(0) + 1;
        values.insert(key.to_owned(), Versioned { value: value.to_vec(), version });
        Ok(true)
    }
}

#[test]
fn workers_fill_a_server_together_and_make_room_when_done() {
    let map = Map::default();
    let (mut one, mut two) = (Running::new("vm-1"), Running::new("vm-2"));
    assert_eq!(one.begin(1, "s1", 3, &map, NOW), Ok(()));
    assert_eq!(one.begin(2, "s1", 3, &map, NOW), Ok(()));
    assert_eq!(two.begin(1, "s1", 3, &map, NOW), Ok(()));
    assert_eq!(two.begin(2, "s1", 3, &map, NOW), Err(Refused::TooMany));
    assert_eq!(one.begin(3, "s1", 3, &map, NOW), Err(Refused::TooMany));
    assert_eq!(two.begin(3, "s2", 1, &map, NOW), Ok(()), "another server");
    assert_eq!(one.begin(1, "s1", 3, &map, NOW), Ok(()), "it is under way already");
    one.end(3, &map);
    assert_eq!(two.begin(2, "s1", 3, &map, NOW), Err(Refused::TooMany), "a refused one ends nothing");
    one.end(1, &map);
    one.end(1, &map);
    assert_eq!(two.begin(2, "s1", 3, &map, NOW), Ok(()));
    assert_eq!(two.begin(4, "s1", 3, &map, NOW), Err(Refused::TooMany), "ended once");
}

#[test]
fn a_worker_that_is_gone_counts_for_a_while_and_one_that_ticks_for_ever() {
    let map = Map::default();
    let (mut gone, mut alive, mut new) = (Running::new("vm-1"), Running::new("vm-2"), Running::new("vm-3"));
    gone.begin(1, "s1", 2, &map, NOW).expect("begins");
    alive.begin(1, "s1", 2, &map, NOW).expect("begins");
    let mut now_ms = NOW;
    while now_ms < NOW + FRESH_MS - 250 {
        now_ms += 250;
        alive.on_tick(&map, now_ms);
        assert_eq!(new.begin(1, "s1", 2, &map, now_ms), Err(Refused::TooMany), "{now_ms}");
    }
    now_ms = NOW + FRESH_MS;
    assert_eq!(new.begin(1, "s1", 2, &map, now_ms), Ok(()));
    assert_eq!(new.begin(2, "s1", 2, &map, now_ms), Err(Refused::TooMany), "the other is alive");
}

#[test]
fn an_end_that_cannot_be_said_is_said_later() {
    let map = Map::default();
    let (mut one, mut two) = (Running::new("vm-1"), Running::new("vm-2"));
    one.begin(1, "s1", 1, &map, NOW).expect("begins");
    map.is_gone.set(true);
    one.end(1, &map);
    assert_eq!(two.begin(1, "s1", 1, &map, NOW), Err(Refused::Uncounted));
    map.is_gone.set(false);
    assert_eq!(two.begin(1, "s1", 1, &map, NOW), Err(Refused::TooMany));
    one.on_tick(&map, NOW + 250);
    assert_eq!(two.begin(1, "s1", 1, &map, NOW + 250), Ok(()));
}
