//! The real Envoy, run with the shipped configuration. Only addresses, paths and the public URL are replaced, so
//! that what is tested is what is shipped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Value, json};

use crate::access_log::AccessLog;
use crate::artifacts::{Artifacts, repository};
use crate::mesh::Place;
use crate::patience::poll_for;
use crate::process::{Process, Program};

/// What differs from run to run.
#[derive(Clone, Debug)]
pub struct Settings {
    pub gateway: SocketAddr,
    pub admin: SocketAddr,
    /// The token-service's internal listener.
    pub token_service: SocketAddr,
    /// The internal listeners of further token-services, asked in turn as `envoy/replicas.yaml` says.
    pub replicas: Vec<SocketAddr>,
    /// The token-service's public listener.
    pub pages: SocketAddr,
    pub public_url: String,
    pub access_log: PathBuf,
    /// Worker threads, each with a VM of its own.
    pub concurrency: u32,
    /// What is logged more or less than `info`, by component.
    pub log: &'static str,
    /// Envoy's own rate limit service, asked as `envoy/rate-limit.yaml` says.
    pub rate_limit_service: Option<SocketAddr>,
    /// How long a response from an upstream may last, if not as long as shipped.
    pub longest_response: Option<Duration>,
    /// How long a call to the token-service may take, if not as long as shipped.
    pub longest_lease: Option<Duration>,
    /// Where spans go, as `envoy/tracing.yaml` says.
    pub collector: Option<SocketAddr>,
    /// The authorities whose certificates servers may show, if not the system's.
    pub trusted_ca: Option<PathBuf>,
    /// The file that Envoy reads its ingress from, and reads again when it is replaced; otherwise it stays as it is.
    pub listener_file: Option<PathBuf>,
    /// The same of the filter alone, as `envoy/plain` has it.
    pub filter_file: Option<PathBuf>,
    /// A gateway of a mesh, whose configuration is another.
    pub mesh: Option<Place>,
    /// Clusters and routes are what the token-service's program renders from this registry, and read from files.
    pub rendered_from: Option<Registry>,
}

/// Where the servers stand.
#[derive(Clone, Debug)]
pub enum Registry {
    /// A `portcullis.yaml`.
    File(PathBuf),
    /// The admin listener of a running service.
    Service { admin_url: String, token: String },
}

/// Envoy compiles the filter before it is ready, which takes long where compilers run beside it.
const COMPILING: Duration = Duration::from_secs(90);

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    pub process: Process,
    pub access_log: AccessLog,
    pub admin_url: String,
    http: reqwest::Client,
    program: Program,
    directory: PathBuf,
}

/// Whether everything is to be tried with headers that go before their body, on a host that cannot hold them.
pub fn streams_bodies() -> bool {
    std::env::var_os("PORTCULLIS_BODY_GATE").is_some_and(|gate| gate == "stream")
}

/// The shipped configuration.
pub fn shipped_configuration() -> PathBuf {
    repository().join("envoy/envoy.yaml")
}

impl Envoy {
    /// Starts Envoy in `directory`, which receives its configuration and its log.
    pub fn start(artifacts: &Artifacts, settings: &Settings, directory: &Path) -> anyhow::Result<Self> {
        let configuration = match &settings.mesh {
            Some(place) => place.render(artifacts, settings, directory)?,
            None => plain(artifacts, settings, directory)?,
        };
        let path = directory.join("envoy.json");
        std::fs::write(&path, configuration)?;
        let program = Program {
            name: "envoy",
            path: artifacts.envoy.clone(),
            arguments: vec![
                "-c".into(),
                path.into(),
                // Lets several Envoys run on one machine.
                "--use-dynamic-base-id".into(),
                "--concurrency".into(),
                settings.concurrency.to_string().into(),
                "--component-log-level".into(),
                settings.log.into(),
                "--file-flush-interval-msec".into(),
                "20".into(),
            ],
            environment: Vec::new(),
        };
        Ok(Self {
            process: Process::start(&program, directory)?,
            access_log: AccessLog::new(settings.access_log.clone()),
            admin_url: format!("http://{}", settings.admin),
            http: crate::http::client().build()?,
            program,
            directory: directory.to_owned(),
        })
    }

