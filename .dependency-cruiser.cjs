// The house's layers (agent/README.md). Each imports only what stands to its left:
// kernel <- {libvirt, hardware, state, trust} <- {vm, host, audit} <- {api, scheduler, metrics, page} <- agent <- main
const layers = [
  ["kernel"],
  ["libvirt", "hardware", "state", "trust"],
  ["vm", "host", "audit"],
  ["api", "scheduler", "metrics", "page"],
];
const allowedBelow = (index) => layers.slice(0, index).flat();
const layerRules = layers.flatMap((siblings, index) =>
  siblings.map((name) => ({
    name: `${name}-imports-only-downwards`,
    severity: "error",
    from: { path: `^agent/${name}/` },
    to: {
      path: "^agent/",
      pathNot: `^agent/(${[name, ...allowedBelow(index), ...(index === 3 ? ["gen"] : []), ...(index > 0 ? ["config/schema"] : [])].join("|")})`,
    },
  })),
);
const only = (name, packages, places) => ({
  name,
  severity: "error",
  from: { path: "^agent/", pathNot: `^agent/(${places})` },
  to: { path: packages },
});

module.exports = {
  forbidden: [
    {
      name: "no-cycles",
      severity: "error",
      from: {},
      to: { circular: true, dependencyTypesNot: ["type-only"] },
    },
    ...layerRules,
    {
      name: "composition-is-the-root-s",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/(composition/|agent\\.ts)" },
      to: { path: "^agent/composition/" },
    },
    {
      name: "config-imports-kernel-alone",
      severity: "error",
      from: { path: "^agent/config/" },
      to: { path: "^agent/", pathNot: "^agent/(config|kernel)/" },
    },
    {
      name: "cli-is-a-client",
      severity: "error",
      from: { path: "^agent/cli/" },
      to: { path: "^agent/", pathNot: "^agent/((cli|kernel|gen|config)/|audit/index\\.ts$)" },
    },
    {
      name: "the-browser-is-elsewhere",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/page/browser/" },
      to: { path: "^agent/page/browser/" },
    },
    {
      name: "the-browser-loads-its-own",
      severity: "error",
      from: { path: "^agent/page/browser/" },
      to: { pathNot: "^agent/page/browser/" },
    },
    {
      name: "libvirt-has-one-door",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/libvirt/" },
      to: { path: "^agent/libvirt/", pathNot: "^agent/libvirt/(index|xml/index)\\.ts$" },
    },
    {
      name: "trust-has-one-door",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/trust/" },
      to: { path: "^agent/trust/", pathNot: "^agent/trust/index\\.ts$" },
    },
    {
      name: "audit-has-one-door",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/audit/" },
      to: { path: "^agent/audit/", pathNot: "^agent/audit/index\\.ts$" },
    },
    only(
      "certificates-are-trust-s",
      "node_modules/@peculiar/x509|^(node:)?tls$",
      "trust/|audit/sinks\\.ts|api/tls-listener\\.ts|scheduler/(credentials|authority-link)\\.ts",
    ),
    only("grpc-stays-at-the-edges", "node_modules/@grpc|^agent/gen/", "api/|scheduler/|cli/|gen/"),
    only("prom-client-stays-in-metrics", "node_modules/prom-client", "metrics/"),
    // The doctor knocks at libvirt's door.
    only(
      "sockets-stay-in-their-rooms",
      "^(node:)?net$",
      "libvirt/connection\\.ts|audit/(sinks|forwarder)\\.ts|api/|metrics/|hardware/(privileged|helper)\\.ts|kernel/(sd-notify|ip-ranges|process-name)\\.ts|cli/doctor/host-checks\\.ts",
    ),
    // The doctor asks systemd of the unit, as a person would.
    only(
      "children-are-hardware-s",
      "^(node:)?child_process$",
      "hardware/|kernel/sd-notify\\.ts|cli/doctor/host-checks\\.ts",
    ),
  ],
  options: {
    doNotFollow: { path: "node_modules" },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    enhancedResolveOptions: {
      exportsFields: ["exports"],
      conditionNames: ["import", "node", "default", "types"],
    },
  },
};
