//! What Prometheus gets to see.

use std::collections::BTreeMap;

use anyhow::Context as _;

use crate::patience::poll;
use crate::stack::Stack;

/// One value of one series.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    pub name: String,
    pub labels: BTreeMap<String, String>,
    pub value: f64,
}

/// All that one program shows at a time.
#[derive(Clone, Debug, Default)]
pub struct Scrape(pub Vec<Sample>);

impl Scrape {
    /// What Envoy shows, the filter's metrics among them.
    ///
    /// # Panics
    /// If it shows nothing that can be read.
    pub async fn of_envoy(stack: &Stack) -> Self {
        Self::of(&format!("{}/stats/prometheus", stack.envoy.admin_url)).await
    }

    /// What the token-service shows.
    ///
    /// # Panics
    /// If it shows nothing that can be read.
    pub async fn of_service(stack: &Stack) -> Self {
        Self::of(&format!("{}/metrics", stack.service.internal_url())).await
    }

    async fn of(url: &str) -> Self {
        let client = crate::http::client().build().expect("a client");
        let reply = client.get(url).send().await.expect("a reply");
        assert_eq!(reply.status(), 200, "{url}");
        Self::read(&reply.text().await.expect("a text")).unwrap_or_else(|error| panic!("{url}: {error:#}"))
    }

    /// Reads Prometheus' text format.
    ///
    /// # Errors
    /// If a line is none of it.
    pub fn read(text: &str) -> anyhow::Result<Self> {
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
        lines
            .map(|line| sample(line).with_context(|| format!("no sample: {line}")))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The sum of all series of this name that have these labels.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let fits = |sample: &&Sample| {
            let has =
                |(label, value): &(&str, &str)| sample.labels.get(*label).is_some_and(|found| found == value);
            sample.name == name && labels.iter().all(has)
        };
        self.0.iter().filter(fits).map(|sample| sample.value).sum()
    }

    /// Every value that a label has, of all metrics whose names begin with `prefix`.
    pub fn values(&self, prefix: &str, label: &str) -> Vec<&str> {
        let all = self.0.iter().filter(|sample| sample.name.starts_with(prefix));
        let mut values: Vec<&str> =
            all.filter_map(|sample| sample.labels.get(label).map(String::as_str)).collect();
        values.sort_unstable();
        values.dedup();
        values
    }
}

/// Waits until what Envoy shows is as `wanted`: the filter counts at its next tick.
///
/// # Panics
/// If it does not get so, with what the filter shows.
pub async fn envoy_shows(stack: &Stack, what: &str, wanted: impl Fn(&Scrape) -> bool) -> Scrape {
    let found = poll(async || Some(Scrape::of_envoy(stack).await).filter(|scrape| wanted(scrape))).await;
    if let Some(found) = found {
        return found;
    }
    let last = Scrape::of_envoy(stack).await;
    let ours: Vec<&Sample> = last.0.iter().filter(|sample| sample.name.starts_with("portcullis")).collect();
    panic!("waited for {what}: {ours:#?}");
}

fn sample(line: &str) -> Option<Sample> {
    let (series, value) = match line.rsplit_once("} ") {
        Some((series, value)) => (format!("{series}}}"), value),
        None => line.split_once(' ').map(|(name, value)| (name.to_owned(), value))?,
    };
    let (name, labels) = match series.split_once('{') {
        Some((name, labels)) => (name, labels.strip_suffix('}')?),
        None => (series.as_str(), ""),
    };
    Some(Sample { name: name.to_owned(), labels: read_labels(labels)?, value: value.trim().parse().ok()? })
}

fn read_labels(mut text: &str) -> Option<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"")?;
        let mut value = String::new();
        let mut characters = rest.char_indices();
        let end = loop {
            match characters.next()? {
                (_, '\\') => match characters.next()?.1 {
                    'n' => value.push('\n'),
                    other => value.push(other),
                },
                (at, '"') => break at,
                (_, other) => value.push(other),
            }
        };
        labels.insert(name.to_owned(), value);
        let rest = rest.get(end + 1..)?;
        text = rest.strip_prefix(',').unwrap_or(rest);
    }
    Some(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_format() {
        let text =
            "# TYPE a counter\na{x=\"1\",y=\"b \\\"} c\\\\\"} 2\na{x=\"2\"} 3\nb 1e3\nc{le=\"+Inf\"} +Inf\n";
        let scrape = Scrape::read(text).expect("reads");
        assert!((scrape.sum("a", &[]) - 5.0).abs() < f64::EPSILON);
        assert!((scrape.sum("a", &[("y", "b \"} c\\")]) - 2.0).abs() < f64::EPSILON);
        assert_eq!(scrape.values("a", "x"), ["1", "2"]);
        assert_eq!(scrape.0.len(), 4);
        assert!(Scrape::read("nonsense").is_err());
    }
}