    /// Replaces the listener in `file`, from which this Envoy has it, with what `change` makes of its plugin
    /// configuration.
    pub fn change_listener(
        &self,
        file: &Path,
        version: u32,
        change: impl FnOnce(&mut Value),
    ) -> anyhow::Result<()> {
        let mut resources: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        let mut listener = at(&mut resources, "/resources/0")?.take();
        change_plugin(&mut listener, change)?;
        write_listener(file, listener, version)
    }

    /// Replaces the filter in `file`, from which this Envoy has it, with what `change` makes of its plugin configuration.
    pub fn change_filter(&self, file: &Path, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        let mut resources: Value = serde_json::from_str(&std::fs::read_to_string(file)?)?;
        let plugin = at(&mut resources, "/resources/0/typed_config/config")?;
        change_plugin_configuration(plugin, change)?;
        replace(file, &resources)
    }

    /// Ends it as a crash would, and starts it again with what `change` makes of its plugin configuration. It may end at
    /// once.
    pub fn restart_changed(&mut self, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
        self.process.kill()?;
        let path = self.directory.join("envoy.json");
        let mut root: Value = serde_json::from_str(&std::fs::read_to_string(&path)?)?;
        change_plugin(named(&mut root, "/static_resources/listeners", "ingress")?, change)?;
        std::fs::write(&path, serde_json::to_string_pretty(&root)?)?;
        self.process = Process::start(&self.program, &self.directory)?;
        Ok(())
    }

    /// Ends it as a crash would, and starts it again.
    pub async fn restart(&mut self) -> anyhow::Result<()> {
        self.process.kill()?;
        self.process = Process::start(&self.program, &self.directory)?;
        self.ready().await
    }

    /// Waits until Envoy serves. Says nothing of the filter, which may still wait for the token-service.
    pub async fn ready(&mut self) -> anyhow::Result<()> {
        let url = format!("{}/ready", self.admin_url);
        let (http, process) = (&self.http, &mut self.process);
        let outcome = poll_for(COMPILING, async || {
            if let Ok(Some(status)) = process.ended() {
                return Some(Err(status));
            }
            let reply = http.get(&url).send().await.ok()?;
            reply.status().is_success().then_some(Ok(()))
        })
        .await;
        match outcome {
            Some(Ok(())) => Ok(()),
            Some(Err(status)) => bail!("Envoy has ended: {status}\n{}", self.process.log_tail()),
            None => bail!("Envoy does not get ready\n{}", self.process.log_tail()),
        }
    }

    /// The sum of all counters and gauges whose name contains `name`.
    pub async fn stat(&self, name: &str) -> anyhow::Result<u64> {
        let url = format!("{}/stats?format=json&filter={name}", self.admin_url);
        let reply: Value = serde_json::from_str(&self.http.get(url).send().await?.text().await?)?;
        let stats = reply["stats"].as_array().cloned().unwrap_or_default();
        // A misspelt name must not pass for a zero.
        anyhow::ensure!(!stats.is_empty(), "Envoy has no statistic {name}");
        Ok(stats.iter().filter_map(|stat| stat["value"].as_u64()).sum())
    }
}

