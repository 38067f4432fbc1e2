import assert from "node:assert/strict";
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { cruise as depcruise, type ICruiseResult } from "dependency-cruiser";
import extractDepcruiseOptions from "dependency-cruiser/config-utl/extract-depcruise-options";
import extractTSConfig from "dependency-cruiser/config-utl/extract-ts-config";

const repository = join(import.meta.dirname, "../..");

/** Runs the layer rules over `directory`/agent. In this process: TypeScript, which parses the files, loads slowly. */
async function cruise(directory: string): Promise<ICruiseResult> {
  const rules = await extractDepcruiseOptions(join(repository, ".dependency-cruiser.cjs"));
  const tsConfig = extractTSConfig(join(directory, "tsconfig.json"));
  const { output } = await depcruise(["agent"], { ...rules, baseDir: directory }, undefined, { tsConfig });
  assert.ok(typeof output === "object");
  return output;
}

type Case = readonly [file: string, text: string, caughtBy: string | undefined];

/** Lowest floor first; siblings share an item. */
const floors: Readonly<Record<string, readonly string[]>> = {
  kernel: ["text", "concurrency", "lifecycle"],
  libvirt: ["internal", "rpc", "protocol xml", "client"],
  hardware: ["privileged", "cpu memory storage sensors bmc pci network", "system"],
  state: ["journal", "records", "operations", "events reservations"],
  vm: ["model", "hypervisor", "keys", "storage observation", "images", "operations"],
  host: ["capacity", "inventory", "identity health"],
  api: ["limits", "convert", "auth", "services"],
};

/**
 * Each floor imports the next one up, a sibling, or a folder without a floor: found. Each lower floor:
 * allowed.
 */
function floorCases(): Case[] {
  return Object.entries(floors).flatMap(([room, levels]) =>
    levels.flatMap((level, index) => {
      const siblings = level.split(" ");
      const below = levels.slice(0, index).flatMap((lower) => lower.split(" "));
      const above = levels.slice(index + 1).flatMap((higher) => higher.split(" "));
      return siblings.flatMap((floor): Case[] => {
        const forbidden = ["elsewhere", ...above, ...siblings.filter((other) => other !== floor)];
        const lines = below.map((lower) => `import "../${lower}/leaf.ts";`);
        return [
          [`${room}/${floor}/leaf.ts`, "export const leaf = 1;", undefined],
          [`${room}/elsewhere/leaf.ts`, "export const leaf = 1;", undefined],
          [`${room}/${floor}/down.ts`, `${lines.join(" ")} export {};`, undefined],
          ...forbidden.map((other): Case => [
            `${room}/${floor}/to-${other}.ts`,
            `import "../${other}/leaf.ts"; export {};`,
            `${room}-${floor}-imports-only-downwards`,
          ]),
        ];
      });
    }),
  );
}

