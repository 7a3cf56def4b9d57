//! Presets: what is known of well-known servers, so that nobody has to find it out again.
//!
//! One file each in `presets/`, with its sources, the day they were looked at, and what could not be verified. A preset
//! fills what is not given and decides nothing: what it made is kept with the server and stays when the preset changes.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::domain::auth_draft::{AuthDraft, AuthorizationServerDraft, ClientMethod, Fault, Field};
use crate::text::did_you_mean;

/// A well-known server.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preset {
    /// The name of its file.
    #[serde(skip)]
    pub name: String,
    pub title: String,
    pub url: String,
    pub registration: Registration,
    /// How the provider wants to be shown a pre-registered client's secret.
    pub client_method: Option<ClientMethod>,
    pub authorization_server: Option<AuthorizationServerDraft>,
    pub scopes: Option<Vec<String>>,
    #[serde(default)]
    pub authorize_parameters: BTreeMap<String, String>,
    pub assume_pkce: Option<bool>,
    pub profile: Option<Profile>,
    /// What only the administrator has.
    #[serde(default)]
    pub enter: Vec<Enter>,
    #[serde(default)]
    pub notes: Vec<String>,
    /// What the sources do not tell.
    #[serde(default)]
    pub unverified: Vec<String>,
    pub sources: Vec<String>,
    /// The day on which the sources were looked at.
    pub checked: String,
}

/// How the gateway becomes a client of the provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Registration {
    /// By itself.
    Dynamic,
    /// An administrator registers it with the provider.
    PreRegistered,
}

/// Where the provider says what an account is called, if its metadata name no place for it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// Whose tokens are taken there.
    pub issuer: String,
    pub url: url::Url,
}

/// Something to be entered.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enter {
    pub field: String,
    /// Where to get it.
    pub how: String,
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../presets/", $name, ".yaml")))),*]
    };
}

const FILES: [(&str, &str); 9] = files![
    "atlassian",
    "github",
    "google-calendar",
    "google-drive",
    "google-gmail",
    "linear",
    "notion",
    "sentry",
    "slack",
];

static PRESETS: LazyLock<Vec<Preset>> = LazyLock::new(|| {
    FILES.iter().map(|(name, text)| read(name, text).expect("a test reads every file of presets/")).collect()
});

fn read(name: &str, text: &str) -> Result<Preset, serde_saphyr::Error> {
    Ok(Preset { name: name.to_owned(), ..serde_saphyr::from_str(text)? })
}

/// By name.
pub fn all() -> &'static [Preset] {
    &PRESETS
}

pub fn find(name: &str) -> Option<&'static Preset> {
    all().iter().find(|preset| preset.name == name)
}

/// The preset of the server at this URL, by its host.
pub fn for_host(host: &str) -> Option<&'static Preset> {
    let host_of = |preset: &Preset| Some(url::Url::parse(&preset.url).ok()?.host_str()?.to_owned());
    all().iter().find(|preset| host_of(preset).as_deref() == Some(host))
}

/// Where an account of this issuer says what it is called. It goes by the issuer of the tokens, and no setting of a
/// server has a say in it, so that they are shown to nobody but their own provider.
pub fn profile_of(issuer: &str) -> Option<url::Url> {
    let mut profiles = all().iter().filter_map(|preset| preset.profile.as_ref());
    profiles.find(|profile| profile.issuer == issuer).map(|profile| profile.url.clone())
}

/// The preset that somebody has named, or what is wrong with the name.
pub fn named(name: &str) -> Result<&'static Preset, Fault> {
    find(name).ok_or_else(|| {
        let names: Vec<&str> = all().iter().map(|preset| preset.name.as_str()).collect();
        Fault {
            field: Field::of(&["preset"]),
            problem: format!("there is no preset {name:?}"),
            remedy: did_you_mean(name, &names).map_or_else(
                || format!("choose one of {}, or leave it out", names.join(", ")),
                |meant| format!("did you mean {meant}?"),
            ),
        }
    })
}