/// The shipped configuration for other addresses and paths, as JSON, which Envoy reads too.
pub fn render(shipped: &str, settings: &Settings, wasm: &Path) -> anyhow::Result<String> {
    let mut root: Value = serde_saphyr::from_str(shipped).context("the shipped configuration is not YAML")?;
    set(&mut root, "/admin/address", address(settings.admin))?;

    let ingress = named(&mut root, "/static_resources/listeners", "ingress")?;
    set(ingress, "/address", address(settings.gateway))?;
    let manager = at(ingress, "/filter_chains/0/filters/0/typed_config")?;
    set(manager, "/access_log/0/typed_config/path", json!(settings.access_log))?;
    let plugin = at(named(manager, "/http_filters", "portcullis")?, "/typed_config/config")?;
    set(plugin, "/vm_config/code/local/filename", json!(wasm))?;
    let text = at(plugin, "/configuration/value")?;
    let mut configuration: Value =
        serde_json::from_str(text.as_str().context("the plugin configuration is not a text")?)
            .context("the plugin configuration is not JSON")?;
    set(&mut configuration, "/public_url", json!(settings.public_url))?;
    if streams_bodies() {
        set(&mut configuration, "/body_gate", json!("stream"))?;
    }
    if let Some(longest) = settings.longest_lease {
        set(&mut configuration, "/token_service/timeout_ms", json!(longest.as_millis()))?;
    }
    *text = json!(configuration.to_string());
    if streams_bodies() {
        let allowed =
            plugin.as_object_mut().and_then(|plugin| plugin.remove("allow_on_headers_stop_iteration"));
        anyhow::ensure!(allowed.is_some(), "the shipped configuration does not let headers wait");
    }

    for (cluster, listener) in [
        ("token_service", settings.token_service),
        ("token_service_records", settings.token_service),
        ("token_service_public", settings.pages),
    ] {
        let cluster = named(&mut root, "/static_resources/clusters", cluster)?;
        let endpoint = "/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
        set(cluster, endpoint, address(listener))?;
    }
    if !settings.replicas.is_empty() {
        add_replicas(&mut root, settings)?;
    }
    if let Some(longest) = settings.longest_response {
        let ingress = named(&mut root, "/static_resources/listeners", "ingress")?;
        let hosts = at(ingress, "/filter_chains/0/filters/0/typed_config/route_config/virtual_hosts")?;
        let route = named(named(hosts, "", "mcp")?, "/routes", "upstream_plain")?;
        let longest = format!("{}s", longest.as_secs_f64());
        set(route, "/route/max_stream_duration/max_stream_duration", json!(longest))?;
    }
    if let Some(service) = settings.rate_limit_service {
        add_rate_limits(&mut root, service)?;
    }
    if let Some(authorities) = &settings.trusted_ca {
        let cluster = named(&mut root, "/static_resources/clusters", "upstream_tls")?;
        let place =
            "/transport_socket/typed_config/common_tls_context/validation_context/trusted_ca/filename";
        set(cluster, place, json!(authorities))?;
    }
    if let Some(collector) = settings.collector {
        add_tracing(&mut root, collector)?;
    }
    Ok(serde_json::to_string_pretty(&root)?)
}

/// The configuration of an Envoy of one's own.
fn plain(artifacts: &Artifacts, settings: &Settings, directory: &Path) -> anyhow::Result<String> {
    let shipped = shipped_configuration();
    let text =
        std::fs::read_to_string(&shipped).with_context(|| format!("cannot read {}", shipped.display()))?;
    let mut configuration = render(&text, settings, &artifacts.wasm)?;
    if let Some(file) = &settings.filter_file {
        configuration = with_filter_in(file, settings, &artifacts.wasm, &configuration)?;
    }
    if let Some(file) = &settings.listener_file {
        configuration = with_listener_in(file, &configuration)?;
    }
    if let Some(registry) = &settings.rendered_from {
        std::fs::write(directory.join(BASE), &configuration)?;
        render_upstreams(artifacts, registry, directory)?;
        configuration = with_rendered(directory, &configuration)?;
    }
    Ok(configuration)
}

