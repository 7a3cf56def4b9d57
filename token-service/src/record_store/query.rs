//! What records are searched by. Columns are of a list, values are bound: nothing of a caller's gets into a statement.

use super::Outcome;

/// A column with an index of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Column {
    // Those that narrow most come first: the first one of a query is looked up, the others are compared.
    RequestId,
    TraceId,
    DecisionId,
    Key,
    Caller,
    Name,
    Rule,
    ErrorCode,
    Server,
    WorkspaceId,
    Workspace,
    Outcome,
    Decision,
    Method,
}

impl Column {
    pub const ALL: [Self; 14] = [
        Self::RequestId,
        Self::TraceId,
        Self::DecisionId,
        Self::Key,
        Self::Caller,
        Self::Name,
        Self::Rule,
        Self::ErrorCode,
        Self::Server,
        Self::WorkspaceId,
        Self::Workspace,
        Self::Outcome,
        Self::Decision,
        Self::Method,
    ];

    /// As the database calls it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::RequestId => "request_id",
            Self::TraceId => "trace_id",
            Self::DecisionId => "decision_id",
            Self::Key => "key",
            Self::Caller => "caller",
            Self::Name => "name",
            Self::Rule => "rule",
            Self::ErrorCode => "error_code",
            Self::Server => "server",
            Self::WorkspaceId => "workspace_id",
            Self::Workspace => "workspace",
            Self::Outcome => "outcome",
            Self::Decision => "decision",
            Self::Method => "method",
        }
    }
}

/// Which HTTP status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusFilter {
    Exactly(u16),
    /// `Class(4)`: 400 to 499. `Class(0)`: no response.
    Class(u8),
}

impl StatusFilter {
    /// `404` or `4xx`.
    pub fn parse(text: &str) -> Option<Self> {
        if let Some(class) = text.strip_suffix("xx") {
            return class.parse().ok().filter(|class| (1..=5).contains(class)).map(Self::Class);
        }
        let status: u16 = text.parse().ok()?;
        (status == 0 || (100..600).contains(&status)).then_some(Self::Exactly(status))
    }

    pub fn class(self) -> u8 {
        match self {
            Self::Exactly(status) => class_of(Some(u64::from(status))),
            Self::Class(class) => class,
        }
    }
}

/// The first digit of a status; 0 for none.
pub fn class_of(status: Option<u64>) -> u8 {
    status.and_then(|status| u8::try_from(status / 100).ok()).filter(|class| *class <= 5).unwrap_or(0)
}

/// All of it has to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Query {
    equals: Vec<(Column, String)>,
    pub status: Option<StatusFilter>,
}

impl Query {
    #[must_use]
    pub fn with(mut self, column: Column, value: impl Into<String>) -> Self {
        let at = self.equals.partition_point(|(other, _)| *other <= column);
        self.equals.insert(at, (column, value.into()));
        self
    }

    #[must_use]
    pub fn with_outcome(self, outcome: Outcome) -> Self {
        self.with(Column::Outcome, outcome.as_str())
    }

    #[must_use]
    pub fn with_status(self, status: StatusFilter) -> Self {
        Self { status: Some(status), ..self }
    }

    /// The one that narrows most is the first.
    pub fn equals(&self) -> &[(Column, String)] {
        &self.equals
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_narrowest_column_comes_first() {
        let query = Query::default()
            .with(Column::Method, "tools/call")
            .with(Column::RequestId, "r")
            .with(Column::Server, "linear");
        let columns: Vec<Column> = query.equals().iter().map(|(column, _)| *column).collect();
        assert_eq!(columns, [Column::RequestId, Column::Server, Column::Method]);
    }

    #[test]
    fn statuses() {
        assert_eq!(StatusFilter::parse("404"), Some(StatusFilter::Exactly(404)));
        assert_eq!(StatusFilter::parse("4xx"), Some(StatusFilter::Class(4)));
        assert_eq!(StatusFilter::parse("0"), Some(StatusFilter::Exactly(0)));
        for bad in ["", "9xx", "600", "40", "4XX", "-1", "404 OR 1=1"] {
            assert_eq!(StatusFilter::parse(bad), None, "{bad}");
        }
        assert_eq!((class_of(None), class_of(Some(404)), class_of(Some(99_999))), (0, 4, 0));
    }
}
