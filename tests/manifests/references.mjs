// What objects of one rendering say about each other, and whether it is true: names, selectors, ports, volumes. And what
// has to be so of every pod.

import { nameOf } from "./schemas.mjs";

const entries = (object) => Object.entries(object ?? {});
const matches = (selector, labels) => entries(selector).every(([key, value]) => labels?.[key] === value);
const isEmpty = (selector) => entries(selector).length === 0;
const containers = (pod) => pod.spec.template.spec.containers;
const portsOf = (pod) => containers(pod).flatMap((container) => container.ports ?? []);
const hasPort = (pod, port) => portsOf(pod).some((one) => one.name === port || one.containerPort === Number(port));

/** `external`: names of ServiceAccounts, claims and ConfigMaps that are there without the rendering. */
export function problemsAmong(objects, external = []) {
  const problems = [];
  const must = (good, object, what) => good || problems.push(`${nameOf(object)}: ${what}`);
  const of = (kind) => objects.filter((object) => object.kind === kind);
  const find = (kind, name) => of(kind).find((object) => object.metadata.name === name);
  const there = (kind, name) => find(kind, name) !== undefined || external.includes(name);
  const pods = [...of("Deployment"), ...of("Job"), ...of("StatefulSet")];
  const selected = (selector) => pods.filter((pod) => matches(selector, pod.spec.template.metadata.labels));

  names(objects, must);
  for (const pod of pods) {
    podItself(pod, must);
    volumes(pod, must, find, there);
    const account = pod.spec.template.spec.serviceAccountName;
    must(account === undefined || there("ServiceAccount", account), pod, `no ServiceAccount ${account}`);
    hooks(pod, must, find);
    const selector = pod.spec.selector?.matchLabels;
    if (selector) must(selected(selector).length === 1, pod, "its selector has to select its own pods and no others");
    for (const spread of pod.spec.template.spec.topologySpreadConstraints ?? []) {
      must(selected(spread.labelSelector.matchLabels).includes(pod), pod, "it is not spread against pods of its own");
    }
  }

  /** The pods that something is about: exactly those of one workload. */
  const about = (object, selector) => {
    const found = isEmpty(selector) ? [] : selected(selector);
    must(
      found.length === 1,
      object,
      `it selects the pods of ${found.length} workloads, and has to select those of one`,
    );
    return found[0];
  };
  const portsExist = (object, selector, ports) => {
    const pod = about(object, selector);
    for (const port of ports) must(pod === undefined || hasPort(pod, port), object, `no container has a port ${port}`);
  };

  for (const service of of("Service")) {
    portsExist(
      service,
      service.spec.selector,
      service.spec.ports.map((port) => port.targetPort ?? port.port),
    );
  }
  for (const policy of of("NetworkPolicy")) {
    // 15008 is ztunnel's, which is in no pod's specification.
    const ports = policy.spec.ingress
      .flatMap((rule) => rule.ports.map((port) => port.port))
      .filter((port) => port !== 15008);
    portsExist(policy, policy.spec.podSelector.matchLabels, ports);
    for (const rule of policy.spec.ingress)
      must(rule.from?.length > 0, policy, "a rule without `from` lets everybody in");
  }
  for (const budget of of("PodDisruptionBudget")) about(budget, budget.spec.selector.matchLabels);
  for (const mtls of of("PeerAuthentication")) {
    portsExist(mtls, mtls.spec.selector.matchLabels, Object.keys(mtls.spec.portLevelMtls ?? {}));
  }
  for (const policy of of("AuthorizationPolicy")) {
    const operations = policy.spec.rules.flatMap((rule) => rule.to ?? []).map((to) => to.operation);
    portsExist(
      policy,
      policy.spec.selector.matchLabels,
      operations.flatMap((operation) => operation.ports),
    );
  }
  for (const sidecar of of("Sidecar")) {
    const ports = sidecar.spec.ingress.flatMap(({ port, defaultEndpoint }) => [
      port.number,
      defaultEndpoint.split(":").at(-1),
    ]);
    portsExist(sidecar, sidecar.spec.workloadSelector.labels, ports);
  }

  const serviceAt = (object, name, port, what) => {
    const service = find("Service", name);
    const found = service?.spec.ports.some((one) => one.port === port || one.name === port);
    must(found, object, `${what}: no Service ${name} with a port ${port}`);
  };
  for (const route of of("HTTPRoute")) {
    for (const backend of route.spec.rules.flatMap((rule) => rule.backendRefs)) {
      if ((backend.kind ?? "Service") === "Service") serviceAt(route, backend.name, backend.port, "backendRefs");
      else must(there(backend.kind, backend.name), route, `backendRefs: no ${backend.kind} ${backend.name}`);
    }
    must(
      route.spec.rules.length === 1,
      route,
      "it needs exactly one rule: Envoy Gateway counts them in the names of clusters",
    );
  }
  for (const backend of of("Backend")) {
    for (const { fqdn } of backend.spec.endpoints)
      serviceAt(backend, fqdn.hostname.split(".")[0], fqdn.port, fqdn.hostname);
  }
  for (const policy of of("BackendTrafficPolicy")) {
    for (const target of policy.spec.targetRefs)
      must(there(target.kind, target.name), policy, `no ${target.kind} ${target.name}`);
  }
  for (const rule of of("DestinationRule")) {
    const name = rule.spec.host.split(".")[0];
    must(there("Service", name), rule, `no Service ${name}`);
    for (const { port } of rule.spec.trafficPolicy.portLevelSettings ?? [])
      serviceAt(rule, name, port.number, "portLevelSettings");
  }
  for (const monitor of of("ServiceMonitor")) {
    const services = of("Service").filter((one) => matches(monitor.spec.selector.matchLabels, one.metadata.labels));
    must(services.length === 1, monitor, `it selects ${services.length} Services, and has to select one`);
    for (const { port } of monitor.spec.endpoints) {
      for (const service of services) serviceAt(monitor, service.metadata.name, port, "endpoints");
    }
  }
  for (const secret of of("Secret"))
    must(false, secret, "a chart makes no Secrets: they would be in its release as well");
  return problems;
}

