import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { createConnection, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type TestContext } from "node:test";
import { Answers } from "../../../../agent/hardware/privileged/answers.ts";
import type { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { identifyMachine } from "../../../../agent/hardware/system/identity.ts";
import { kernelLogReader } from "../../../../agent/hardware/system/kernel-log.ts";
import { isNotWatched } from "../../../../agent/hardware/reading.ts";
import { energyReader } from "../../../../agent/hardware/sensors/rapl.ts";
import { systemRoots } from "../../../../agent/hardware/roots.ts";
import { spawnBound } from "../../../support/bound-child.ts";
import { program } from "../../../support/programs.ts";
import { unpackHost } from "../../../support/tree.ts";
import { eventually } from "../../../support/wait.ts";

const { signal } = new AbortController();
const skip =
  spawnSync("systemd-socket-activate", ["--version"]).status === 0
    ? false
    : "systemd-socket-activate is not installed: run scripts/setup --tests";

/** The commands that would run: every program exits at once, or is cancelled and outlives it. */
function recorded({ isStuck = false } = {}) {
  const argv: (readonly string[])[] = [];
  const run: typeof runChild = (command) => {
    argv.push(command);
    if (isStuck) return { output: Promise.reject(new Error("late")), gone: new Promise(() => undefined) };
    return { output: Promise.resolve({ stdout: "output", stderr: "" }), gone: Promise.resolve() };
  };
  return { argv, run };
}

const strange = [
  "",
  "smart",
  "smart ../../etc/shadow",
  "smart /dev/sda",
  "smart sda1",
  "smart sda -d scsi",
  "smart nvme0n1",
  "smart sda;reboot",
  "smart -h",
  "bmc",
  "bmc raw 0x06 0x01",
  "bmc chassis power off",
  "bmc log 0",
  "bmc log 1000",
  "bmc log 16 -f",
  "bmc sensors sensors",
  "energy 1",
  "energy /etc",
  "serial ../product_uuid",
  "kernel-log -1",
  "kernel-log 1 2",
  "kernel-log 1e9",
  "sh -c id",
  `kernel-log ${"1".repeat(16)}`,
];

test("a query becomes exactly one command, and an invalid query none", async (context) => {
  const roots = await unpackHost(context, "sick-server", { "dev/ipmi0": "" });
  const { argv, run } = recorded();
  const answers = new Answers(roots, run);
  for (const question of [
    "smart nvme0",
    "smart sdab",
    "bmc sensors",
    "bmc log-info",
    "bmc log 16",
    "bmc power",
    "bmc chassis",
    "bmc firmware",
  ])
    assert.equal((await answers.answer(question, signal).output).stdout, "output", question);
  const smartctl = (disk: string): string => `smartctl --json -n standby -a ${join(roots.devRoot, disk)}`;
  assert.deepEqual(
    argv.map((command) => command.join(" ")),
    [
      smartctl("nvme0"),
      smartctl("sdab"),
      "ipmitool -I open -v -c sdr elist",
      "ipmitool -I open sel info",
      "ipmitool -I open -c sel elist last 16",
      "ipmitool -I open dcmi power reading",
      "ipmitool -I open chassis status",
      "ipmitool -I open mc info",
    ],
  );
  for (const question of strange)
    await assert.rejects(answers.answer(question, signal).output, { reason: "QUESTION_UNKNOWN" }, question);
  assert.equal(argv.length, 8);
});

test("a program that hangs in a driver gets no second one beside it; other disks are queried", async (context) => {
  const roots = await unpackHost(context, "sick-server");
  const { argv, run } = recorded({ isStuck: true });
  const answers = new Answers(roots, run);
  await assert.rejects(answers.answer("smart sda", signal).output, /late/);
  await assert.rejects(answers.answer("smart sda", signal).output, { reason: "CHILD_STUCK" });
  await assert.rejects(answers.answer("smart sdb", signal).output, /late/);
  assert.equal(argv.length, 2);
});

test("the kernel's log continues after the named record, in every process", async (context) => {
  const records = ["6,1,10,-;one", "6,2,20,-;two", " SUBSYSTEM=x", "6,3,30,-;three", ""].join("\n");
  const roots = await unpackHost(context, "sick-server", { "dev/kmsg": records });
  const read = async (answers: Answers, question: string): Promise<string> =>
    (await answers.answer(question, signal).output).stdout;
  const first = new Answers(roots);
  context.after(() => first.close());
  assert.equal(await read(first, "kernel-log"), records);
  assert.equal(await read(first, "kernel-log 3"), "");
  await writeFile(join(roots.devRoot, "kmsg"), "6,4,40,-;four\n", { flag: "a" });
  assert.equal(await read(first, "kernel-log 3"), "6,4,40,-;four\n");
  assert.equal(await read(first, "kernel-log 4"), "");
});

/** The real helper behind a socket like systemd's, queried by the agent's own readers. */
async function startHelper(context: TestContext) {
  const runRoot = await mkdtemp(join(tmpdir(), "socle-helper-"));
  const socket = join(runRoot, "socle-hardware.sock");
  const node = [process.execPath, ...program("agent/hardware/privileged/helper.ts")];
  const helper = spawnBound("systemd-socket-activate", [`--listen=${socket}`, ...node]);
  context.after(async () => {
    helper.kill("SIGKILL");
    await rm(runRoot, { recursive: true });
  });
  let printed = "";
  helper.stderr.on("data", (text: Buffer) => (printed += text.toString()));
  helper.stdout.resume();
  await eventually(() => printed.includes("Listening on"), { what: "the helper's socket" });
  return { socket, helper, roots: { ...systemRoots, runRoot } };
}

/** Sends raw text over the socket, and returns the full reply. */
const send = (socket: string, words: string): Promise<string> =>
  new Promise((resolve) => {
    let text = "";
    const connection = createConnection(socket, () => connection.write(words));
    connection.setEncoding("utf8").on("data", (piece: string) => (text += piece));
    connection.on("error", () => undefined).on("close", () => resolve(text));
  });

test("the helper answers as this process would, and refuses all else", { skip }, async (context) => {
  const { socket, helper, roots } = await startHelper(context);
  const [here, there] = [kernelLogReader(systemRoots), kernelLogReader(roots)];
  context.after(() => here.close());
  const [own, helped] = [await here.read(signal), await there.read(signal)];
  assert.equal(helped.kind, own.kind, JSON.stringify(helped));
  if (own.kind === "read" && helped.kind === "read") assert.deepEqual(helped.value.counts, own.value.counts);
  if (own.kind === "failed" && helped.kind === "failed") assert.equal(helped.code, own.code);
  assert.equal((await there.read(signal)).kind, own.kind);
  const energies = [await energyReader(systemRoots)(signal), await energyReader(roots)(signal)];
  assert.equal(energies[1]?.kind, energies[0]?.kind);
  const silent = ["echo", "{}"] as const;
  const [machine, helpedMachine] = [
    await identifyMachine(silent, systemRoots),
    await identifyMachine(silent, roots),
  ];
  assert.deepEqual(helpedMachine, machine);
  for (const question of strange)
    assert.match(await send(socket, `${question}\n`), /"reason":"QUESTION_UNKNOWN"/, question);
  for (const flood of ["x".repeat(100_000), "smart sda".padEnd(100) + "\n"])
    assert.match(await send(socket, flood), /"reason":"QUESTION_UNKNOWN"|^$/);
  // A second query over the same connection is refused.
  assert.equal((await send(socket, "kernel-log x\nenergy\n")).match(/reason/g)?.length, 1);
  // Node opens its debugger on this signal, unless that is disabled.
  assert.ok(helper.kill("SIGUSR1"));
  assert.match(await send(socket, "energy x\n"), /QUESTION_UNKNOWN/);
  assert.equal(helper.exitCode, null);
});

test("a silent, refusing or missing helper is a failure with a remedy, until it is disabled", async (context) => {
  const runRoot = await mkdtemp(join(tmpdir(), "socle-helper-"));
  context.after(() => rm(runRoot, { recursive: true }));
  const socket = join(runRoot, "socle-hardware.sock");
  const link = "etc/systemd/system/sockets.target.wants/socle-hardware.socket";
  const roots = { ...(await unpackHost(context, "sick-server", { [link]: "" })), runRoot };
  const energy = energyReader(roots);
  const fails = async (why: RegExp): Promise<void> => {
    const found = await energy(signal);
    assert.ok(found.kind === "failed" && !isNotWatched(found), JSON.stringify(found));
    assert.match(found.reason, why);
  };
  await fails(/the hardware helper cannot be reached: connect ENOENT/);
  const server = createServer((connection) => connection.resume().end()).listen(socket);
  await once(server, "listening");
  await fails(/the hardware helper sent no valid answer; see: systemctl status socle-hardware\.socket/);
  // Its socket's file may still exist.
  await rename(socket, `${socket}.kept`);
  server.close();
  await rename(`${socket}.kept`, socket);
  await rm(join(roots.etcRoot, "systemd"), { recursive: true });
  await fails(/cannot be reached: connect ECONNREFUSED/);
  await rm(socket);
  assert.equal((await energy(signal)).kind, "read");
});
