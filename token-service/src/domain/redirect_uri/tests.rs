use proptest::prelude::*;

use super::*;

#[test]
fn good_ones_are_registered() {
    for text in [
        "https://claude.ai/api/mcp/auth_callback",
        "https://app.example",
        "https://app.example:8443/cb?tenant=1",
        "http://127.0.0.1/callback",
        "http://127.0.0.1:33418",
        "http://[::1]:5000/cb",
        "http://localhost/callback",
        "com.example.app:/callback",
        "com.example.app://host/callback",
    ] {
        assert_eq!(check(text, Schemes::Dotted), Ok(()), "{text}");
    }
    assert_eq!(check("cursor://anysphere.cursor-retrieval/oauth/cb", Schemes::Any), Ok(()));
    assert_eq!(
        check("cursor://anysphere.cursor-retrieval/oauth/cb", Schemes::Dotted),
        Err(RedirectUriError::Scheme)
    );
}

#[test]
fn bad_ones_are_not() {
    for (text, error) in [
        ("", RedirectUriError::Malformed),
        ("/callback", RedirectUriError::Malformed),
        ("https://", RedirectUriError::Malformed),
        ("https://*.example/cb", RedirectUriError::Malformed),
        ("https://app.example/ cb", RedirectUriError::Malformed),
        ("https://app.example/\tcb", RedirectUriError::Malformed),
        ("https://app.example\\@evil.example", RedirectUriError::Malformed),
        ("https://bücher.example/cb", RedirectUriError::Malformed),
        ("https://app.example/cb#x", RedirectUriError::Fragment),
        ("https://app.example/cb#", RedirectUriError::Fragment),
        ("https://me@app.example/cb", RedirectUriError::UserInfo),
        ("https://me:pw@app.example/cb", RedirectUriError::UserInfo),
        ("https://@app.example/cb", RedirectUriError::UserInfo),
        ("http://app.example/cb", RedirectUriError::PlainHttp),
        ("http://127.0.0.1.evil.example/cb", RedirectUriError::PlainHttp),
        ("http://localhost.evil.example/cb", RedirectUriError::PlainHttp),
        ("http://127.1/cb", RedirectUriError::PlainHttp),
        ("http://0.0.0.0/cb", RedirectUriError::PlainHttp),
        ("http://169.254.169.254/cb", RedirectUriError::PlainHttp),
        ("javascript:alert(1)", RedirectUriError::Scheme),
        ("data:text/html,x", RedirectUriError::Scheme),
        ("file:///etc/passwd", RedirectUriError::Scheme),
        ("vbscript:x", RedirectUriError::Scheme),
        ("https://app.example/a/../cb", RedirectUriError::NotNormal),
        ("https://app.example/a/%2e%2e/cb", RedirectUriError::NotNormal),
        ("https://APP.example/cb", RedirectUriError::NotNormal),
        ("https:app.example/cb", RedirectUriError::NotNormal),
        ("https:///app.example/cb", RedirectUriError::NotNormal),
        ("https://app.example:443/cb", RedirectUriError::NotNormal),
        ("https://app.example/cb?code=1", RedirectUriError::Parameter),
        ("https://app.example/cb?x=1&st%61te=1", RedirectUriError::Parameter),
    ] {
        for schemes in [Schemes::Dotted, Schemes::Any] {
            assert_eq!(check(text, schemes), Err(error), "{text}");
        }
    }
    assert_eq!(
        check(&format!("https://app.example/{}", "a".repeat(512)), Schemes::Any),
        Err(RedirectUriError::Malformed)
    );
}

/// Spellings by which open redirects were found elsewhere, each around `{good}` or `{host}`.
const TRICKS: &str = include_str!("tricks.txt");

#[test]
fn no_trick_is_taken_for_what_was_registered() {
    let registered =
        ["https://app.example/cb", "http://127.0.0.1/cb", "http://localhost:3000/cb", "com.example.app:/cb"];
    let mut tried = 0;
    for good in registered {
        assert_eq!(check(good, Schemes::Dotted), Ok(()));
        for trick in TRICKS.lines().filter(|line| !line.is_empty() && !line.starts_with("##")) {
            let host =
                good.split("://").nth(1).unwrap_or("app.example").split('/').next().unwrap_or_default();
            let unescaped = trick
                .replace("<TAB>", "\t")
                .replace("<LF>", "\n")
                .replace("<CR>", "\r")
                .replace("<NUL>", "\0");
            let given = unescaped.replace("{good}", good).replace("{host}", host);
            assert_ne!(given, good, "{trick} is no trick");
            assert!(!matches(good, &given), "{given:?} passes for {good}");
            tried += 1;
        }
    }
    assert!(tried > 500, "{tried}");
}

