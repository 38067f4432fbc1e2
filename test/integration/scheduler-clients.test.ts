import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { test, type TestContext } from "node:test";
import { spawnBound } from "../support/bound-child.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { freePort } from "../support/ports.ts";
import { linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

// The two clients of the README, as readers run them.
const repository = join(import.meta.dirname, "../..");
const clients = {
  TypeScript: [process.execPath, "--import", "tsx", "test/clients/scheduler.ts"],
  Python: ["/usr/bin/python3", "test/clients/scheduler.py"],
} as const;
const unavailable = libvirtdUnavailable();
const noPython = existsSync("/usr/lib/python3/dist-packages/grpc")
  ? false
  : "python3-grpcio is not installed";

for (const [language, command] of Object.entries(clients)) {
  const skip = unavailable !== false ? unavailable : language === "Python" && noPython;
  test(`the scheduler in ${language} sees a host and boots a guest on it`, { skip }, async (t) => {
    const port = await freePort();
    const { agent } = await startHost(t, port);
    const spec = join(agent.directory, "spec.json");
    await writeFile(spec, JSON.stringify(linux("first")));
    const printed = run(t, command, port, spec);
    await eventually(() => printed.some((line) => /^created \S+ STATE_SUCCEEDED/.test(line)), {
      what: "the guest",
      timeoutMs: 90_000,
    }).catch((thrown: unknown) => assert.fail(`${String(thrown)}\n${printed.join("\n")}`));
    await eventually(() => printed.some((line) => /^event \d+ EVENT_KIND_VM_STATE_CHANGED first/.test(line)));
    await eventually(() => printed.some((line) => /^heartbeat \d+ generation \d+/.test(line)));
    assert.ok(printed.includes("report of 0 VMs, digest agrees"), printed.join("\n"));
  });

  test(`the scheduler in ${language} reads why a host refuses a guest`, { skip }, async (t) => {
    const port = await freePort();
    const { agent } = await startHost(t, port);
    const spec = join(agent.directory, "spec.json");
    await writeFile(spec, JSON.stringify({ ...linux("../evil"), memoryBytes: 12345 }));
    const printed = run(t, command, port, spec);
    const refusal = await eventually(() => printed.find((line) => /^refused: .*spec/.test(line)), {
      timeoutMs: 60_000,
    });
    assert.match(refusal, /spec\.name/);
    if (language !== "Python") return;
    const reasons = await eventually(() => {
      const lines = printed.filter((line) => /^refused because .*(SPEC_INVALID|field_violations)/.test(line));
      return lines.length >= 2 && lines.join("\n");
    });
    assert.match(reasons, /reason: "SPEC_INVALID" domain: "socle"/);
    assert.match(reasons, /field_violations \{ field: "spec\.memoryBytes"/);
  });
}

const shortestSkip = unavailable !== false ? unavailable : noPython;
test("the shortest scheduler prints the VMs that a host reports", { skip: shortestSkip }, async (t) => {
  const port = await freePort();
  const host = await startHost(t, port);
  const { vmId } = await host.beginCreate(linux("first"), { leaveStopped: true });
  const printed = run(t, ["/usr/bin/python3", "test/clients/shortest.py"], port, "");
  await eventually(() => printed.includes(`vm ${vmId} first`), { what: "the VM", timeoutMs: 60_000 }).catch(
    (thrown: unknown) => assert.fail(`${String(thrown)}\n${printed.join("\n")}`),
  );
});

/** A host that reports to a scheduler on `port`. */
async function startHost(t: TestContext, port: number): Promise<SocleHost> {
  const api = { listen: `127.0.0.1:${await freePort()}` };
  const host = await SocleHost.start({ config: { api, scheduler: { address: `127.0.0.1:${port}` } } });
  t.after(() => host.stop());
  return host;
}

/** Starts a client and returns an array that collects its output lines. */
function run(t: TestContext, command: readonly string[], port: number, spec: string): readonly string[] {
  const [program = "", ...args] = command;
  const child = spawnBound(program, [...args, `127.0.0.1:${port}`, spec], { cwd: repository });
  t.after(() => child.kill("SIGKILL"));
  const printed: string[] = [];
  createInterface(child.stdout).on("line", (line) => printed.push(line));
  createInterface(child.stderr).on("line", (line) => printed.push(`stderr: ${line}`));
  return printed;
}