/// Fills what a draft leaves open from the preset that it names. Answers the preset's URL.
pub fn complete<Secret>(draft: &mut AuthDraft<Secret>) -> Result<Option<&'static str>, Fault> {
    let Some(name) = &draft.preset else { return Ok(None) };
    let preset = named(name)?;
    match &mut draft.client {
        Some(client) if client.method.is_none() && client.private_key.is_none() => {
            client.method = preset.client_method;
        }
        None if preset.registration == Registration::PreRegistered => {
            let how: Vec<&str> = preset.enter.iter().map(|enter| enter.how.as_str()).collect();
            return Err(Fault {
                field: Field::of(&["client"]),
                problem: format!("{} takes only clients that were registered there by hand", preset.title),
                remedy: how.join(" "),
            });
        }
        _ => {}
    }
    draft.scopes = draft.scopes.take().or_else(|| preset.scopes.clone());
    draft.authorization_server =
        draft.authorization_server.take().or_else(|| preset.authorization_server.clone());
    draft.assume_pkce = draft.assume_pkce.or(preset.assume_pkce);
    for (name, value) in &preset.authorize_parameters {
        draft.authorize_parameters.entry(name.clone()).or_insert_with(|| value.clone());
    }
    Ok(Some(&preset.url))
}

#[cfg(test)]
mod tests {
    use secrecy::SecretString;

    use super::*;
    use crate::domain::auth_draft::{CheckedAuth, ClientDraft, DraftKind};
    use crate::domain::server::{AuthorizationServerSettings, OAuthSettings};
    use crate::domain::url::{PlainHttp, ServerUrl};

    fn named(name: &str) -> AuthDraft<SecretString> {
        AuthDraft { preset: Some(name.into()), ..AuthDraft::new(DraftKind::OAuth) }
    }

    fn entered() -> ClientDraft<SecretString> {
        ClientDraft {
            id: "client".into(),
            secret: Some(SecretString::from("hunter2")),
            private_key: None,
            key_id: None,
            method: None,
        }
    }

    fn settings(mut draft: AuthDraft<SecretString>) -> OAuthSettings<SecretString> {
        complete(&mut draft).expect("a complete draft");
        match draft.check() {
            Ok(CheckedAuth::OAuth(settings)) => settings,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_file_is_a_preset() {
        let mut files: Vec<String> = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/presets"))
            .expect("the directory")
            .map(|entry| entry.expect("an entry").file_name().into_string().expect("a name"))
            .collect();
        files.sort();
        let known: Vec<String> = FILES.iter().map(|(name, _)| format!("{name}.yaml")).collect();
        assert_eq!(files, known);
        for (name, text) in FILES {
            let preset = read(name, text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!preset.sources.is_empty() && preset.checked.len() == 10, "{name}");
        }
    }

    #[test]
    fn each_makes_a_server_with_what_is_entered() {
        for preset in all() {
            let mut draft = named(&preset.name);
            if preset.registration == Registration::PreRegistered {
                let fault = complete(&mut draft.clone()).expect_err("it wants a client");
                assert!(fault.remedy.contains("callback_url"), "{}: {}", preset.name, fault.remedy);
                draft.client = Some(entered());
            }
            let url = complete(&mut draft).expect("complete").expect("a URL");
            ServerUrl::parse(url, PlainHttp::Refused).unwrap_or_else(|error| panic!("{url}: {error}"));
            let settings = settings(draft);
            assert_eq!(settings.preset.as_ref(), Some(&preset.name));
            assert_eq!(settings.client.is_some(), preset.registration == Registration::PreRegistered);
        }
    }

    #[test]
    fn what_is_given_wins() {
        let google = settings(AuthDraft {
            client: Some(entered()),
            scopes: Some(vec!["openid".into()]),
            authorize_parameters: BTreeMap::from([("prompt".into(), "select_account".into())]),
            ..named("google-gmail")
        });
        assert_eq!(google.scopes, Some(vec!["openid".into()]));
        let parameters: Vec<(&str, &str)> =
            google.authorize_parameters.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(parameters, [("access_type", "offline"), ("prompt", "select_account")]);
        let issuer = AuthorizationServerSettings::Issuer { issuer: "https://accounts.google.com".into() };
        assert_eq!(google.authorization_server, issuer);
        assert_eq!(google.client.expect("a client").authentication.as_str(), "client_secret_post");
    }

    #[test]
    fn a_misspelt_name_is_told() {
        let fault = complete(&mut named("liner")).expect_err("unknown");
        assert_eq!(fault.remedy, "did you mean linear?");
        assert!(
            complete(&mut named("salesforce")).expect_err("unknown").remedy.contains("atlassian, github")
        );
    }

    #[test]
    fn a_server_is_recognised_by_its_host() {
        assert_eq!(for_host("mcp.linear.app").map(|preset| preset.name.as_str()), Some("linear"));
        assert!(for_host("linear.app").is_none());
    }
}