/// Moves the filter into a file, by the two that are shipped for it.
fn with_filter_in(
    file: &Path,
    settings: &Settings,
    wasm: &Path,
    configuration: &str,
) -> anyhow::Result<String> {
    let read = |name: &str| -> anyhow::Result<Value> {
        let path = repository().join("envoy/plain").join(name);
        let text =
            std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_saphyr::from_str(&text).with_context(|| format!("{} is not YAML", path.display()))
    };
    let mut resources = read("filter.yaml")?;
    let plugin = at(&mut resources, "/resources/0/typed_config/config")?;
    set(plugin, "/vm_config/code/local/filename", json!(wasm))?;
    change_plugin_configuration(plugin, |plugin| plugin["public_url"] = json!(settings.public_url))?;
    replace(file, &resources)?;

    let mut discovered = read("http-filter.yaml")?;
    let directory = file.parent().context("the filter's file is in a directory")?;
    let source = at(&mut discovered, "/config_discovery/config_source/path_config_source")?;
    set(source, "/path", json!(file))?;
    set(source, "/watched_directory/path", json!(directory))?;
    let mut root: Value = serde_json::from_str(configuration)?;
    let ingress = named(&mut root, "/static_resources/listeners", "ingress")?;
    let manager = at(ingress, "/filter_chains/0/filters/0/typed_config")?;
    *named(manager, "/http_filters", "portcullis")? = discovered;
    // As the options of the program say it where the filter's own file tells to.
    root["node"] = json!({"id": "tests", "cluster": "tests"});
    Ok(serde_json::to_string_pretty(&root)?)
}

/// What the rendering goes by.
const BASE: &str = "base.json";

/// Parts of a rendering, and the listener whose routes each has.
const PARTS: [(&str, Option<&str>); 3] =
    [("clusters", None), ("routes", Some("ingress")), ("replay-routes", Some("replay"))];

/// Has the program write the files that an Envoy in `directory` reads; one that runs reads them again.
pub fn render_upstreams(artifacts: &Artifacts, registry: &Registry, directory: &Path) -> anyhow::Result<()> {
    for (part, _) in PARTS {
        let mut command = std::process::Command::new(&artifacts.portcullis);
        command.args(["render", "envoy", "--part", part, "--base"]).arg(directory.join(BASE)).env_clear();
        match registry {
            Registry::File(file) => command.arg("--config").arg(file),
            Registry::Service { admin_url, token } => {
                command.env("PORTCULLIS_ADMIN_URL", admin_url).env("PORTCULLIS_ADMIN_TOKEN", token)
            }
        };
        let output = command.output()?;
        anyhow::ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        // Envoy looks at what is moved to the file's place.
        let file = directory.join(format!("{part}.yaml"));
        std::fs::write(file.with_extension("new"), output.stdout)?;
        std::fs::rename(file.with_extension("new"), file)?;
    }
    Ok(())
}

/// Takes the clusters and routes from the files, as the token-service's README says.
fn with_rendered(directory: &Path, configuration: &str) -> anyhow::Result<String> {
    let mut root: Value = serde_json::from_str(configuration)?;
    let clusters = at(&mut root, "/static_resources/clusters")?.as_array_mut();
    clusters
        .context("clusters are a list")?
        .retain(|cluster| cluster["name"] != "upstream_tls" && cluster["name"] != "upstream_plain");
    root["node"] = json!({"id": "tests", "cluster": "tests"});
    for (part, listener) in PARTS {
        let source = json!({"path_config_source": {"path": directory.join(format!("{part}.yaml"))}});
        let Some(listener) = listener else {
            root["dynamic_resources"] = json!({"cds_config": source});
            continue;
        };
        let listener = named(&mut root, "/static_resources/listeners", listener)?;
        let manager = at(listener, "/filter_chains/0/filters/0/typed_config")?;
        let name = at(manager, "/route_config/name")?.take();
        manager["rds"] = json!({"route_config_name": name, "config_source": source});
        manager.as_object_mut().context("the manager is a mapping")?.remove("route_config");
    }
    Ok(serde_json::to_string_pretty(&root)?)
}

