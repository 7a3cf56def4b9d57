//! Records as CSV (RFC 4180).

use crate::record_store::{FIELDS, Kind, Record};

use super::view::spell;

/// The first line.
pub(super) fn head(payloads: bool) -> String {
    let names = FIELDS.iter().filter(|field| is_shown(field.kind, payloads)).map(|field| field.name);
    line(["id", "at", "outcome"].into_iter().chain(names).map(str::to_owned))
}

/// The cells of a record, in the order of [`head`].
pub(super) fn row(record: &Record, payloads: bool) -> String {
    let fields = &record.fields;
    let texts = fields.texts().map(Option::unwrap_or_default).map(str::to_owned);
    let numbers = fields.numbers().map(|number| number.map(|number| number.to_string()).unwrap_or_default());
    let sent = fields.payloads().map(Option::unwrap_or_default).map(str::to_owned);
    let own = [record.id.to_string(), spell(record.id.started_us()), record.outcome.as_str().to_owned()];
    let sent = sent.into_iter().filter(|_| payloads);
    line(own.into_iter().chain(texts).chain(numbers).chain(sent))
}

fn is_shown(kind: Kind, payloads: bool) -> bool {
    payloads || !matches!(kind, Kind::Payload(_))
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let cells: Vec<String> = cells.map(|text| cell(&text)).collect();
    format!("{}\r\n", cells.join(","))
}

/// Callers choose what is in some cells. A spreadsheet would take one that begins like a formula for one.
fn cell(text: &str) -> String {
    let is_formula = text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']);
    let guard = if is_formula { "'" } else { "" };
    if is_formula || text.contains(['"', ',', '\r', '\n']) {
        format!("\"{guard}{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record_store::{Fields, Outcome, RecordId};

    #[test]
    fn cells_stay_cells() {
        for (text, expected) in [
            ("linear", "linear"),
            ("a,b", "\"a,b\""),
            ("a\"b\r\nc", "\"a\"\"b\r\nc\""),
            ("=HYPERLINK(\"x\")", "\"'=HYPERLINK(\"\"x\"\")\""),
            ("+1", "\"'+1\""),
            ("-32602", "\"'-32602\""),
            ("@cmd", "\"'@cmd\""),
            ("\t=1", "\"'\t=1\""),
            ("", ""),
        ] {
            assert_eq!(cell(text), expected);
        }
    }

    #[test]
    fn rows_have_the_cells_of_the_head() {
        let record = Record { id: RecordId(0), outcome: Outcome::Ok, fields: Fields::default() };
        for payloads in [false, true] {
            assert_eq!(row(&record, payloads).matches(',').count(), head(payloads).matches(',').count());
        }
        assert!(head(true).ends_with("parameters,response,attributes\r\n"));
    }
}
