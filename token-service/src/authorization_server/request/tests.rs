use super::*;
use crate::clock::SystemEntropy;

const GATEWAY: &str = "https://mcp.example.com";
const CLIENT: (&str, &str) = ("assistant", "https://app.example/cb");
const GOOD: &str = "client_id=assistant&redirect_uri=https://app.example/cb&response_type=code&state=a%20b\
                    &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256\
                    &resource=https://mcp.example.com/linear/mcp";

fn read(query: &str) -> Result<AuthorizationRequest, Refusal> {
    AuthorizationRequest::read(&Parameters::read(query), CLIENT, GATEWAY, &SystemEntropy, Timestamp(0))
}

#[test]
fn a_good_one() {
    assert_eq!(Parameters::read(GOOD).opening(), Some(CLIENT));
    let request = read(GOOD).expect("good");
    assert_eq!((request.state.as_deref(), request.extent()), (Some("a b"), Extent::Everything));
    assert_eq!(request.resource().expect("a resource").url(GATEWAY), "https://mcp.example.com/linear/mcp");
    assert!(!request.is_over(Timestamp(0).plus(LIFE).minus(Duration::from_millis(1))));
    assert!(request.is_over(Timestamp(0).plus(LIFE)));
    assert_ne!(read(GOOD).expect("good").digest(), request.digest());
    let back = request.with_code(GATEWAY, "x").expect("an address");
    assert_eq!(back.as_str(), "https://app.example/cb?code=x&state=a+b&iss=https%3A%2F%2Fmcp.example.com");
    for more in ["&prompt=consent", "&response_mode=query", "&nonce=1", "&scope=", "&state2=x"] {
        assert!(read(&format!("{GOOD}{more}")).is_ok(), "{more}");
    }
    let reading = read(&format!("{GOOD}&scope=mcp:read")).expect("good");
    assert_eq!(reading.extent(), Extent::Reading);
}

#[test]
fn without_one_client_and_one_address_nobody_is_sent_anywhere() {
    for query in [
        "",
        "client_id=assistant",
        "redirect_uri=https://app.example/cb",
        "client_id=&redirect_uri=https://app.example/cb",
        "client_id=assistant&client_id=assistant&redirect_uri=https://app.example/cb",
        "client_id=assistant&redirect_uri=https://app.example/cb&redirect_uri=https://evil.example",
    ] {
        assert_eq!(Parameters::read(query).opening(), None, "{query}");
    }
    let long = format!("client_id={}&redirect_uri=x", "a".repeat(MAX_CLIENT_ID + 1));
    assert_eq!(Parameters::read(&long).opening(), None);
}
