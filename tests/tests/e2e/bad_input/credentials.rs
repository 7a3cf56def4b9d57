//! No credential, or a bad one.

use jwt_simple::prelude::{Duration, JWTClaims, NoCustomClaims};
use portcullis_tests::idp::IdentityProvider;
use portcullis_tests::mcp::{Agent, Era};
use portcullis_tests::stack::Builder;
use portcullis_wire::api_key::ApiKey;

use super::*;

#[tokio::test]
async fn credentials() {
    let stack = Stack::start().await;
    let good = || Request::good(&stack);
    let key = &stack.seeded.key.text;
    let bearer = |value: &str| good().set("authorization", value);
    let entropy: Vec<u8> = (0..=127).collect();
    let (unheard_of, _) = ApiKey::spell("live", &entropy).expect("enough entropy");
    let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJhZGEifQ.";
    run(
        &stack,
        vec![
            case("none", good().without("authorization"), 401, UNAUTHORIZED),
            case(
                "none, but claiming to be released",
                good().without("authorization").add("x-portcullis-upstream", "plain"),
                401,
                UNAUTHORIZED,
            ),
            case("empty", bearer(""), 401, UNAUTHORIZED),
            case("another scheme", bearer("Basic YWRhOmFkYQ=="), 401, UNAUTHORIZED),
            case("no credential after the scheme", bearer("Bearer"), 401, UNAUTHORIZED),
            case("two spaces", bearer(&format!("Bearer  {key}")), 401, UNAUTHORIZED),
            case(
                "a key that nobody has",
                bearer(&format!("Bearer {}", unheard_of.expose())),
                401,
                UNAUTHORIZED,
            ),
            case("a key cut off", bearer(&format!("Bearer {}", &key[..key.len() - 1])), 401, UNAUTHORIZED),
            case("a token without a signature", bearer(&format!("Bearer {unsigned}")), 401, UNAUTHORIZED),
            case("no token at all", bearer("Bearer x.y.z"), 401, UNAUTHORIZED),
            case("too long", bearer(&format!("Bearer {}", "a".repeat(9000))), 401, UNAUTHORIZED),
            case(
                "longer than all headers may be",
                bearer(&format!("Bearer {}", "a".repeat(65536))),
                431,
                None,
            ),
            case("two", good().add("authorization", format!("Bearer {key}")), 400, UNAUTHORIZED),
            case("two kinds", good().add("x-portcullis-api-key", key), 400, UNAUTHORIZED),
            case("bytes above 0x7f", good().set("authorization", b"Bearer \xff\xfe"), 401, UNAUTHORIZED),
            case(
                "in the query",
                good()
                    .without("authorization")
                    .line(&format!("POST /{SAMPLE}/mcp?access_token={key} HTTP/1.1")),
                401,
                UNAUTHORIZED,
            ),
            case(
                "in a cookie",
                good().without("authorization").add("cookie", format!("access_token={key}")),
                401,
                UNAUTHORIZED,
            ),
        ],
    )
    .await;
}

#[tokio::test]
async fn tokens() {
    let provider = IdentityProvider::default();
    let builder = Builder { issuers: provider.issuers(), ..Builder::default() };
    let stack = Stack::build(builder).await.unwrap_or_else(|error| panic!("no stack: {error:#}"));
    let bearer = |token: &str| Request::good(&stack).set("authorization", format!("Bearer {token}"));
    let spoilt = |spoil: fn(&mut JWTClaims<NoCustomClaims>)| {
        let mut claims = provider.claims();
        spoil(&mut claims);
        bearer(&provider.sign(claims))
    };
    let good = provider.sign(provider.claims());
    let (signed, signature) = good.rsplit_once('.').expect("three parts");
    let (header, claims) = signed.split_once('.').expect("three parts");
    let reversed: String = signature.chars().rev().collect();
    let stranger = IdentityProvider::default();
    run(
        &stack,
        vec![
            case(
                "expired",
                spoilt(|claims| claims.expires_at = Some(Duration::from_secs(1_000_000_000))),
                401,
                UNAUTHORIZED,
            ),
            case("without an end", spoilt(|claims| claims.expires_at = None), 401, UNAUTHORIZED),
            case(
                "not yet valid",
                spoilt(|claims| claims.invalid_before = claims.expires_at),
                401,
                UNAUTHORIZED,
            ),
            case(
                "for another audience",
                spoilt(|claims| *claims = claims.clone().with_audience("another")),
                401,
                UNAUTHORIZED,
            ),
            case("for no audience", spoilt(|claims| claims.audiences = None), 401, UNAUTHORIZED),
            case(
                "of another issuer",
                spoilt(|claims| *claims = claims.clone().with_issuer("https://evil.example")),
                401,
                UNAUTHORIZED,
            ),
            case("of nobody", spoilt(|claims| claims.subject = None), 401, UNAUTHORIZED),
            case(
                "of a stranger",
                spoilt(|claims| *claims = claims.clone().with_subject("mallory")),
                401,
                UNAUTHORIZED,
            ),
            case("signed by another key", bearer(&stranger.sign(stranger.claims())), 401, UNAUTHORIZED),
            case("with a changed signature", bearer(&format!("{signed}.{reversed}")), 401, UNAUTHORIZED),
            case("without a signature", bearer(&format!("{signed}.")), 401, UNAUTHORIZED),
            case(
                "claiming no signature",
                bearer(&format!("eyJhbGciOiJub25lIn0.{claims}.")),
                401,
                UNAUTHORIZED,
            ),
            case(
                "with other claims",
                bearer(&format!("{header}.{claims}e30.{signature}")),
                401,
                UNAUTHORIZED,
            ),
        ],
    )
    .await;
    // The good token alone is enough, so it was the spoiling.
    let agent = Agent::new(stack.url(SAMPLE), Some(&good), Era::Modern);
    let reply = agent.call_tool("whoami", serde_json::json!({})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let record = stack.envoy.access_log.record_of(reply.request_id()).await;
    assert_eq!(record["caller"], stack.seeded.member.as_str(), "{record}");
    assert_eq!(record["credential"], "jwt");
}
