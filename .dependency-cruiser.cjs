// The layers of agent/ (agent/README.md). A room imports only the layers to its left:
// kernel <- {libvirt, hardware, state, trust} <- {vm, host, audit} <- http <- {api, scheduler, metrics, page} <- agent <- main
// libvirt is a package of its own and imports nothing of the agent (libvirt-stands-alone).
// The contract and its generated types belong to the edges: api, scheduler and cli. The spec of a VM alone
// (contract/spec*.ts, which import kernel only) is for every layer above the kernel.
const layers = [
  ["kernel"],
  ["libvirt", "hardware", "state", "trust"],
  ["vm", "host", "audit"],
  ["http"],
  ["api", "scheduler", "metrics", "page"],
];
// The floors of a room, lowest first. A floor imports its own files, lower floors and the files of the room's own folder
// that `ground` names; those import no floor. Floors in one list are siblings.
const floors = {
  kernel: { ground: "[^/]+\\.ts", floors: [["text"], ["concurrency"], ["lifecycle"]] },
  libvirt: { ground: "", floors: [["internal"], ["rpc"], ["protocol", "xml"], ["client"]] },
  hardware: {
    ground: "[^/]+\\.ts",
    floors: [["privileged"], ["cpu", "memory", "storage", "sensors", "bmc", "pci", "network"], ["system"]],
  },
  state: { ground: "", floors: [["journal"], ["records"], ["operations"], ["events", "reservations"]] },
  vm: {
    ground: "",
    floors: [["model"], ["hypervisor"], ["keys"], ["storage", "observation"], ["images"], ["operations"]],
  },
  host: { ground: "host\\.ts", floors: [["capacity"], ["inventory"], ["identity", "health"]] },
  api: { ground: "", floors: [["limits"], ["convert"], ["auth"], ["services"]] },
};
const allowedBelow = (index) => layers.slice(0, index).flat();
const layerRules = layers.flatMap((siblings, index) =>
  siblings
    .filter((name) => name !== "libvirt")
    .map((name) => ({
      name: `${name}-imports-only-downwards`,
      severity: "error",
      from: { path: `^agent/${name}/` },
      to: {
        path: "^agent/",
        pathNot: `^agent/(${[name, ...allowedBelow(index), ...(["api", "scheduler"].includes(name) ? ["contract", "gen"] : []), ...(index > 0 ? ["config/schema", "contract/spec"] : [])].join("|")})`,
      },
    })),
);
const within = (room, names) => `^agent/${room}/(${names.map((name) => `${name}/`).join("|")})`;
const floorRules = Object.entries(floors).flatMap(([room, { ground, floors }]) => [
  ...floors.flatMap((siblings, index) =>
    siblings.map((name) => ({
      name: `${room}-${name}-imports-only-downwards`,
      severity: "error",
      from: { path: within(room, [name]) },
      to: {
        path: `^agent/${room}/`,
        pathNot: [
          within(room, [name, ...floors.slice(0, index).flat()]),
          ...(ground === "" ? [] : [`^agent/${room}/${ground}$`]),
        ],
      },
    })),
  ),
  ...(ground === ""
    ? []
    : [
        {
          name: `${room}-ground-imports-no-floor`,
          severity: "error",
          from: { path: `^agent/${room}/${ground}$` },
          to: { path: within(room, floors.flat()) },
        },
      ]),
]);
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
      to: { circular: true },
    },
    ...layerRules,
    ...floorRules,
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
      name: "contract-imports-kernel-and-gen-alone",
      severity: "error",
      from: { path: "^agent/contract/" },
      to: { path: "^agent/", pathNot: "^agent/(contract|kernel|gen)/" },
    },
    // Layers above the kernel import it, so that it must not bring gRPC's types with it.
    {
      name: "spec-imports-kernel-alone",
      severity: "error",
      from: { path: "^agent/contract/spec" },
      to: { path: "^agent/", pathNot: "^agent/(contract/(spec|enum)|kernel/)" },
    },
    {
      name: "cli-is-a-client",
      severity: "error",
      from: { path: "^agent/cli/" },
      to: { path: "^agent/", pathNot: "^agent/((cli|kernel|contract|gen|config)/|audit/index\\.ts$)" },
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
      name: "libvirt-stands-alone",
      severity: "error",
      from: { path: "^agent/libvirt/" },
      to: { path: "^agent/|node_modules/", pathNot: "^agent/libvirt/|node_modules/(saxes|@types/node)/" },
    },
    {
      name: "libvirt-has-one-entry",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/libvirt/" },
      to: { path: "^agent/libvirt/", pathNot: "^agent/libvirt/(index|xml/index)\\.ts$" },
    },
    {
      name: "trust-has-one-entry",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/trust/" },
      to: { path: "^agent/trust/", pathNot: "^agent/trust/index\\.ts$" },
    },
    {
      name: "audit-has-one-entry",
      severity: "error",
      from: { path: "^agent/", pathNot: "^agent/audit/" },
      to: { path: "^agent/audit/", pathNot: "^agent/audit/index\\.ts$" },
    },
    only(
      "certificates-are-trust-s",
      "node_modules/@peculiar/x509|^(node:)?tls$",
      "trust/|audit/sinks\\.ts|api/tls-listener\\.ts|scheduler/(credentials|authority-link)\\.ts|vm/images/http-request\\.ts",
    ),
    only("grpc-stays-at-the-edges", "node_modules/@grpc|^agent/gen/", "api/|scheduler/|cli/|contract/|gen/"),
    only("prom-client-stays-in-metrics", "node_modules/prom-client", "metrics/"),
    // kernel/zod.ts configures it.
    only("zod-comes-from-the-kernel", "node_modules/zod", "kernel/zod\\.ts"),
    // The doctor knocks at libvirt's door. QEMU serves the screens of guests and the bytes of backups on sockets, and the
    // command serves a screen to a viewer.
    only(
      "sockets-stay-in-their-rooms",
      "^(node:)?net$",
      "libvirt/rpc/connection\\.ts|audit/(sinks|forwarder)\\.ts|api/|http/|metrics/|hardware/privileged/|kernel/(lifecycle|text|nbd)/(sd-notify|ip-ranges|process-name|nbd-reader)\\.ts|cli/(doctor/host-checks|commands/vm-screen)\\.ts|vm/hypervisor/screens\\.ts|vm/images/http-(connection|request)\\.ts",
    ),
    // The command asks systemd of its units, and starts the viewer of a screen, as a person would.
    only(
      "children-are-hardware-s",
      "^(node:)?child_process$",
      "hardware/|kernel/lifecycle/sd-notify\\.ts|cli/(systemctl|doctor/host-checks|commands/vm-screen)\\.ts",
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