/// Moves the ingress into a file, from which Envoy has it as from a control plane.
fn with_listener_in(file: &Path, configuration: &str) -> anyhow::Result<String> {
    let mut root: Value = serde_json::from_str(configuration)?;
    let ingress = named(&mut root, "/static_resources/listeners", "ingress")?.take();
    let listeners = at(&mut root, "/static_resources/listeners")?.as_array_mut();
    listeners.context("listeners are a list")?.retain(|listener| !listener.is_null());
    root["node"] = json!({"id": "tests", "cluster": "tests"});
    root["dynamic_resources"] = json!({"lds_config": {"path_config_source": {"path": file}}});
    write_listener(file, ingress, 0)?;
    Ok(serde_json::to_string_pretty(&root)?)
}

fn write_listener(file: &Path, mut listener: Value, version: u32) -> anyhow::Result<()> {
    listener["@type"] = json!("type.googleapis.com/envoy.config.listener.v3.Listener");
    replace(file, &json!({"version_info": version.to_string(), "resources": [listener]}))
}

/// Envoy looks at what is moved to the file's place, never at what is written there.
fn replace(file: &Path, resources: &Value) -> anyhow::Result<()> {
    let new = file.with_extension("new");
    std::fs::write(&new, serde_json::to_string_pretty(resources)?)?;
    std::fs::rename(&new, file)?;
    Ok(())
}

/// Puts the parts of the example where its comments say.
fn add_replicas(root: &mut Value, settings: &Settings) -> anyhow::Result<()> {
    let example = repository().join("envoy/replicas.yaml");
    let mut parts: Value = serde_saphyr::from_str(&std::fs::read_to_string(&example)?)
        .with_context(|| format!("{} is not YAML", example.display()))?;
    let one = at(&mut parts, "/endpoints/0")?.take();
    let all = std::iter::once(&settings.token_service).chain(&settings.replicas);
    let endpoints = all.map(|listener| {
        let mut endpoint = one.clone();
        set(&mut endpoint, "/endpoint/address", address(*listener))?;
        Ok(endpoint)
    });
    let endpoints = endpoints.collect::<anyhow::Result<Vec<Value>>>()?;
    let more = parts["cluster"].as_object().context("the example has a cluster")?;
    for name in ["token_service", "token_service_records"] {
        let cluster = named(root, "/static_resources/clusters", name)?;
        set(cluster, "/load_assignment/endpoints/0/lb_endpoints", endpoints.clone().into())?;
        cluster.as_object_mut().context("the cluster is a mapping")?.extend(more.clone());
    }
    Ok(())
}

/// Puts the parts of the example where its comments say.
fn add_tracing(root: &mut Value, collector: SocketAddr) -> anyhow::Result<()> {
    let example = repository().join("envoy/tracing.yaml");
    let mut parts: Value = serde_saphyr::from_str(&std::fs::read_to_string(&example)?)
        .with_context(|| format!("{} is not YAML", example.display()))?;
    let endpoint = "/cluster/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address";
    set(&mut parts, endpoint, address(collector))?;
    let clusters = at(root, "/static_resources/clusters")?.as_array_mut();
    clusters.context("clusters are a list")?.push(parts["cluster"].take());
    let ingress = named(root, "/static_resources/listeners", "ingress")?;
    at(ingress, "/filter_chains/0/filters/0/typed_config")?["tracing"] = parts["tracing"].take();
    Ok(())
}

