//! What the headers of a POST say of the body that is to follow.
//!
//! Headers and body have to agree, so what is denied by the one is denied by the other. Modern requests have to say in
//! their headers what they ask for (MCP 2026-07-28, transports, "Standard Request Headers"); of others it may be nothing.

use portcullis_wire::policy::Kind;

use super::headers::McpHeaders;
use super::method::Method;
use super::targets::Target;
use super::version::{Era, ProtocolVersion};

/// What is asked for, as far as the headers say it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announced {
    /// `None` where only the body says it.
    pub era: Option<Era>,
    pub method: Option<Method>,
    pub target: Option<Target>,
}

impl Announced {
    /// `None` if no body can follow that would be accepted.
    pub fn read(headers: &McpHeaders) -> Option<Self> {
        let stated = match headers.protocol_version.as_deref() {
            Some(text) => ProtocolVersion::parse(text)?.era(),
            None => Era::Legacy,
        };
        let Some(name) = headers.method.as_deref() else {
            // With the header of a modern version it may still be the handshake of a legacy one.
            let era = Some(stated).filter(|era| *era == Era::Legacy);
            return Some(Self { era, ..Self::default() });
        };
        let (method, era) = match Method::parse(name, stated) {
            Some(method) => (method, stated),
            None => (Method::parse(name, Era::Legacy)?, Era::Legacy),
        };
        let kind = match method {
            Method::ToolsCall => Some(Kind::Tool),
            Method::PromptsGet => Some(Kind::Prompt),
            Method::ResourcesRead | Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
                Some(Kind::Resource)
            }
            _ => None,
        };
        let name = headers.decoded_name().ok()?;
        if kind.is_some() && name.is_none() && era == Era::Modern {
            return None;
        }
        let target = kind.zip(name).map(|(kind, name)| Target { kind, name: name.into_owned() });
        Some(Self { era: Some(era), method: Some(method), target })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(version: Option<&str>, method: Option<&str>, name: Option<&str>) -> Option<Announced> {
        let text = |value: Option<&str>| value.map(str::to_owned);
        let headers = McpHeaders {
            protocol_version: text(version),
            method: text(method),
            name: text(name),
            ..McpHeaders::default()
        };
        Announced::read(&headers)
    }

    const MODERN: Option<&str> = Some("2026-07-28");

    #[test]
    fn a_modern_request_says_what_it_asks_for() {
        let announced = read(MODERN, Some("tools/call"), Some("=?base64?ZWNobw==?=")).expect("acceptable");
        assert_eq!(announced.target, Some(Target { kind: Kind::Tool, name: "echo".into() }));
        let list = read(MODERN, Some("tools/list"), None).expect("acceptable");
        assert_eq!((list.era, list.target.as_ref()), (Some(Era::Modern), None));
    }

    #[test]
    fn a_legacy_request_need_not_say_anything() {
        assert_eq!(
            read(None, None, None),
            Some(Announced { era: Some(Era::Legacy), ..Announced::default() })
        );
        let call = read(Some("2025-11-25"), Some("resources/subscribe"), Some("a://b")).expect("acceptable");
        assert_eq!(call.target, Some(Target { kind: Kind::Resource, name: "a://b".into() }));
        let handshake = read(MODERN, Some("initialize"), None).expect("acceptable");
        assert_eq!(handshake.era, Some(Era::Legacy));
        assert_eq!(read(MODERN, None, None), Some(Announced::default()));
    }

    #[test]
    fn nothing_acceptable_can_follow() {
        for (version, method, name) in [
            (Some("2024-11-05"), None, None),
            (MODERN, Some("tools/make"), None),
            (MODERN, Some("TOOLS/CALL"), Some("echo")),
            (MODERN, Some("tools/call"), None),
            (MODERN, Some("tools/call"), Some("=?base64?!?=")),
            (None, Some("server/discover"), None),
        ] {
            assert_eq!(read(version, method, name), None, "{version:?} {method:?} {name:?}");
        }
    }
}
