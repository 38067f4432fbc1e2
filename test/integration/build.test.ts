import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { access, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";
import { AgentProcess } from "../support/agent-process.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";

const run = promisify(execFile);
const repository = join(import.meta.dirname, "../..");
// Far from any node_modules, as on a host.
let dist = "";

before(async () => {
  dist = await mkdtemp(join(tmpdir(), "socle-dist-"));
  await run(process.execPath, [join(repository, "scripts/build.mjs"), dist]);
});
after(() => rm(dist, { recursive: true }));

test("the bundle runs from any directory and prints its version", async () => {
  const { version } = JSON.parse(await readFile(join(repository, "package.json"), "utf8")) as {
    version: string;
  };
  const { stdout } = await run(process.execPath, [join(dist, "socle.js"), "version"], { cwd: "/", env: {} });
  assert.ok(stdout.includes(version), stdout);
});

test("the inventory probe prints the machine's identity", async () => {
  const { stdout } = await run(process.execPath, [join(dist, "inventory-probe.js")], { cwd: "/" });
  assert.equal(typeof (JSON.parse(stdout) as { vendor: string }).vendor, "string");
});

test("the bundle's directory holds exactly what it loads at run time", async () => {
  await access(join(dist, "proto/socle/v1/vm.proto"));
  await access(join(dist, "socle.js.map"));
  await access(join(dist, "page/index.html"));
  await access(join(dist, "page/main.js"));
  await assert.rejects(access(join(dist, "page/tsconfig.json")));
  await assert.rejects(access(join(dist, "proto/buf.yaml")));
});

interface Output {
  readonly imports: readonly { readonly path: string; readonly kind: string }[];
  readonly inputs: Readonly<Record<string, unknown>>;
}

test("a command does not load the agent, nor what calls one, before it needs it", async () => {
  await access(join(dist, "package.json"));
  const text = await readFile(join(dist, "metafile.json"), "utf8");
  const { outputs } = JSON.parse(text) as { readonly outputs: Readonly<Record<string, Output>> };
  const loaded = new Set(Object.keys(outputs).filter((path) => path.endsWith("/socle.js")));
  assert.equal(loaded.size, 1);
  for (const path of loaded)
    for (const { kind, path: imported } of outputs[path]?.imports ?? [])
      if (kind === "import-statement" && imported in outputs) loaded.add(imported);
  const modules = [...loaded].flatMap((path) => Object.keys(outputs[path]?.inputs ?? {}));
  assert.ok(modules.some((path) => path.endsWith("agent/main.ts")));
  assert.deepEqual(
    modules.filter((path) =>
      /agent\/(agent|vm|host|libvirt|config)\b|node_modules\/(@grpc|zod|yaml)\//.test(path),
    ),
    [],
  );
});

test("the bundled agent starts and answers its CLI", { skip: libvirtdUnavailable() }, async (t) => {
  const libvirtd = await Libvirtd.start();
  t.after(() => libvirtd.stop());
  const bundle = join(dist, "socle.js");
  const agent = await AgentProcess.start({ bundle, config: { libvirt: { uri: libvirtd.uri } } });
  t.after(() => agent.stop());
  const args = [bundle, "--socket", agent.socketPath, "vm", "ls", "--json"];
  // Until the agent has read all of libvirt, the list is marked incomplete, and the CLI exits with 4.
  const { stdout } = await eventually(() => run(process.execPath, args, { cwd: "/" }), {
    what: "a complete list of VMs",
  });
  const { vms, complete } = JSON.parse(stdout) as { vms: unknown; complete: unknown };
  assert.deepEqual([vms, complete], [[], true]);
  assert.equal(await agent.terminate(), 0, agent.output());
});
