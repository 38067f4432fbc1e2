// Clients' mistakes on the whole agent over a real libvirtd: each gets a clear error, no partial object remains, and the
// agent runs on.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, afterEach, before, suite, test } from "node:test";
import type { Agent } from "../../agent/cli/client.ts";
import type { ConsoleResponse__Output } from "../../agent/gen/socle/v1/ConsoleResponse.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { isSocleError, type SocleError, type ErrorKind } from "../../agent/kernel/errors.ts";
import { spawnBound } from "../support/bound-child.ts";
import { untilUp } from "../support/linux-console.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { program } from "../support/programs.ts";
import { bootSector, linux, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const MIB = 2 ** 20;

suite("bad input", { skip: libvirtdUnavailable() }, () => {
  let host: SocleHost;
  let client: Agent;
  let vms: Agent["contract"]["vms"];

  before(async () => {
    const api = { limits: { mutationsPerSecond: 1000, failuresPerSecond: 1000 } };
    host = await SocleHost.start({ config: { api, vm: { sampleIntervalSeconds: 1 } } });
    ({ client } = host);
    ({ vms } = client.contract);
  });
  after(() => host.stop());
  // After every mistake the agent and libvirt answer.
  afterEach(async () => {
    const list = await host.list();
    assert.equal(list.observation?.presence, "PRESENCE_PRESENT");
    assert.deepEqual(list.vms.map(({ name }) => name).sort(), (await host.domains()).sort());
  });

  const refusal = async (call: Promise<unknown>): Promise<SocleError> => {
    const thrown: unknown = await call.then(
      () => assert.fail("it was not refused"),
      (error: unknown) => error,
    );
    assert.ok(isSocleError(thrown), String(thrown));
    return thrown;
  };
  const refused = async (call: Promise<unknown>, kind: ErrorKind, reason: string): Promise<SocleError> => {
    const error = await refusal(call);
    assert.deepEqual([error.kind, error.reason], [kind, reason], error.message);
    return error;
  };

  test("every method names a missing VM", async () => {
    const request = { requestId: randomUUID(), vm: "missing" };
    const calls = [
      client.ask(vms.GetVm, { vm: "missing" }),
      client.ask(vms.StartVm, request),
      client.ask(vms.StopVm, request),
      client.ask(vms.RebootVm, request),
      client.ask(vms.PauseVm, request),
      client.ask(vms.ResumeVm, request),
      client.ask(vms.DeleteVm, request),
    ];
    for (const call of calls)
      assert.match((await refused(call, "not_found", "VM_NOT_FOUND")).message, /missing/);
    const operation = client.ask(client.contract.operations.GetOperation, { operationId: "nothing" });
    await refused(operation, "not_found", "OPERATION_NOT_FOUND");
  });

  test("names with XML, paths or commands are refused with their field", async () => {
    const bad = [
      "",
      "a/b",
      "../../etc/passwd",
      "<name/>",
      "a'b\"c&d",
      "new\nline",
      "nul\0",
      "ünïcode",
      "-dash",
      "x".repeat(64),
    ];
    const disk = (source: object): VmSpec => bootSector("x", { disks: [{ name: "boot", ...source }] });
    // More than 2^53 - 1 is refused while the message is decoded, before spec validation.
    const tooLarge = "REQUEST_INVALID";
    const cases: [spec: VmSpec, field: RegExp, reason?: string][] = [
      ...bad.map((name): [VmSpec, RegExp] => [bootSector(name), /^spec\.name$/]),
      [bootSector("x", { vmId: "../x" }), /^spec\.(id|vm_id)$/],
      [bootSector("x", { tenant: "<a>" }), /^spec\.tenant$/],
      [bootSector("x", { labels: { "a<b": "c" } }), /^spec\.labels/],
      [bootSector("x", { labels: { a: "c\0d" } }), /^spec\.labels\.a$/],
      [bootSector("x", { vcpus: 0 }), /^spec\.vcpus$/],
      [bootSector("x", { memoryBytes: 1 }), /^spec\.memory/],
      [bootSector("x", { memoryBytes: 2 ** 60 }), /^spec\.memory/, tooLarge],
      [disk({ volume: { pool: "images", volume: "../../../etc/shadow" } }), /^spec\.disks\[0\]/],
      [disk({ volume: { pool: "<pool/>", volume: "a" } }), /^spec\.disks\[0\]/],
      [disk({ newVolume: { pool: "images", capacityBytes: 2 ** 60 } }), /^spec\.disks\[0\]/, tooLarge],
      [linux("x", { kernelBoot: { kernel: { pool: "images", volume: "/boot/vmlinuz" } } }), /^spec\.kernel/],
      [linux("x", { nics: [{ name: "net", network: "a'/><evil/>" }] }), /^spec\.nics\[0\]/],
      [linux("x", { nics: [{ name: "net", bridge: "br0" }] }), /^spec\.nics\[0\]\.bridge$/],
      [
        linux("x", { nics: [{ name: "net", network: "default", mac: "ff:ff:ff:ff:ff:ff" }] }),
        /^spec\.nics\[0\]\.mac$/,
      ],
    ];
    for (const [spec, field, reason = "SPEC_INVALID"] of cases) {
      const error = await refused(host.beginCreate(spec), "invalid", reason);
      const fields = Object.keys(error.details.fields ?? {});
      assert.ok(
        fields.some((name) => field.test(name)),
        `${JSON.stringify(spec)} was refused for ${fields.join(", ")}`,
      );
    }
    await refused(client.ask(vms.CreateVm, { requestId: randomUUID() }), "invalid", "SPEC_INVALID");
    for (const requestId of ["", "x".repeat(300), "new\nline"]) {
      await refused(host.beginCreate(bootSector("x"), { requestId }), "invalid", "REQUEST_ID_INVALID");
    }
    assert.deepEqual(await host.domains(), []);
  });

  test("a message of 5 MB is refused", async () => {
    const big = await refusal(host.beginCreate(bootSector("big", { labels: { a: "x".repeat(5_000_000) } })));
    assert.equal(big.kind, "exhausted");
  });

  test("a request id is valid for one request", async () => {
    const requestId = randomUUID();
    const first = await host.beginCreate(bootSector("once"), { requestId });
    assert.equal((await host.beginCreate(bootSector("once"), { requestId })).operationId, first.operationId);
    await refused(host.beginCreate(bootSector("twice"), { requestId }), "conflict", "REQUEST_ID_REUSED");
    assert.equal((await host.end(first)).state, "STATE_SUCCEEDED");
    await refused(client.ask(vms.DeleteVm, { requestId, vm: "once" }), "conflict", "REQUEST_ID_REUSED");
    await refused(host.beginCreate(bootSector("once")), "already_exists", "VM_EXISTS");
    await host.remove("once");
  });

  test("a guest that never stops runs on until a stop with force", async () => {
    assert.equal((await host.create(bootSector("deaf"))).state, "STATE_SUCCEEDED");
    const stop = { requestId: randomUUID(), vm: "deaf", gracefulTimeout: { seconds: 1 } };
    const failed = await host.end(await client.ask(vms.StopVm, stop));
    const why = host.failureOf(failed);
    assert.deepEqual(
      [failed.state, why?.kind, why?.reason],
      ["STATE_FAILED", "timeout", "GUEST_DID_NOT_STOP"],
    );
    assert.match(why?.message ?? "", /force/);
    assert.equal(await host.virsh("domstate", "deaf"), "running");
    await refused(
      client.ask(vms.DeleteVm, { requestId: randomUUID(), vm: "deaf" }),
      "conflict",
      "VM_RUNNING",
    );
    const force = { requestId: randomUUID(), vm: "deaf", gracefulTimeout: { seconds: 0 }, force: true };
    const forced = await host.end(await client.ask(vms.StopVm, force));
    assert.deepEqual([forced.state, forced.result["stopped_by"]], ["STATE_SUCCEEDED", "force"]);
    assert.equal(await host.virsh("domstate", "deaf"), "shut off");
    await host.remove("deaf");
  });

  test("a full pool is reported, and earlier steps are rolled back", async () => {
    const { libvirtd } = host;
    const path = join(libvirtd.imagesDirectory, "small");
    await libvirtd.run("mkdir", [path]);
    await libvirtd.run("mount", ["-t", "tmpfs", "-o", "size=4m", "none", path]);
    // A file fills the pool, not a volume, so no capacity is provisioned.
    await libvirtd.run("mkdir", [join(path, "pool")]);
    await host.virsh("pool-create-as", "small", "dir", "--target", join(path, "pool"));
    const newVolume = (name: string, pool: string): object => ({
      name,
      newVolume: { pool, capacityBytes: 2 * MIB },
    });
    const spec = bootSector("full", {
      disks: [newVolume("first", "images"), newVolume("second", "small")],
    });
    const images = await host.volumes();
    // To the last byte, so that not even a sparse file's first block fits; then with room only for a small header.
    for (const leftBytes of [0, 64 * 1024, 1 * MIB]) {
      await libvirtd.run("rm", ["-f", join(path, "filler")]);
      await libvirtd.run("fallocate", ["--length", String(4 * MIB - leftBytes), join(path, "filler")]);
      const operation = await host.create(spec);
      const why = host.failureOf(operation);
      assert.deepEqual(
        [operation.state, why?.kind, why?.reason],
        ["STATE_FAILED", "exhausted", "POOL_FULL"],
        why?.message,
      );
      assert.match(why?.message ?? "", /small/);
      assert.deepEqual(await host.volumes("small"), []);
      assert.deepEqual(await host.volumes(), images);
      assert.deepEqual(await host.domains(), []);
    }
    await libvirtd.run("rm", [join(path, "filler")]);
    assert.equal((await host.create(spec, { leaveStopped: true })).state, "STATE_SUCCEEDED");
    await host.remove("full");
    assert.deepEqual(await host.volumes(), images);
    await host.virsh("pool-destroy", "small");
  });

  test("300 concurrent creates without capacity: the ledger is right at every moment", async () => {
    const outcomes = { made: 0, refused: 0 };
    const over = new AbortController();
    const books = (async () => {
      let looks = 0;
      while (!over.signal.aborted) {
        const { capacity } = await host.host();
        for (const { resource, total, reserved, allocated, claimed, overcommitRatio, available } of (
          capacity?.cells ?? []
        ).flatMap(({ resources }) => resources)) {
          assert.ok(allocated !== undefined && available !== undefined, `${resource} is unknown`);
          assert.ok(available >= 0, `${resource} is overbooked: ${available}`);
          assert.ok(
            allocated + claimed <= (total - reserved) * overcommitRatio,
            `${resource}: ${allocated} + ${claimed}`,
          );
        }
        looks += 1;
      }
      return looks;
    })();
    books.catch(() => undefined);
    const begun = await Promise.all(
      Array.from({ length: 300 }, async (_, index) => {
        const spec = bootSector(`many-${index}`, { vcpus: 2, memoryBytes: 16 * MIB });
        try {
          const operation = await host.beginCreate(spec, { leaveStopped: true });
          outcomes.made += 1;
          return [operation];
        } catch (thrown) {
          assert.ok(isSocleError(thrown));
          assert.deepEqual([thrown.kind, thrown.reason], ["exhausted", "NO_CAPACITY"], thrown.message);
          assert.equal(thrown.details.metadata?.["dimension"], "cpu");
          outcomes.refused += 1;
          return [];
        }
      }),
    );
    for (const operation of begun.flat()) assert.equal((await host.end(operation)).state, "STATE_SUCCEEDED");
    over.abort();
    const looks = await books;
    const cpus = (await host.host()).capacity?.cells
      .flatMap(({ resources }) => resources)
      .find(({ resource }) => resource === "cpu");
    assert.ok(cpus !== undefined && looks > 3);
    const sold = Math.floor((cpus.total * cpus.overcommitRatio) / 2);
    assert.deepEqual(outcomes, { made: sold, refused: 300 - sold });
    assert.deepEqual(
      [cpus.allocated, cpus.claimed, cpus.available],
      [sold * 2, 0, cpus.total * cpus.overcommitRatio - sold * 2],
    );
    const big = await refused(
      host.beginCreate(bootSector("big", { memoryBytes: 2 ** 45 })),
      "exhausted",
      "NO_CAPACITY",
    );
    assert.match(big.details.metadata?.["dimension"] ?? "", /cpu|memory/);
    await Promise.all((await host.domains()).map((name) => host.remove(name)));
    const rest = (await host.host()).capacity?.cells.flatMap(({ resources }) => resources) ?? [];
    assert.deepEqual(
      rest.map(({ allocated = 0, claimed }) => allocated + claimed).filter((amount) => amount !== 0),
      [],
    );
  });

  test("a console is taken over with force, and its holder is notified", async (t) => {
    assert.equal((await host.create(linux("talker"))).state, "STATE_SUCCEEDED");
    t.after(() => host.remove("talker"));
    const first = openConsole(client, { vm: "talker" });
    await untilUp(first.printed, first.type);
    const second = openConsole(client, { vm: "talker" });
    await refused(second.ended, "conflict", "CONSOLE_IN_USE");
    const third = openConsole(client, { vm: "talker", force: true, input: Buffer.from("\n") });
    await refused(first.ended, "unavailable", "CONSOLE_TAKEN_OVER");
    third.end();
    await third.ended;
    await refused(openConsole(client, { vm: "missing" }).ended, "not_found", "VM_NOT_FOUND");
    await refused(openConsole(client, {}).ended, "invalid", "VM_MISSING");
  });

  test("killed clients leave nothing behind", async (t) => {
    assert.equal((await host.create(linux("watched"))).state, "STATE_SUCCEEDED");
    t.after(() => host.remove("watched"));
    const pids = [host.agent.pid, await host.libvirtd.pid()];
    const descriptors = async (): Promise<number[]> =>
      await Promise.all(pids.map(async (pid) => (await readdir(`/proc/${pid}/fd`)).length));
    await eventually(async () => (await descriptors()).length > 0);
    const before = await descriptors();
    for (let round = 0; round < 3; round += 1) {
      const child = spawnBound(process.execPath, [
        ...program("test/support/streaming-client.ts"),
        host.agent.socketPath,
        "watched",
      ]);
      const open = new Set<string>();
      createInterface(child.stdout).on("line", (line) => open.add(line));
      let words = "";
      child.stderr.on("data", (chunk: Buffer) => (words += chunk.toString()));
      // An operation stream is silent without operations; the console's holder shows by the refusal.
      await eventually(() => ["vms", "host", "events", "console"].every((name) => open.has(name)), {
        what: `the client's streams (${words})`,
        timeoutMs: 30_000,
      });
      const [agentFds = 0] = await descriptors();
      assert.ok(agentFds > (before[0] ?? 0));
      child.kill("SIGKILL");
    }
    await eventually(
      async () => (await descriptors()).every((count, index) => count <= (before[index] ?? 0)),
      { what: `descriptors to be ${before.join(" and ")} again`, timeoutMs: 60_000 },
    );
    const again = openConsole(client, { vm: "watched", input: Buffer.from("\n") });
    await eventually(() => again.printed().length > 0, { what: "the console to be free" });
    again.end();
    await again.ended;
  });
});

/** A console with its output and its end. */
function openConsole(
  client: Agent,
  first: { vm?: string; force?: boolean; input?: Buffer },
): { printed: () => string; type: (input: Buffer) => void; ended: Promise<void>; end: () => void } {
  const call = client.open(client.contract.vms.Console);
  let printed = "";
  call.on("data", ({ output }: ConsoleResponse__Output) => (printed += output.toString("latin1")));
  const ended = new Promise<void>((resolve, reject) => {
    call.on("end", resolve);
    call.on("error", (error) => reject(client.failure(error)));
  });
  ended.catch(() => undefined);
  call.write(first);
  return {
    printed: () => printed,
    type: (input) => void call.write({ input }),
    ended,
    end: () => call.end(),
  };
}