function names(objects, must) {
  const seen = new Set();
  for (const object of objects) {
    must(!seen.has(nameOf(object)), object, "there are two of them");
    seen.add(nameOf(object));
    must(
      /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(object.metadata.name) && object.metadata.name.length <= 63,
      object,
      "its name is none",
    );
    const labels = [object.metadata.labels, object.spec?.template?.metadata?.labels].flatMap(entries);
    for (const [key, value] of labels) {
      must(
        /^([A-Za-z0-9]([-._A-Za-z0-9]{0,61}[A-Za-z0-9])?)?$/.test(value),
        object,
        `label ${key} cannot be ${JSON.stringify(value)}`,
      );
    }
  }
}

/** Pod Security Standards, "restricted", and what goes beyond them. */
function podItself(workload, must) {
  const pod = workload.spec.template.spec;
  const security = pod.securityContext ?? {};
  must(security.runAsNonRoot === true && security.runAsUser > 0, workload, "it has to run as somebody else than root");
  must(security.seccompProfile?.type === "RuntimeDefault", workload, "seccompProfile has to be RuntimeDefault");
  must(pod.automountServiceAccountToken === false, workload, "it has no use for a token of Kubernetes");
  must(!pod.hostNetwork && !pod.hostPID && !pod.hostIPC, workload, "it has no use for the host's namespaces");
  for (const container of pod.containers) {
    const own = container.securityContext ?? {};
    must(own.readOnlyRootFilesystem === true, workload, `${container.name}: its root file system has to be read-only`);
    must(
      own.allowPrivilegeEscalation === false && own.capabilities?.drop?.includes("ALL"),
      workload,
      `${container.name}: it may gain privileges`,
    );
    must(
      container.resources?.requests && container.resources?.limits?.memory,
      workload,
      `${container.name}: its resources are not said`,
    );
    must(
      /@sha256:[0-9a-f]{64}$|:[-._A-Za-z0-9]+$/.test(container.image),
      workload,
      `${container.name}: the image has neither digest nor tag`,
    );
    for (const probe of ["startupProbe", "livenessProbe", "readinessProbe"].filter((one) => container[one])) {
      must(
        hasPort(workload, container[probe].httpGet.port),
        workload,
        `${probe}: no container has a port ${container[probe].httpGet.port}`,
      );
    }
  }
  const ports = pod.containers.flatMap((container) => container.ports ?? []);
  must(new Set(ports.map((port) => port.containerPort)).size === ports.length, workload, "two ports have one number");
}

function volumes(workload, must, find, there) {
  const { volumes = [], containers } = workload.spec.template.spec;
  const mounts = containers.flatMap((container) => container.volumeMounts ?? []);
  for (const mount of mounts)
    must(
      volumes.some((one) => one.name === mount.name),
      workload,
      `no volume ${mount.name}`,
    );
  must(
    new Set(mounts.map((mount) => mount.mountPath)).size === mounts.length,
    workload,
    "two volumes are mounted at one place",
  );
  for (const volume of volumes) {
    must(
      mounts.some((mount) => mount.name === volume.name),
      workload,
      `volume ${volume.name} is mounted nowhere`,
    );
    const claim = volume.persistentVolumeClaim?.claimName;
    must(claim === undefined || there("PersistentVolumeClaim", claim), workload, `no PersistentVolumeClaim ${claim}`);
    const sources = [volume, ...(volume.projected?.sources ?? [])];
    for (const { configMap } of sources.filter((source) => source.configMap)) {
      must(there("ConfigMap", configMap.name), workload, `no ConfigMap ${configMap.name}`);
      for (const { key } of configMap.items ?? []) {
        const found = find("ConfigMap", configMap.name);
        must(found === undefined || key in found.data, workload, `ConfigMap ${configMap.name} has no ${key}`);
      }
    }
    const paths = sources
      .flatMap((source) => (source.configMap ?? source.secret)?.items ?? [])
      .map((item) => item.path);
    must(new Set(paths).size === paths.length, workload, `two files of volume ${volume.name} have one path`);
  }
}

/** What runs before a release is installed can only use what is there by then. */
function hooks(workload, must, find) {
  const isHook = (object) => object.metadata.annotations?.["helm.sh/hook"] !== undefined;
  if (!isHook(workload)) return;
  const weight = (object) => Number(object.metadata.annotations["helm.sh/hook-weight"]);
  const { volumes = [], serviceAccountName } = workload.spec.template.spec;
  const used = volumes
    .flatMap((volume) => volume.projected?.sources ?? [])
    .map((source) => find("ConfigMap", source.configMap?.name));
  for (const object of [...used, find("ServiceAccount", serviceAccountName)].filter(Boolean)) {
    must(
      isHook(object) && weight(object) < weight(workload),
      workload,
      `${nameOf(object)} is not there yet when this hook runs`,
    );
  }
}
