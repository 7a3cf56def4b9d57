//! Requests for leases and sessions that are under way, and the streams that wait for them.

use std::collections::HashMap;

use portcullis_wire::digest::Digest;

use super::LeaseKey;

/// What is asked for. Streams that need the same wait for the same answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Flight {
    Lease(LeaseKey),
    /// A lease in place of the one whose credential, of this generation, the upstream refused.
    Renewal(LeaseKey, u64),
    /// The upstream's session behind one that the token-service opened, which the digest stands for.
    Session(LeaseKey, Digest),
}

/// Requests under way at most; so many streams of different callers can wait without one caller starving another for
/// long, and a slow token-service is not made slower.
const MAX_UNDER_WAY: usize = 64;

/// What a stream that needs an answer has to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// Nobody has asked: ask. The stream waits for the answer.
    First,
    /// Somebody has asked; the stream waits for the same answer.
    Waiting,
    /// Too many requests are under way; the stream does not wait.
    Refused,
}

/// Joins the requests for one answer. A request goes on when the streams that wait for it have gone away.
#[derive(Debug, Default)]
pub struct Flights {
    waiting: HashMap<Flight, Vec<u32>>,
    flights: HashMap<u32, Flight>,
}

impl Flights {
    /// Makes `stream` wait for `flight`, and for no other from now on.
    pub fn join(&mut self, flight: Flight, stream: u32) -> Joined {
        self.leave(stream);
        let full = self.waiting.len() >= MAX_UNDER_WAY;
        let joined = match self.waiting.get_mut(&flight) {
            Some(streams) => {
                streams.push(stream);
                Joined::Waiting
            }
            None if full => return Joined::Refused,
            None => {
                self.waiting.insert(flight.clone(), vec![stream]);
                Joined::First
            }
        };
        self.flights.insert(stream, flight);
        joined
    }

    /// Ends the request for `flight`, however it ended: the streams that waited for it, in the order they came.
    pub fn land(&mut self, flight: &Flight) -> Vec<u32> {
        let streams = self.waiting.remove(flight).unwrap_or_default();
        for stream in &streams {
            self.flights.remove(stream);
        }
        streams
    }

    /// The stream waits no more.
    pub fn leave(&mut self, stream: u32) {
        let Some(flight) = self.flights.remove(&stream) else { return };
        if let Some(streams) = self.waiting.get_mut(&flight) {
            streams.retain(|other| *other != stream);
        }
    }

    /// How many requests are under way.
    pub fn under_way(&self) -> usize {
        self.waiting.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn key(number: usize) -> Flight {
        Flight::Lease(LeaseKey {
            credential: Digest::of("test", &[&number.to_be_bytes()]),
            workspace: None,
            server: crate::leases::ServerKey::Listed("s".into()),
        })
    }

    #[test]
    fn a_second_request_joins_the_first() {
        let mut flights = Flights::default();
        assert_eq!(flights.join(key(1), 10), Joined::First);
        assert_eq!(flights.join(key(1), 11), Joined::Waiting);
        assert_eq!(flights.join(key(2), 12), Joined::First);
        assert_eq!(flights.land(&key(1)), [10, 11]);
        assert_eq!(flights.land(&key(1)), [0; 0]);
        assert_eq!(flights.join(key(1), 13), Joined::First);
    }

    #[test]
    fn a_client_that_goes_away_does_not_cancel_the_request() {
        let mut flights = Flights::default();
        flights.join(key(1), 10);
        flights.leave(10);
        flights.leave(10);
        assert_eq!((flights.under_way(), flights.join(key(1), 11)), (1, Joined::Waiting));
        assert_eq!(flights.land(&key(1)), [11]);
    }

    #[test]
    fn a_stream_waits_for_one_key() {
        let mut flights = Flights::default();
        flights.join(key(1), 10);
        flights.join(key(2), 10);
        assert_eq!((flights.land(&key(1)), flights.land(&key(2))), (vec![], vec![10]));
    }

    #[test]
    fn requests_are_bounded_but_joining_is_not() {
        let mut flights = Flights::default();
        for number in 0..MAX_UNDER_WAY {
            assert_eq!(flights.join(key(number), 0), Joined::First);
        }
        assert_eq!(flights.join(key(MAX_UNDER_WAY), 1), Joined::Refused);
        assert_eq!(flights.join(key(0), 2), Joined::Waiting);
        flights.land(&key(0));
        assert_eq!(flights.join(key(MAX_UNDER_WAY), 3), Joined::First);
    }

    proptest! {
        #[test]
        fn every_waiting_stream_is_told_exactly_once(
            steps in proptest::collection::vec((0_u8..3, 0_usize..4, 0_u32..6), 0..60),
        ) {
            let mut flights = Flights::default();
            let mut expected: HashMap<u32, usize> = HashMap::new();
            for (action, number, stream) in steps {
                match action {
                    0 => {
                        flights.join(key(number), stream);
                        expected.insert(stream, number);
                    }
                    1 => {
                        flights.leave(stream);
                        expected.remove(&stream);
                    }
                    _ => {
                        let mut told = flights.land(&key(number));
                        told.sort_unstable();
                        let mut due: Vec<u32> =
                            expected.iter().filter(|(_, n)| **n == number).map(|(stream, _)| *stream).collect();
                        due.sort_unstable();
                        prop_assert_eq!(told, due);
                        expected.retain(|_, waits_for| *waits_for != number);
                    }
                }
            }
        }
    }
}