/** File, text, and the rule that must find it; undefined: it is allowed and must not be found. */
const cases: readonly Case[] = [
  ...floorCases(),
  ["kernel/ground.ts", `import "./text/leaf.ts"; export {};`, "kernel-ground-imports-no-floor"],
  ["hardware/ground.ts", `import "./cpu/leaf.ts"; export {};`, "hardware-ground-imports-no-floor"],
  [
    "host/host.ts",
    `import { kernel } from "../kernel/kernel.ts"; import "./health/leaf.ts"; export const host = kernel;`,
    "host-ground-imports-no-floor",
  ],
  ["hardware/up.ts", `import "../vm/vm.ts"; export {};`, "hardware-imports-only-downwards"],
  ["trust/up.ts", `import "../audit/x.ts"; export {};`, "trust-imports-only-downwards"],
  ["host/up.ts", `import "../api/api.ts"; export {};`, "host-imports-only-downwards"],
  ["api/up.ts", `import "../scheduler/up.ts"; export {};`, "api-imports-only-downwards"],
  ["scheduler/up.ts", `import "../composition/root.ts"; export {};`, "scheduler-imports-only-downwards"],
  ["cli/root.ts", `import "../composition/root.ts"; export {};`, "composition-is-the-root-s"],
  [
    "contract/spec.ts",
    `import { kernel } from "../kernel/kernel.ts"; export const spec = kernel;`,
    undefined,
  ],
  ["vm/spec.ts", `import { spec } from "../contract/spec.ts"; export const s = spec;`, undefined],
  [
    "vm/methods.ts",
    `import { up } from "../contract/up.ts"; export const u = up;`,
    "vm-imports-only-downwards",
  ],
  ["contract/spec-wire.ts", `import "../gen/wire.ts";`, "spec-imports-kernel-alone"],
  ["contract/up.ts", `import "../api/api.ts"; export {};`, "contract-imports-kernel-and-gen-alone"],
  ["composition/root.ts", "export const root = 1;", undefined],
  ["http/up.ts", `import "../metrics/prom.ts"; export {};`, "http-imports-only-downwards"],
  [
    "kernel/up.ts",
    `import { vm } from "../vm/vm.ts"; export const up = vm;`,
    "kernel-imports-only-downwards",
  ],
  ["libvirt/up.ts", `import type { Vm } from "../vm/vm.ts"; export type Up = Vm;`, "libvirt-stands-alone"],
  [
    "libvirt/kernel.ts",
    `import { kernel } from "../kernel/kernel.ts"; export const k = kernel;`,
    "libvirt-stands-alone",
  ],
  ["libvirt/library.ts", `import { pino } from "pino"; export const p = pino;`, "libvirt-stands-alone"],
  ["state/up.ts", `import "../api/api.ts";`, "state-imports-only-downwards"],
  ["vm/sibling.ts", `export { host } from "../host/host.ts";`, "vm-imports-only-downwards"],
  ["page/sibling.ts", `import "../metrics/sibling.ts";`, "page-imports-only-downwards"],
  ["page/page.ts", `import "./browser/main.js";`, "the-browser-is-elsewhere"],
  ["page/browser/main.js", `import "../page.ts";`, "the-browser-loads-its-own"],
  ["metrics/sibling.ts", `import "../api/api.ts";`, "metrics-imports-only-downwards"],
  [
    "vm/grpc.ts",
    `import { status } from "@grpc/grpc-js"; export const ok = status.OK;`,
    "grpc-stays-at-the-edges",
  ],
  [
    "host/wire.ts",
    `import type { Wire } from "../gen/wire.ts"; export type W = Wire;`,
    "grpc-stays-at-the-edges",
  ],
  [
    "host/prom.ts",
    `import { Registry } from "prom-client"; export const r = new Registry();`,
    "prom-client-stays-in-metrics",
  ],
  ["vm/zod.ts", `import * as z from "zod"; export const text = z.string();`, "zod-comes-from-the-kernel"],
  [
    "vm/socket.ts",
    `import { connect } from "node:net"; export const c = connect;`,
    "sockets-stay-in-their-rooms",
  ],
  ["libvirt/socket.ts", `import net from "net"; export const n = net;`, "sockets-stay-in-their-rooms"],
  ["state/lazy-socket.ts", `export const net = await import("node:net");`, "sockets-stay-in-their-rooms"],
  [
    "vm/child.ts",
    `import { spawn } from "node:child_process"; export const s = spawn;`,
    "children-are-hardware-s",
  ],
  [
    "state/egg-type.ts",
    `import type { Hen } from "./hen-type.ts"; export type Egg = Hen | undefined;`,
    "no-cycles",
  ],
  [
    "state/hen-type.ts",
    `import type { Egg } from "./egg-type.ts"; export interface Hen { readonly egg: Egg }`,
    undefined,
  ],
  ["state/egg.ts", `import { hen } from "./hen.ts"; export const egg = (): unknown => hen;`, "no-cycles"],
  [
    "vm/deep.ts",
    `import { wire } from "../libvirt/wire.ts"; export const w = wire;`,
    "libvirt-has-one-entry",
  ],
  ["api/deep-trust.ts", `import { x } from "../trust/x.ts"; export const y = x;`, "trust-has-one-entry"],
  ["api/deep-audit.ts", `import { x } from "../audit/x.ts"; export const y = x;`, "audit-has-one-entry"],
  ["audit/sibling.ts", `export { host } from "../host/host.ts";`, "audit-imports-only-downwards"],
  [
    "state/tls.ts",
    `import { connect } from "node:tls"; export const c = connect;`,
    "certificates-are-trust-s",
  ],
  ["cli/inside.ts", `import { vm } from "../vm/vm.ts"; export const v = vm;`, "cli-is-a-client"],
  [
    "config/inside.ts",
    `import { vm } from "../vm/vm.ts"; export const v = vm;`,
    "config-imports-kernel-alone",
  ],

  // A cycle is reported once, at its first file.
  ["state/hen.ts", `import { egg } from "./egg.ts"; export const hen = (): unknown => egg;`, undefined],
  ["trust/x.ts", `import { connect } from "node:tls"; export const x = connect;`, undefined],
  ["audit/x.ts", `import { hen } from "../state/hen.ts"; export const x = hen;`, undefined],
  ["audit/index.ts", `export { x } from "./x.ts";`, undefined],
  ["cli/audit.ts", `export { x } from "../audit/index.ts";`, undefined],
  ["kernel/kernel.ts", `export const kernel = 1;`, undefined],
  ["libvirt/wire.ts", `export const wire = 1;`, undefined],
  ["libvirt/parser.ts", `import { SaxesParser } from "saxes"; export const s = SaxesParser;`, undefined],
  ["libvirt/index.ts", `export { wire } from "./wire.ts";`, undefined],
  ["libvirt/rpc/connection.ts", `import { connect } from "node:net"; export const c = connect;`, undefined],
  [
    "hardware/privileged/child.ts",
    `import { spawn } from "node:child_process"; export const s = spawn;`,
    undefined,
  ],
  [
    "vm/vm.ts",
    `import { wire } from "../libvirt/index.ts"; export const vm = wire; export type Vm = 1;`,
    undefined,
  ],
  ["gen/wire.ts", `export type Wire = 1;`, undefined],
  [
    "api/api.ts",
    `import { status } from "@grpc/grpc-js"; import { vm } from "../vm/vm.ts"; export const a = [status, vm];`,
    undefined,
  ],
  ["metrics/prom.ts", `import { Registry } from "prom-client"; export const r = new Registry();`, undefined],
];

