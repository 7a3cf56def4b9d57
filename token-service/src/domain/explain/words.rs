//! What rules mean, for people, and what to do about them.

mod refusal;

use self::refusal::refusal;

/// What a decision rests on, and so what it takes to say whether it still holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Basis {
    /// Objects and policies: the same question has an answer now.
    Registry,
    /// The request itself, or the credential that came with it. The same request is answered the same.
    Request,
    /// How much was going on just then.
    Moment,
}

/// What a denial with this rule rests on.
pub fn basis(rule: &str) -> Basis {
    let of_the_moment =
        ["server/concurrency", "too_many_unknown_credentials", "account/scopes", "verification_busy"];
    if of_the_moment.contains(&rule) || rule.contains("/limits:") || rule.ends_with("/sensitive") {
        return Basis::Moment;
    }
    let of_the_request = [
        "token/",
        "issuer/audiences",
        "issuer/claims",
        "issuer/max_age",
        "key/secret",
        "session/path",
        "caller/workspace",
    ];
    let about_arguments = rule.contains("/arguments");
    if about_arguments || of_the_request.iter().any(|start| rule.starts_with(start)) {
        return Basis::Request;
    }
    if rule.contains('/') || rule == "insufficient_scope" { Basis::Registry } else { Basis::Request }
}

/// One sentence on what the rule says, and what to do next.
pub fn says(rule: &str) -> String {
    if let Some(text) = fixed(rule).or_else(|| refusal(rule)) {
        return text.to_owned();
    }
    of_a_level(rule).unwrap_or_else(|| {
        format!(
            "The gateway refused the request for a reason that this version does not know ({rule}). Filter and token-service are of different versions; look the reason up in the version of the filter."
        )
    })
}

fn fixed(rule: &str) -> Option<&'static str> {
    Some(match rule {
        "quarantine/member" => {
            "The member is in quarantine. Whoever set it can lift it: DELETE /v1/quarantines/member:<id>."
        }
        "quarantine/key" => {
            "The key is in quarantine. Whoever set it can lift it: DELETE /v1/quarantines/key:<id>."
        }
        "quarantine/server" => {
            "The server is in quarantine, for everybody. An administrator can lift it: DELETE /v1/quarantines/server:<slug>."
        }
        "key/unknown" => "There is no such key: it was deleted, or is of another gateway. Make a new one.",
        "key/secret" => {
            "There is a key with this id, but its secret is another one. Copy the key again, whole."
        }
        "key/disabled" => "The key is disabled. PATCH /v1/keys/<id> enables it.",
        "key/expired" => "The key has expired. Rotate it, or give it a later end.",
        "key/owner" => "The member who owns the key is gone.",
        "key/maker" => {
            "Whoever made this service key may no longer make such keys: no manager any more, disabled, or in quarantine. Have somebody else make one."
        }
        "key/scope.servers" => "The key is for other servers only. Change its limits, or use another key.",
        "member/unknown" => {
            "Nobody of this issuer and subject is a member. Add the member, or let the issuer provision members."
        }
        "member/disabled" => "The member is disabled. PATCH /v1/members/<id> enables it.",
        "member/lapsed" => {
            "The company's groups no longer say that this is a member. It is one again once a sign-in says so."
        }
        "caller/workspace" => {
            "The caller belongs to another workspace than the path names, or to several and the path names none. Use the URL of the workspace."
        }
        "session/unknown" => "The client's sign-in has ended. The member signs in again.",
        "session/expired" => {
            "The client's sign-in or its token has expired. The client refreshes it, or the member signs in again."
        }
        "session/scopes" => "The token has no scope of this gateway. The client signs in again.",
        "session/path" => {
            "The token is for another path than the one that was called. The client signs in for this server."
        }
        "session/server" => {
            "Another server has the path by now that the client signed in for. The member signs in again."
        }
        "token/expired" => "The token has expired. The client gets a new one.",
        "token/inactive" => {
            "The issuer was asked and does not vouch for the token. The client gets a new one."
        }
        "issuer/unknown" => "The issuer of the token is not declared. Add it to the configuration.",
        "issuer/servers" => "Tokens of this issuer are not for this server (`only_servers` of the issuer).",
        "issuer/audiences" => {
            "The token is for another audience than the issuer's rules for this server name."
        }
        "issuer/max_age" => "The token is older than the issuer's rules for this server allow.",
        "issuer/claims" => "The token's claims are not what the issuer's rules for this server ask for.",
        "issuer/rules" => "The rules of the issuer for this server.",
        "issuer/workspace" => "The token does not say which workspace it speaks for, and the issuer has to.",
        "server/unknown" => "There is no server of this name. Check the path, or register the server.",
        "provision/workspace" => {
            "The workspace does not have the server. PUT /v1/servers/<server>/workspaces/<workspace> gives it."
        }
        "provision/member" => {
            "The server is not for this member. PUT /v1/servers/<server>/members/<member> allows it."
        }
        "server/account" => {
            "The server needs an account of each person, and no person is behind a service key. Use the key of a member."
        }
        "server/credential" => {
            "The gateway holds no usable credential for the server. An administrator has to set it."
        }
        "server/concurrency" => {
            "As many requests as the server may have at once through one Envoy were under way. Try again, or give the server a higher `concurrency`."
        }
        "account/scopes" => {
            "The server has asked for further permissions several times within the hour. Wait, or connect the account anew."
        }
        "insufficient_scope" => {
            "The client signed in for reading only, and the tool is not known to read only. The client asks for mcp:write."
        }
        _ => return None,
    })
}