/// Puts the parts of the example where its comments say.
fn add_rate_limits(root: &mut Value, service: SocketAddr) -> anyhow::Result<()> {
    let example = repository().join("envoy/rate-limit.yaml");
    let mut parts: Value = serde_saphyr::from_str(&std::fs::read_to_string(&example)?)
        .with_context(|| format!("{} is not YAML", example.display()))?;
    set(
        &mut parts,
        "/cluster/load_assignment/endpoints/0/lb_endpoints/0/endpoint/address",
        address(service),
    )?;
    let clusters = at(root, "/static_resources/clusters")?.as_array_mut();
    clusters.context("clusters are a list")?.push(parts["cluster"].take());
    let ingress = named(root, "/static_resources/listeners", "ingress")?;
    let manager = at(ingress, "/filter_chains/0/filters/0/typed_config")?;
    let mappers = at(manager, "/local_reply_config/mappers")?.as_array_mut();
    mappers.context("mappers are a list")?.insert(0, parts["local_reply_mapper"].take());
    let filters = at(manager, "/http_filters")?.as_array_mut().context("filters are a list")?;
    let own =
        filters.iter().position(|filter| filter["name"] == "portcullis").context("there is our filter")?;
    filters.insert(own + 1, parts["http_filter"].take());
    Ok(())
}

fn change_plugin(listener: &mut Value, change: impl FnOnce(&mut Value)) -> anyhow::Result<()> {
    let manager = at(listener, "/filter_chains/0/filters/0/typed_config")?;
    let plugin = at(named(manager, "/http_filters", "portcullis")?, "/typed_config/config")?;
    change_plugin_configuration(plugin, change)
}

pub(crate) fn change_plugin_configuration(
    plugin: &mut Value,
    change: impl FnOnce(&mut Value),
) -> anyhow::Result<()> {
    let text = at(plugin, "/configuration/value")?;
    let mut configuration: Value =
        serde_json::from_str(text.as_str().context("the plugin configuration is not a text")?)?;
    change(&mut configuration);
    *text = json!(configuration.to_string());
    Ok(())
}

pub(crate) fn address(address: SocketAddr) -> Value {
    json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}})
}

/// The value at a JSON pointer; an error if the shipped configuration has nothing there to replace.
pub(crate) fn at<'a>(value: &'a mut Value, pointer: &str) -> anyhow::Result<&'a mut Value> {
    value.pointer_mut(pointer).with_context(|| format!("the shipped configuration has no {pointer}"))
}

pub(crate) fn set(value: &mut Value, pointer: &str, new: Value) -> anyhow::Result<()> {
    *at(value, pointer)? = new;
    Ok(())
}

/// The element of the list at `pointer` that is called `name`.
pub(crate) fn named<'a>(value: &'a mut Value, pointer: &str, name: &str) -> anyhow::Result<&'a mut Value> {
    let list = at(value, pointer)?.as_array_mut().with_context(|| format!("{pointer} is not a list"))?;
    list.iter_mut()
        .find(|element| element["name"] == name)
        .with_context(|| format!("{pointer} has no {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_and_paths_are_replaced() {
        let shipped = std::fs::read_to_string(shipped_configuration()).expect("the shipped configuration");
        let settings = |port: u16| Settings {
            gateway: SocketAddr::from(([127, 0, 0, 1], port)),
            admin: SocketAddr::from(([127, 0, 0, 1], port + 1)),
            token_service: SocketAddr::from(([127, 0, 0, 1], port + 2)),
            replicas: Vec::new(),
            pages: SocketAddr::from(([127, 0, 0, 1], port + 3)),
            public_url: format!("http://127.0.0.1:{port}"),
            access_log: format!("/logs/{port}").into(),
            concurrency: 1,
            log: "wasm:info",
            rate_limit_service: None,
            longest_response: None,
            longest_lease: None,
            collector: None,
            trusted_ca: None,
            listener_file: None,
            filter_file: None,
            mesh: None,
            rendered_from: None,
        };
        let one = render(&shipped, &settings(1000), Path::new("/a.wasm")).expect("renders");
        let two = render(&shipped, &settings(2000), Path::new("/b.wasm")).expect("renders");
        assert_eq!(one.lines().count(), two.lines().count());
        let differing = one.lines().zip(two.lines()).filter(|(one, two)| one != two).count();
        // Four ports, one of them twice, the access log, the module, the plugin configuration.
        assert_eq!(differing, 8, "{one}");
    }
}
