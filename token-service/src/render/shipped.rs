//! The configuration of a plain Envoy, which is the pattern: how an upstream is reached is written there once.

use std::path::PathBuf;

use serde_json::Value;

use super::RenderError;

const ENVOY: &str = include_str!("../../../envoy/envoy.yaml");

/// A configuration of Envoy with the gateway's clusters and routes.
#[derive(Clone, Debug)]
pub(crate) struct Shipped {
    root: Value,
}

/// What a configuration lacks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShippedError {
    #[error("the configuration of Envoy is not YAML: {0}")]
    Yaml(String),
    #[error("the configuration of Envoy has no {0}, which envoy/envoy.yaml has; take it over from there")]
    Lacks(String),
}

impl Shipped {
    /// The one that this version was shipped with.
    pub(crate) fn load() -> Result<Self, RenderError> {
        Ok(Self::parse(ENVOY)?)
    }

    pub(crate) fn read(path: &PathBuf) -> Result<Self, RenderError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| RenderError::Base { path: path.display().to_string(), error })?;
        Ok(Self::parse(&text)?)
    }

    pub(crate) fn parse(text: &str) -> Result<Self, ShippedError> {
        let root = serde_saphyr::from_str(text).map_err(|error| ShippedError::Yaml(error.to_string()))?;
        Ok(Self { root })
    }

    pub(crate) fn cluster(&self, name: &str) -> Result<Value, ShippedError> {
        named(&self.root["static_resources"]["clusters"], name)
            .cloned()
            .ok_or_else(|| ShippedError::Lacks(format!("cluster {name}")))
    }

    /// The routes of a listener.
    pub(crate) fn routes(&self, listener: &str) -> Result<Value, ShippedError> {
        let found = named(&self.root["static_resources"]["listeners"], listener)
            .and_then(|listener| listener.pointer("/filter_chains/0/filters/0/typed_config/route_config"));
        found.cloned().ok_or_else(|| ShippedError::Lacks(format!("listener {listener} with a route_config")))
    }

    /// The first route of a name that a listener has.
    pub(crate) fn route(&self, listener: &str, name: &str) -> Result<Value, ShippedError> {
        let routes = self.routes(listener)?;
        let mut hosts = routes["virtual_hosts"].as_array().into_iter().flatten();
        hosts
            .find_map(|host| named(&host["routes"], name))
            .cloned()
            .ok_or_else(|| ShippedError::Lacks(format!("route {name} of listener {listener}")))
    }
}

/// The element of a list that has this name.
pub(crate) fn named<'a>(list: &'a Value, name: &str) -> Option<&'a Value> {
    list.as_array()?.iter().find(|element| element["name"] == name)
}

/// What stands at a JSON pointer of what is called `what`.
pub(crate) fn at<'a>(value: &'a Value, what: &str, pointer: &str) -> Result<&'a Value, ShippedError> {
    value.pointer(pointer).ok_or_else(|| ShippedError::Lacks(format!("{pointer} of {what}")))
}
