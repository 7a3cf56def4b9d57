//! What is done next: chosen by a seed, and by nothing else.
//!
//! Steps name places in the world (the second key of the fourth seat), not what is there at the moment, so that the
//! steps of a task are the same in every run with its seed. How those of several tasks interleave is up to the machine.

use fastrand::Rng;

/// How large the world is.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    pub seats: usize,
    pub keys: usize,
    /// Servers for which each member connects an account; they come first.
    pub personal: usize,
    pub servers: usize,
    pub workspaces: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Call(Call),
    Change(Change),
}

/// One call of the tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Call {
    pub seat: usize,
    pub key: usize,
    pub server: usize,
    pub way: Way,
    /// `None`: 2026-07-28.
    pub legacy: Option<&'static str>,
    /// Whose legacy session is used, if not one's own.
    pub stolen_from: Option<usize>,
}

/// Which path names the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// `/<server>/mcp`
    Short,
    /// `/<workspace>/<server>/mcp`
    Own,
    /// The same with a workspace that the key is not for.
    Foreign,
}

/// Something that has an effect on what calls may see. Each ends with the world as usable as before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// All access tokens of one account end.
    ExpireOne { seat: usize, server: usize },
    /// All access tokens of a provider end.
    ExpireAll { server: usize },
    /// The account is withdrawn at the provider, and connected again by the link in an answer.
    Withdraw { seat: usize, server: usize },
    /// The connection is ended on the page or by an administrator, and another account is connected.
    Disconnect { seat: usize, server: usize, by_page: bool },
    /// Another account takes the place of one that stays good.
    Switch { seat: usize, server: usize },
    /// A key is revoked, and another made.
    RevokeKey { seat: usize, key: usize },
    /// A member is removed from the workspace, and added again.
    RemoveMember { seat: usize },
    /// A workspace loses a server, and gets it back.
    Withhold { server: usize, workspace: usize },
    /// The header of the server with a fixed one gets another value.
    Rotate,
}

impl Change {
    /// As counted.
    pub fn name(self) -> &'static str {
        match self {
            Self::ExpireOne { .. } => "expire one account",
            Self::ExpireAll { .. } => "expire a provider",
            Self::Withdraw { .. } => "withdraw",
            Self::Disconnect { .. } => "disconnect",
            Self::Switch { .. } => "switch account",
            Self::RevokeKey { .. } => "revoke key",
            Self::RemoveMember { .. } => "remove member",
            Self::Withhold { .. } => "withhold server",
            Self::Rotate => "rotate header",
        }
    }
}

/// Of a thousand steps, how many are of which kind; calls are the rest.
const WEIGHTS: [(usize, Kind); 9] = [
    (6, Kind::ExpireOne),
    (1, Kind::ExpireAll),
    (3, Kind::Withdraw),
    (4, Kind::Disconnect),
    (3, Kind::Switch),
    (3, Kind::RevokeKey),
    (1, Kind::RemoveMember),
    (2, Kind::Withhold),
    (2, Kind::Rotate),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    ExpireOne,
    ExpireAll,
    Withdraw,
    Disconnect,
    Switch,
    RevokeKey,
    RemoveMember,
    Withhold,
    Rotate,
}

/// Spreads small numbers over 64 bits (Knuth, TAOCP 6.4).
const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

/// The steps of one task, without end.
#[derive(Debug)]
pub struct Plan {
    random: Rng,
    size: Size,
}

impl Plan {
    pub fn new(seed: u64, task: u64, size: Size) -> Self {
        // Neighbouring tasks must not get neighbouring streams, nor a task of one seed that of another.
        let stream = Rng::with_seed(seed).u64(..) ^ task.wrapping_mul(GOLDEN_RATIO);
        let random = Rng::with_seed(stream);
        Self { random, size }
    }

    fn change(&mut self, kind: Kind) -> Change {
        let Size { seats, keys, personal, servers, workspaces } = self.size;
        let seat = self.random.usize(..seats);
        let server = self.random.usize(..personal);
        match kind {
            Kind::ExpireOne => Change::ExpireOne { seat, server },
            // The last server has a fixed header, and no provider.
            Kind::ExpireAll => Change::ExpireAll { server: self.random.usize(..servers - 1) },
            Kind::Withdraw => Change::Withdraw { seat, server },
            Kind::Disconnect => Change::Disconnect { seat, server, by_page: self.random.bool() },
            Kind::Switch => Change::Switch { seat, server },
            Kind::RevokeKey => Change::RevokeKey { seat, key: self.random.usize(..keys) },
            Kind::RemoveMember => Change::RemoveMember { seat },
            Kind::Withhold => Change::Withhold {
                server: self.random.usize(..servers),
                workspace: self.random.usize(..workspaces),
            },
            Kind::Rotate => Change::Rotate,
        }
    }

    fn call(&mut self) -> Call {
        let Size { seats, keys, servers, .. } = self.size;
        let random = &mut self.random;
        let legacy = match random.u8(..10) {
            0..=5 => None,
            6..=8 => Some(crate::mcp::LATEST_LEGACY),
            _ => Some("2025-06-18"),
        };
        let way = match random.u8(..20) {
            0 => Way::Foreign,
            1..=9 => Way::Own,
            _ => Way::Short,
        };
        let seat = random.usize(..seats);
        let thief = legacy.is_some() && random.u8(..20) == 0;
        let stolen_from = thief.then(|| (seat + random.usize(1..seats)) % seats);
        Call { seat, key: random.usize(..keys), server: random.usize(..servers), way, legacy, stolen_from }
    }
}

impl Iterator for Plan {
    type Item = Step;

    fn next(&mut self) -> Option<Step> {
        let mut place = self.random.usize(..1000);
        for (weight, kind) in WEIGHTS {
            if place < weight {
                return Some(Step::Change(self.change(kind)));
            }
            place -= weight;
        }
        Some(Step::Call(self.call()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: Size = Size { seats: 7, keys: 2, personal: 2, servers: 4, workspaces: 2 };

    fn steps(seed: u64, task: u64) -> Vec<Step> {
        Plan::new(seed, task, SIZE).take(1000).collect()
    }

    #[test]
    fn a_seed_gives_the_same_steps_again_and_others_give_others() {
        assert_eq!(steps(7, 3), steps(7, 3));
        assert_ne!(steps(7, 3), steps(7, 4));
        assert_ne!(steps(7, 3), steps(8, 3));
        assert_ne!(steps(3, 7), steps(7, 3));
    }

    #[test]
    fn nobody_steals_from_themselves() {
        let calls = steps(1, 1).into_iter().filter_map(|step| match step {
            Step::Call(call) => Some(call),
            Step::Change(_) => None,
        });
        let thefts: Vec<Call> = calls.filter(|call| call.stolen_from.is_some()).collect();
        assert!(!thefts.is_empty() && thefts.iter().all(|call| call.stolen_from != Some(call.seat)));
    }
}
