//! A person with a browser that runs no scripts: follows links and redirects, keeps cookies, presses buttons.
//!
//! For stories about the protocol behind the pages. What a real browser makes of them is shown by [`crate::browser`].

use anyhow::{Context as _, bail};
use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderValue, LOCATION, ORIGIN};
use scraper::{ElementRef, Html, Selector};

/// More redirects than this are a loop.
const MOST_REDIRECTS: usize = 10;

/// One browser profile.
#[derive(Clone, Debug)]
pub struct Person {
    client: reqwest::Client,
}

/// What the browser shows.
#[derive(Debug)]
pub struct Page {
    pub url: Url,
    pub status: u16,
    pub headers: HeaderMap,
    pub html: String,
}

/// What a pressed button sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    pub action: Url,
    pub post: bool,
    pub fields: Vec<(String, String)>,
    /// Of the page that the form is on.
    origin: String,
}

impl Submission {
    /// The same with another value for a field.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.fields.retain(|(field, _)| field != name);
        self.fields.push((name.to_owned(), value.to_owned()));
        self
    }
}

impl Default for Person {
    fn default() -> Self {
        Self::new()
    }
}

impl Person {
    /// # Panics
    /// If no HTTP client can be made.
    pub fn new() -> Self {
        let client = crate::http::client()
            .cookie_store(true)
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("an HTTP client");
        Self { client }
    }

    /// Opens an address and goes wherever it leads.
    pub async fn open(&self, url: &str) -> anyhow::Result<Page> {
        self.follow(self.get(url).await?).await
    }

    /// Opens an address and stays there, whatever it answers.
    pub async fn get(&self, url: &str) -> anyhow::Result<Page> {
        let request = self.client.get(url).header("sec-fetch-site", "none");
        Page::of(request.send().await?).await
    }

    /// Sends a form and goes wherever that leads.
    pub async fn submit(&self, form: Submission) -> anyhow::Result<Page> {
        self.follow(self.send(form).await?).await
    }

    /// Sends a form and stays at its answer.
    pub async fn send(&self, form: Submission) -> anyhow::Result<Page> {
        let request = if form.post {
            self.client.post(form.action).form(&form.fields)
        } else {
            self.client.get(form.action).query(&form.fields)
        };
        let origin = HeaderValue::from_str(&form.origin)?;
        Page::of(request.header(ORIGIN, origin).header("sec-fetch-site", "same-origin").send().await?).await
    }

    /// Presses the button with this text (or label, or value) on `page`.
    pub async fn press(&self, page: &Page, button: &str) -> anyhow::Result<Page> {
        self.submit(page.form(button)?).await
    }

    async fn follow(&self, mut page: Page) -> anyhow::Result<Page> {
        for _ in 0..MOST_REDIRECTS {
            let Some(next) = page.onward()? else { return Ok(page) };
            page = self.get(next.as_str()).await?;
        }
        bail!("{} redirects and no end, the last to {}", MOST_REDIRECTS, page.url)
    }
}

impl Page {
    async fn of(response: reqwest::Response) -> anyhow::Result<Self> {
        Ok(Self {
            url: response.url().clone(),
            status: response.status().as_u16(),
            headers: response.headers().clone(),
            html: response.text().await?,
        })
    }

    /// Where the browser goes by itself: a redirect, or a page that goes on.
    pub fn onward(&self) -> anyhow::Result<Option<Url>> {
        if (300..400).contains(&self.status) {
            let location = self.headers.get(LOCATION).context("a redirect to nowhere")?.to_str()?;
            return Ok(Some(self.url.join(location)?));
        }
        let document = Html::parse_document(&self.html);
        let refresh = select(&document, "meta[http-equiv=refresh]").next();
        let content = refresh.and_then(|meta| meta.value().attr("content").map(str::to_owned));
        match content.as_deref().and_then(|content| content.split_once("url=")) {
            Some((_, url)) => Ok(Some(self.url.join(url)?)),
            None => Ok(None),
        }
    }

    /// All text, white space folded.
    pub fn text(&self) -> String {
        let document = Html::parse_document(&self.html);
        let body = select(&document, "body").next().map(words);
        body.unwrap_or_default()
    }

    /// What pressing a button would send.
    pub fn form(&self, button: &str) -> anyhow::Result<Submission> {
        let document = Html::parse_document(&self.html);
        let pressed = select(&document, "button, input[type=submit]").find(|found| is_called(*found, button));
        let pressed =
            pressed.with_context(|| format!("no button {button:?} at {}: {}", self.url, self.text()))?;
        let form =
            pressed.ancestors().filter_map(ElementRef::wrap).find(|found| found.value().name() == "form");
        let form = form.context("the button is in no form")?;
        let inputs = Selector::parse("input[name]").map_err(|error| anyhow::anyhow!("{error}"))?;
        let mut fields: Vec<(String, String)> = form
            .select(&inputs)
            .filter(|input| !matches!(input.value().attr("type"), Some("submit" | "checkbox" | "radio")))
            .filter_map(named_value)
            .collect();
        fields.extend(named_value(pressed));
        Ok(Submission {
            action: self.url.join(form.value().attr("action").unwrap_or_default())?,
            post: form.value().attr("method").is_some_and(|method| method.eq_ignore_ascii_case("post")),
            fields,
            origin: self.url.origin().ascii_serialization(),
        })
    }
}

fn select<'document>(
    document: &'document Html,
    selector: &str,
) -> impl Iterator<Item = ElementRef<'document>> + use<'document> {
    // The selectors are those of this file.
    let selector = Selector::parse(selector).ok();
    selector.into_iter().flat_map(move |selector| document.select(&selector).collect::<Vec<_>>())
}

fn words(element: ElementRef<'_>) -> String {
    let text: String = element.text().collect::<Vec<_>>().join(" ");
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn is_called(button: ElementRef<'_>, name: &str) -> bool {
    let attribute = |attribute| button.value().attr(attribute) == Some(name);
    words(button).starts_with(name) || attribute("aria-label") || attribute("value")
}

fn named_value(field: ElementRef<'_>) -> Option<(String, String)> {
    let name = field.value().attr("name")?;
    Some((name.to_owned(), field.value().attr("value").unwrap_or_default().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(html: &str) -> Page {
        let url = Url::parse("http://127.0.0.1:1/a/b").expect("a URL");
        Page { url, status: 200, headers: HeaderMap::new(), html: html.to_owned() }
    }

    #[test]
    fn a_button_sends_its_form_and_itself() {
        let page = page(
            "<form method=post action=/c><input type=hidden name=csrf value=x><button name=who value=1>Ada</button>
             <button name=who value=2>Bob</button></form>",
        );
        let form = page.form("Bob").expect("a form");
        assert_eq!((form.action.as_str(), form.post), ("http://127.0.0.1:1/c", true));
        assert_eq!(form.fields, [("csrf".to_owned(), "x".to_owned()), ("who".to_owned(), "2".to_owned())]);
        assert!(page.form("Eve").is_err());
    }

    #[test]
    fn pages_that_go_on_say_where() {
        let page =
            page("<meta http-equiv=refresh content='0; url=http://127.0.0.1:2/authorize?a=1&amp;b=2'>");
        let onward = page.onward().expect("readable").expect("an address");
        assert_eq!(onward.as_str(), "http://127.0.0.1:2/authorize?a=1&b=2");
    }
}