test("each violation of the layers is found, and allowed imports are not", async (t) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-layers-"));
  t.after(() => rm(directory, { recursive: true }));
  for (const file of ["tsconfig.json", "package.json"]) {
    await cp(join(repository, file), join(directory, file));
  }
  await symlink(join(repository, "node_modules"), join(directory, "node_modules"));
  for (const [file, text] of cases) {
    const path = join(directory, "agent", file);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text);
  }

  const { summary } = await cruise(directory);
  const caught = new Map<string, Set<string>>();
  for (const { from, rule } of summary.violations) {
    const file = from.replace(/^agent\//, "");
    caught.set(file, (caught.get(file) ?? new Set()).add(rule.name));
  }
  for (const [file, text, rule] of cases) {
    const rules = [...(caught.get(file) ?? [])];
    if (rule === undefined) assert.deepEqual(rules, [], `${file}: ${text}`);
    else assert.ok(rules.includes(rule), `${file} is found by [${rules.join()}], not ${rule}: ${text}`);
  }
});

test("each rule has a file above that violates it", async () => {
  const config = (await import(join(repository, ".dependency-cruiser.cjs"))) as {
    readonly default: { readonly forbidden: readonly { readonly name: string }[] };
  };
  const shown = new Set(cases.map(([, , rule]) => rule));
  const unshown = config.default.forbidden.map(({ name }) => name).filter((name) => !shown.has(name));
  assert.deepEqual(unshown, []);
});

test("the agent loads no module after its start, since an upgrade deletes the old version's chunks", async () => {
  const entries = await readdir(join(repository, "agent"), { recursive: true });
  const late: string[] = [];
  for (const file of entries.filter((name) => name.endsWith(".ts") && !/^(cli\/|main\.ts)/.test(name))) {
    const text = await readFile(join(repository, "agent", file), "utf8");
    for (const [, module = ""] of text.matchAll(/^(?!import |\s*\/\/).*\bimport\("([^"]+)"\)/gm))
      late.push(`${file}: ${module}`);
  }
  // trust.ts loads the chunk at the start for the other two.
  assert.deepEqual(late.sort(), [
    "trust/host-key.ts: ./x509.ts",
    "trust/revocation.ts: ./x509.ts",
    "trust/trust.ts: ./x509.ts",
  ]);
});

test("the agent violates no layer, and the checker reads each of its files", async () => {
  const { modules, summary } = await cruise(repository);
  const violations = summary.violations.map(({ rule, from, to }) => `${rule.name}: ${from} -> ${to}`);
  assert.deepEqual(violations, []);
  const read = new Set(modules.map((module) => module.source));
  const entries = await readdir(join(repository, "agent"), { recursive: true });
  const files = entries.filter((file) => file.endsWith(".ts")).map((file) => join("agent", file));
  assert.ok(files.length > 50, `only ${files.length} files in agent/`);
  const unread = files.filter((file) => !read.has(file));
  assert.deepEqual(unread, []);
});
