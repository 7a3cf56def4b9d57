//! Protocol versions and the two families they fall into.

/// How a version talks: with sessions and a handshake, or statelessly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Era {
    Legacy,
    Modern,
}

/// The versions that the gateway has rules for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProtocolVersion {
    V20250326,
    V20250618,
    V20251125,
    V20260728,
}

impl ProtocolVersion {
    /// Oldest first.
    pub const ALL: [Self; 4] = [Self::V20250326, Self::V20250618, Self::V20251125, Self::V20260728];

    /// What a legacy request without the header means (MCP 2025-06-18, transports, "Protocol Version Header").
    pub const UNSTATED: Self = Self::V20250326;

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|version| version.as_str() == text)
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::V20250326 => "2025-03-26",
            Self::V20250618 => "2025-06-18",
            Self::V20251125 => "2025-11-25",
            Self::V20260728 => "2026-07-28",
        }
    }

    pub fn era(self) -> Era {
        match self {
            Self::V20250326 | Self::V20250618 | Self::V20251125 => Era::Legacy,
            Self::V20260728 => Era::Modern,
        }
    }
}