/// `workspace/tools.deny:delete_*` and its like.
fn of_a_level(rule: &str) -> Option<String> {
    let (level, rest) = rule.split_once('/')?;
    if !["organization", "workspace", "member", "key"].contains(&level) {
        return None;
    }
    let (what, detail) = rest.split_once(':').unwrap_or((rest, ""));
    let change = format!(
        "An entry of the {level}'s policy on this server says so; PUT /v1/policies/<target>/<server> changes it."
    );
    Some(match what {
        "enabled" => format!("The {level}'s policy decides on the server as a whole. {change}"),
        "read_only" => format!("The {level} leaves tools that are known to read only. {change}"),
        "new_tools" => format!("Nobody has approved the tool's present definition. {change}"),
        "sensitive" => {
            "The tool is refused while the gateway cannot tell whether its leases still hold.".to_owned()
        }
        "limits" => format!(
            "The {level}'s limit {detail} was used up. It refills by itself; GET /v1/limits/<target> shows it, and PUT changes it."
        ),
        "arguments" => format!("The call's argument {detail} is not what it has to be. {change}"),
        _ => match what.split_once('.') {
            Some((kind, "deny")) => format!("The {level} denies {kind} that match {detail}. {change}"),
            Some((kind, "allow")) => {
                format!("The {level} allows certain {kind} only, and this is none of them. {change}")
            }
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rests_on_what() {
        for (rule, expected) in [
            ("workspace/enabled", Basis::Registry),
            ("workspace/tools.deny:x", Basis::Registry),
            ("quarantine/member", Basis::Registry),
            ("insufficient_scope", Basis::Registry),
            ("workspace/arguments:/project", Basis::Request),
            ("token/expired", Basis::Request),
            ("key/secret", Basis::Request),
            ("no_credential", Basis::Request),
            ("invalid_json", Basis::Request),
            ("workspace/limits:writes", Basis::Moment),
            ("server/concurrency", Basis::Moment),
            ("too_many_unknown_credentials", Basis::Moment),
            ("server/unknown", Basis::Registry),
        ] {
            assert_eq!(basis(rule), expected, "{rule}");
        }
    }

    #[test]
    fn levels_are_named() {
        let text = says("workspace/tools.deny:delete_*");
        assert!(text.starts_with("The workspace denies tools that match delete_*."), "{text}");
        assert!(says("member/tools.allow").contains("none of them"));
        assert!(says("workspace/limits:writes").starts_with("The workspace's limit writes was used up."));
        assert!(says("something_new").contains("something_new"));
    }
}
