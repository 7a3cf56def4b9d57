// Errors that are put into what installs the filter. Each has to be found, in words that say what it is.

import { problemsOfAgreement, problemsOfEnvoy, problemsOfUnits } from "./mesh.mjs";
import { read } from "./helm.mjs";
import { problemsOf } from "./schemas.mjs";
import { coreText, problemsOfTroubleshooting } from "./troubleshooting.mjs";
import { parse } from "yaml";

/** A file, what is replaced in it by what, and what is said about it. */
const OF_AGREEMENT = [
  ["envoy/plain/filter.yaml", "FAIL_RELOAD", "FAIL_OPEN", /plain\/filter.yaml/],
  ["envoy/plain/http-filter.yaml", "name: portcullis", "name: other", /its name there/],
  ["envoy/istio/base/wasmplugin.yaml", "phase: AUTHN", "phase: STATS", /WasmPlugin and TrafficExtension/],
  ["envoy/istio/components/hold/envoyfilter.yaml", '"pass"', '"refuse"', /told by WasmPlugin and by EnvoyFilter/],
  ["envoy/istio/components/hold/envoyfilter.yaml", "sha256:0", "sha256:1", /the digests/],
  ["envoy/istio/base/wasmplugin.yaml", "max_request_bytes: 1000000", "max_request_bytes: 4194304", /holds 1048576/],
  ["envoy/istio/mesh-config.yaml", "            rule: ", "            rool: ", /lines of JSON, Istio/],
  ["envoy/istio/mesh-config.yaml", "portcullis.rule: ", "portcullis.rool: ", /records by OTLP, Istio/],
  ["envoy/istio/examples/gateway/gateway.yaml", "mcp_tool,", "", /labels of metrics, Istio/],
  ["envoy/envoy-gateway/base/envoyproxy.yaml", "%RESPONSE_FLAGS%", "%FLAGS%", /lines of JSON, Envoy Gateway/],
  ["envoy/envoy-gateway/base/envoyproxy.yaml", "tag_name: mcp_tool", "tag_name: tool", /labels of metrics, Envoy/],
  ["envoy/envoy-gateway/components/records/envoyproxy.yaml", "user.id: ", "user: ", /records by OTLP, Envoy/],
  ["envoy/envoy-gateway/base/clienttrafficpolicy.yaml", "x-portcullis-handle, ", "", /headers that a client cannot set/],
  ["envoy/istio/examples/external-linear/httproute.yaml", "- x-forwarded-for\n", "\n", /istio.*takes away/],
  ["envoy/envoy-gateway/base/service.httproute.yaml", "- x-portcullis-upstream\n", "\n", /envoy-gateway.*takes away/],
];

/** The configuration of which variant, what is replaced in it, and what is said about it. */
const OF_ENVOY = [
  ["istio-hold", '"per_connection_buffer_limit_bytes"', '"per_connection_limit"', /istio-hold: .*per_connection_limit/s],
  ["istio-stream", '\\"public_url\\"', '\\"url\\"', /istio-stream: .*public_url/s],
  ["envoy-gateway", "portcullis-internal/rule/0\\", "portcullis-internal/rule/1\\", /there is no cluster httproute/],
  ["istio-stream", "outbound|{port}||{host}", "outbound|{host}||{port}", /there is no cluster outbound/],
  ["plain", '"allow_on_headers_stop_iteration"', '"stop_iteration"', /plain: .*stop_iteration/s],
];

const OF_UNITS = [
  ["ProtectSystem=strict", "ProtectSystm=strict", /ProtectSystm/],
  ["ExecStart=/bin/true", "ExecStart=/bin/nothing", /not executable/],
  ["ProtectSystem=strict", "ProtectSystem=no\nUser=root\nDynamicUser=no", /exposure level/],
];

const found = (problems, words) =>
  problems.some((one) => words.test(one)) ? [] : [`not found: ${words}; found: ${problems.join("; ") || "nothing"}`];

const replaced = (text, from, to) => {
  if (!text.includes(from)) throw new Error(`nothing to replace: ${from}`);
  return text.replaceAll(from, to);
};

export async function seededErrorsOfMeshes(tools, loads) {
  const agreement = OF_AGREEMENT.flatMap(([path, from, to, words]) => {
    const other = (name) => (name === path ? replaced(read(name), from, to) : read(name));
    return found(problemsOfAgreement(other), words);
  });
  const cases = [
    { name: `${OF_AGREEMENT.length} errors in what stands in several places`, problems: agreement },
    { name: "errors in a TrafficExtension", problems: await ofTrafficExtensions() },
    { name: "errors in the page of symptoms", problems: ofTroubleshooting() },
  ];
  if (loads) cases.push({ name: `${OF_ENVOY.length} errors that a real Envoy finds`, problems: await ofEnvoy(tools) });
  if (tools.analyze) cases.push({ name: "errors in units of systemd", problems: await ofUnits(tools.analyze) });
  return cases;
}

/** All at once: it takes a moment each time. */
async function ofEnvoy(tools) {
  const problems = [];
  for (const [variant, from, to, words] of OF_ENVOY) {
    const changed = (root, name) => (name === variant ? JSON.parse(replaced(JSON.stringify(root), from, to)) : root);
    problems.push(...found(await problemsOfEnvoy(tools, changed, [variant]), words));
  }
  return problems;
}

async function ofUnits(analyze) {
  const problems = [];
  for (const [from, to, words] of OF_UNITS) {
    problems.push(...found(await problemsOfUnits(analyze, (text) => replaced(text, from, to)), words));
  }
  return problems;
}

function ofTroubleshooting() {
  const page = read("envoy/TROUBLESHOOTING.md");
  // One of each way to say a reason.
  const more = ['LocalReply::error(400, code::X, &format!("a {}", "b)"), "new_reason")', "details: \"portcullis_newer\""];
  return [
    ...found(problemsOfTroubleshooting(page.replaceAll("portcullis_preflight", "")), /portcullis_preflight is not in/),
    ...found(problemsOfTroubleshooting(page.replaceAll("portcullis_revoked", "")), /portcullis_revoked is not in/),
    ...found(problemsOfTroubleshooting(page.replaceAll("portcullis_batch", "")), /portcullis_batch is not in/),
    ...found(problemsOfTroubleshooting(page.replaceAll("portcullis_bound_token", "")), /portcullis_bound_token is not/),
    ...found(problemsOfTroubleshooting(`${page} \`portcullis_made_up\``), /no filter says portcullis_made_up/),
    ...found(problemsOfTroubleshooting(page, coreText() + more[0]), /portcullis_new_reason is not in/),
    ...found(problemsOfTroubleshooting(page, coreText() + more[1]), /portcullis_newer is not in/),
  ];
}

async function ofTrafficExtensions() {
  const after = async (change) => {
    const object = parse(read("envoy/istio/components/traffic-extension/trafficextension.yaml"));
    change(object.spec);
    return problemsOf(object);
  };
  return [
    ...found(await after((spec) => (spec.fase = "AUTHN")), /TrafficExtension\/portcullis: \/spec\/fase is no field/),
    ...found(await after((spec) => (spec.phase = "FIRST")), /\/spec\/phase must be equal to one of/),
    ...found(await after((spec) => (spec.wasm.priority = 1)), /\/spec\/wasm\/priority is no field/),
    ...found(await after((spec) => (spec.wasm.failStrategi = "FAIL_OPEN")), /failStrategi is no field/),
    ...found(await after((spec) => delete spec.wasm), /wasm is required/),
  ];
}
