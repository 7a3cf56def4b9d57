//! Where clients may be sent back to. A code that goes elsewhere is a sign-in in somebody else's hands, so there is one
//! rule: the very text that was registered. Only the port of a loopback address is free, because a program on the
//! person's own machine takes what it gets (RFC 8252, section 7.3).

use url::{Position, Url};

/// The longest that is registered or read, in bytes.
pub const MAX_LENGTH: usize = 512;

/// Why a text cannot be registered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RedirectUriError {
    #[error("a redirect URI is a URL of 1 to 512 visible ASCII characters, none of them a wildcard")]
    Malformed,
    #[error("a redirect URI has no fragment (#…)")]
    Fragment,
    #[error("a redirect URI has no user name or password")]
    UserInfo,
    #[error("plain http is for 127.0.0.1, [::1] and localhost only; use https")]
    PlainHttp,
    #[error(
        "this scheme is none to send people to; use https, http on a loopback address, or a scheme of the app's own with a dot in it (RFC 8252)"
    )]
    Scheme,
    #[error("a redirect URI is registered in its normal form, as a browser shows it")]
    NotNormal,
    #[error("the query already has a parameter of the response")]
    Parameter,
}

/// Which schemes besides `https` and `http` an app may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schemes {
    /// With a dot, as RFC 8252 wants it: no program of the system listens to one of those.
    Dotted,
    /// Whatever an administrator enters, but for those that run or show something.
    Any,
}

/// Schemes that browsers themselves, or programs of every system, act on.
const NEVER: [&str; 22] = [
    "about",
    "blob",
    "chrome",
    "data",
    "file",
    "filesystem",
    "ftp",
    "intent",
    "jar",
    "javascript",
    "mailto",
    "mhtml",
    "ms-msdt",
    "resource",
    "search-ms",
    "sms",
    "tel",
    "vbscript",
    "view-source",
    "ws",
    "wss",
    "x-apple",
];

/// What the response adds (RFC 6749, RFC 9207). One that was there before would be read first.
const RESPONSE_PARAMETERS: [&str; 5] = ["code", "state", "iss", "error", "error_description"];

const LOOPBACK_HOSTS: [&str; 3] = ["127.0.0.1", "[::1]", "localhost"];

/// Whether `text` may be registered.
pub fn check(text: &str, schemes: Schemes) -> Result<(), RedirectUriError> {
    let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\\"<>^`{|}*".contains(&byte);
    if text.is_empty() || text.len() > MAX_LENGTH || !text.bytes().all(plain) {
        return Err(RedirectUriError::Malformed);
    }
    if text.contains('#') {
        return Err(RedirectUriError::Fragment);
    }
    let url = Url::parse(text).map_err(|_| RedirectUriError::Malformed)?;
    let authority = &url[Position::BeforeUsername..Position::AfterPort];
    if authority.contains('@') || raw_authority(text).contains('@') {
        return Err(RedirectUriError::UserInfo);
    }
    match url.scheme() {
        "https" => {}
        "http" if loopback(text).is_some() => {}
        "http" => return Err(RedirectUriError::PlainHttp),
        own if NEVER.contains(&own) || (schemes == Schemes::Dotted && !own.contains('.')) => {
            return Err(RedirectUriError::Scheme);
        }
        _ => {}
    }
    // A path with `..`, a host in capitals and the like: whoever compares and whoever goes there could differ.
    if url.as_str() != text && url.as_str().strip_suffix('/') != Some(text) {
        return Err(RedirectUriError::NotNormal);
    }
    if url.query_pairs().any(|(name, _)| RESPONSE_PARAMETERS.contains(&name.as_ref())) {
        return Err(RedirectUriError::Parameter);
    }
    Ok(())
}

/// Whether a client that registered `registered`, which passed [`check`], may be sent to `given`.
pub fn matches(registered: &str, given: &str) -> bool {
    if registered == given {
        return true;
    }
    match (loopback(registered), loopback(given)) {
        (Some(registered), Some(given)) => registered == given,
        _ => false,
    }
}

/// `given` with the parameters of a response added to its query.
pub fn with_parameters(given: &str, parameters: &[(&str, &str)]) -> Option<Url> {
    let mut url = Url::parse(given).ok()?;
    url.query_pairs_mut().extend_pairs(parameters);
    Some(url)
}

/// Where somebody is sent to, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Destination {
    /// A program on the person's own machine; which one, nobody can tell.
    Loopback(String),
    /// An app that has claimed this scheme; which one, nobody can tell either.
    App(String),
    Host(String),
}

impl Destination {
    pub fn of(redirect_uri: &str) -> Self {
        let url = Url::parse(redirect_uri).ok();
        let host = url.as_ref().and_then(Url::host_str).unwrap_or_default().to_owned();
        match url.as_ref().map(Url::scheme) {
            Some("https") => Self::Host(host),
            Some("http") => Self::Loopback(host),
            other => Self::App(other.unwrap_or_default().to_owned()),
        }
    }

    /// Whether any program of the machine could be there.
    pub fn is_on_this_computer(&self) -> bool {
        !matches!(self, Self::Host(_))
    }
}

/// Host and all after the port of a plain http URL on a loopback address.
fn loopback(text: &str) -> Option<(&str, &str)> {
    let after = text.strip_prefix("http://")?;
    let (host, rest) = LOOPBACK_HOSTS.into_iter().find_map(|host| Some((host, after.strip_prefix(host)?)))?;
    let rest = match rest.strip_prefix(':') {
        None => rest,
        Some(with_port) => {
            let end = with_port.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(with_port.len());
            let (port, rest) = with_port.split_at(end);
            port.parse::<u16>().ok().filter(|number| *number > 0 && number.to_string() == port)?;
            rest
        }
    };
    (rest.is_empty() || rest.starts_with(['/', '?'])).then_some((host, rest))
}

fn raw_authority(text: &str) -> &str {
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    rest.split_once(['/', '?']).map_or(rest, |(authority, _)| authority)
}

#[cfg(test)]
mod tests;
