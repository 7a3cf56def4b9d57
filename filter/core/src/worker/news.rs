//! Servers that have said in a stream that their lists changed, until the token-service is told.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use portcullis_wire::catalogue::{LISTS_CHANGED_PATH, ListsChanged};

use super::Worker;
use super::calls::{self, Purpose};

/// How soon after it was told of a server the token-service is told again: a change is announced on the streams of all
/// clients, and some servers announce one after the other.
const TOLD_AGAIN_AFTER_MS: u64 = 5_000;

/// More servers than that are not remembered; the token-service learns of their changes on its schedule.
const MOST_SERVERS: usize = 1_000;

/// What was heard, shared with the responses under way.
#[derive(Clone, Debug, Default)]
pub struct ListNews(Rc<RefCell<HashMap<Box<str>, Heard>>>);

#[derive(Debug, Default)]
struct Heard {
    /// Not told yet.
    is_news: bool,
    told_ms: Option<u64>,
}

/// A response's way to say what it heard of its server.
#[derive(Clone, Debug)]
pub struct Listener {
    news: ListNews,
    server: Box<str>,
}

impl Listener {
    pub fn lists_changed(&self) {
        self.news.note(&self.server);
    }
}

impl ListNews {
    pub fn listener(&self, server: &str) -> Listener {
        Listener { news: self.clone(), server: server.into() }
    }

    fn note(&self, server: &str) {
        let Ok(mut heard) = self.0.try_borrow_mut() else { return };
        if let Some(known) = heard.get_mut(server) {
            known.is_news = true;
        } else if heard.len() < MOST_SERVERS {
            heard.insert(server.into(), Heard { is_news: true, told_ms: None });
        }
    }

    /// The servers to tell of now.
    fn take_due(&self, now_ms: u64) -> Vec<Box<str>> {
        let Ok(mut heard) = self.0.try_borrow_mut() else { return Vec::new() };
        if heard.is_empty() {
            return Vec::new();
        }
        let rests = |told_ms: Option<u64>| {
            told_ms.is_some_and(|at_ms| now_ms.saturating_sub(at_ms) < TOLD_AGAIN_AFTER_MS)
        };
        heard.retain(|_, server| server.is_news || rests(server.told_ms));
        let mut due = Vec::new();
        for (id, server) in heard.iter_mut() {
            if server.is_news && !rests(server.told_ms) {
                *server = Heard { is_news: false, told_ms: Some(now_ms) };
                due.push(id.clone());
            }
        }
        due.sort_unstable();
        due
    }
}

impl Worker {
    /// Queues a call for each server that has news. Nobody waits for it.
    pub(super) fn tell_of_changed_lists(&mut self, now_ms: u64) {
        for server in self.news.take_due(now_ms) {
            let request = ListsChanged { server: server.to_string() };
            let service = &self.config.token_service;
            let call = calls::question(service, LISTS_CHANGED_PATH, &request, service.timeout_ms);
            self.calls.queue(Purpose::ListNews { server }, None, call);
        }
    }

    /// The call has ended. One that did not arrive is made again.
    pub(super) fn told_of_changed_lists(&self, server: &str, arrived: bool) {
        if !arrived {
            self.news.note(server);
        }
    }

    /// By which a response says what it hears.
    pub fn news(&self) -> &ListNews {
        &self.news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_told_of_once_in_a_while_and_never_forgotten() {
        let news = ListNews::default();
        let (one, other) = (news.listener("one"), news.listener("other"));
        assert!(news.take_due(0).is_empty());
        for listener in [&one, &one, &other] {
            listener.lists_changed();
        }
        assert_eq!(news.take_due(0), ["one".into(), "other".into()]);
        assert!(news.take_due(TOLD_AGAIN_AFTER_MS).is_empty(), "nothing new");
        one.lists_changed();
        assert_eq!(news.take_due(TOLD_AGAIN_AFTER_MS), ["one".into()]);
        one.lists_changed();
        assert!(news.take_due(TOLD_AGAIN_AFTER_MS + 1).is_empty(), "told a moment ago");
        assert_eq!(news.take_due(2 * TOLD_AGAIN_AFTER_MS), ["one".into()], "late, and told all the same");
        assert!(news.take_due(9 * TOLD_AGAIN_AFTER_MS).is_empty());
        assert!(news.0.borrow().is_empty(), "nothing is kept of what was told long ago");
    }

    #[test]
    fn so_many_servers_and_no_more() {
        let news = ListNews::default();
        for number in 0..=MOST_SERVERS {
            news.listener(&number.to_string()).lists_changed();
        }
        assert_eq!(news.take_due(0).len(), MOST_SERVERS);
    }
}