#[test]
fn only_the_port_of_a_loopback_address_is_free() {
    assert!(matches("http://127.0.0.1/cb", "http://127.0.0.1:51234/cb"));
    assert!(matches("http://127.0.0.1:1/cb?x=1", "http://127.0.0.1:65535/cb?x=1"));
    assert!(matches("http://[::1]/cb", "http://[::1]:8/cb"));
    assert!(matches("http://localhost:3000/cb", "http://localhost/cb"));
    for (registered, given) in [
        ("http://127.0.0.1/cb", "http://localhost/cb"),
        ("http://localhost/cb", "http://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://[::1]/cb"),
        ("http://127.0.0.1/cb", "https://127.0.0.1/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:0/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:080/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:65536/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:/cb"),
        ("http://127.0.0.1/cb", "http://127.0.0.1:80@evil.example/cb"),
        ("http://127.0.0.1", "http://127.0.0.1:80/"),
        ("https://app.example/cb", "https://app.example:8443/cb"),
        ("https://localhost/cb", "https://localhost:8443/cb"),
    ] {
        assert!(!matches(registered, given), "{given} for {registered}");
    }
}

#[test]
fn people_are_told_where_they_go() {
    let host = |name: &str| Destination::Host(name.to_owned());
    assert_eq!(Destination::of("https://claude.ai/cb"), host("claude.ai"));
    assert_eq!(Destination::of("http://127.0.0.1:5/cb"), Destination::Loopback("127.0.0.1".to_owned()));
    assert_eq!(Destination::of("com.example.app:/cb"), Destination::App("com.example.app".to_owned()));
}

#[test]
fn a_response_is_added_to_the_query() {
    let spelt = |given: &str| with_parameters(given, &[("code", "a b"), ("state", "&")]).map(String::from);
    assert_eq!(spelt("https://app.example/cb").as_deref(), Some("https://app.example/cb?code=a+b&state=%26"));
    assert_eq!(spelt("http://[::1]:9/?x=%20").as_deref(), Some("http://[::1]:9/?x=%20&code=a+b&state=%26"));
    assert_eq!(spelt("com.example.app:/cb").as_deref(), Some("com.example.app:/cb?code=a+b&state=%26"));
}

proptest! {
    /// Whatever is accepted leads to the registered place, but for the port of a loopback address.
    #[test]
    fn what_matches_is_the_same_place(
        registered in "(https|http)://(app\\.example|127\\.0\\.0\\.1|localhost|\\[::1\\])(:[0-9]{1,5})?(/[a-z./%]{0,6})?(\\?[a-z=]{0,4})?",
        given in "(https|http)://(app\\.example|127\\.0\\.0\\.1|localhost|\\[::1\\])(:[0-9]{1,5})?[/a-z.@\\\\%]{0,6}(\\?[a-z=]{0,4})?",
    ) {
        if check(&registered, Schemes::Dotted).is_ok() && matches(&registered, &given) {
            let (one, other) = (Url::parse(&registered).expect("a URL"), Url::parse(&given).expect("a URL"));
            prop_assert_eq!(one.scheme(), other.scheme());
            prop_assert_eq!(one.host_str(), other.host_str());
            prop_assert_eq!(one.path(), other.path());
            prop_assert_eq!(one.query(), other.query());
            prop_assert!(one.port() == other.port() || one.scheme() == "http");
            prop_assert!(check(&given, Schemes::Dotted).is_ok() || one.scheme() == "http");
        }
    }

    #[test]
    fn a_change_anywhere_is_another_place(at in 0_usize..30, letter in "[ -~]") {
        let good = "https://app.example/callback?x=1";
        let mut given = good.to_owned();
        given.insert_str(at, &letter);
        prop_assert!(!matches(good, &given));
        let mut given = good.to_owned();
        given.replace_range(at..=at, &letter);
        prop_assert!(given == good || !matches(good, &given));
    }
}
