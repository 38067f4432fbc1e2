import assert from "node:assert/strict";
import { PassThrough, Writable } from "node:stream";
import test, { type TestContext } from "node:test";
import { status } from "@grpc/grpc-js";
import { runCli } from "../../../agent/cli/index.ts";
import type { Backup } from "../../../agent/gen/socle/v1/Backup.ts";
import type { Operation } from "../../../agent/gen/socle/v1/Operation.ts";
import type { Vm } from "../../../agent/gen/socle/v1/Vm.ts";
import { eventually } from "../../support/wait.ts";
import { fakeAgent, protoDirectory, socle } from "../../support/cli/fake-agent.ts";
import { ago, host, nowMs, operation, vm } from "../../support/cli/samples.ts";

const rated = (name: string, cpuCores: number, changes: Partial<Vm> = {}): Vm =>
  vm({
    name,
    vmId: `id-${name}`,
    stats: {
      sampledAt: ago(4),
      memoryRssBytes: 2 ** 30 - cpuCores * 2 ** 20,
      rates: {
        cpuCores,
        diskReadBytesPerSecond: 1024,
        diskWriteBytesPerSecond: 1024,
        receiveBytesPerSecond: 5e6,
        transmitBytesPerSecond: 0,
      },
    },
    ...changes,
  });

const crowd: Vm[] = [
  rated("calm", 0.02),
  rated("busy", 1.9),
  rated("hung", 1, { stats: { sampledAt: ago(90), unresponsive: true, memoryRssBytes: 2 ** 30 } }),
  rated("lost", 1, { observation: { presence: "PRESENCE_UNKNOWN", observedAt: ago(60) } }),
  rated("middle", 0.5, { tenant: "green" }),
];

interface Answers {
  vms: Vm[];
  operations: Operation[];
  backups: Backup[];
  complete: boolean;
  fails: boolean;
}

async function agentOf(context: TestContext): Promise<{ socket: string; answers: Answers }> {
  const answers: Answers = { vms: crowd, operations: [], backups: [], complete: true, fails: false };
  const usage = {
    readAt: ago(3),
    cpuBusyRatio: 0.63,
    memoryTotalBytes: 2 ** 34,
    memoryAvailableBytes: 2 ** 32,
  };
  const socket = await fakeAgent(context, {
    host: {
      GetHost: (_call, done) => {
        if (answers.fails) done({ code: status.UNAVAILABLE, details: "the agent is stopping" });
        else done(null, host({ usage }));
      },
    },
    operations: { ListOperations: (_call, done) => done(null, { operations: answers.operations }) },
    backups: {
      ListBackups: ({ request }, done) =>
        done(null, { backups: request.onlyOpen && request.vm === "" ? answers.backups : [] }),
    },
    vms: {
      ListVms: (_call, done) =>
        done(null, {
          vms: answers.vms,
          totalSize: answers.vms.length,
          observation: {
            presence: answers.complete ? "PRESENCE_PRESENT" : "PRESENCE_UNKNOWN",
            observedAt: ago(60),
          },
        }),
    },
  });
  return { socket, answers };
}

const escape = "\u001b";
const lineAt = new RegExp(`${escape}\\[\\d+;1H${escape}\\[K(.*?)(?=${escape}\\[(?:\\d+;1H|\\?2026l))`, "g");
const colour = new RegExp(`${escape}\\[\\d+m`, "g");

/** A terminal of this size, which shows what a real one would show. */
class Terminal extends Writable {
  readonly isTTY = true;
  columns: number;
  rows: number;
  written = "";
  readonly stdin = Object.assign(new PassThrough(), {
    isTTY: true,
    modes: [] as boolean[],
    setRawMode(raw: boolean) {
      this.modes.push(raw);
    },
  });

  constructor(columns: number, rows: number) {
    super({
      write: (chunk: Buffer, _encoding, done) => {
        this.written += chunk.toString();
        done();
      },
    });
    [this.columns, this.rows] = [columns, rows];
  }

  /** The lines of the last frame, without colours. */
  get lines(): string[] {
    const last = this.written.split("\u001b[?2026h").at(-1) ?? "";
    return [...last.matchAll(lineAt)].map(([, text = ""]) => text.replace(colour, ""));
  }

  names(): string[] {
    const first = this.lines.findIndex((line) => line.startsWith("NAME"));
    return this.lines.slice(first + 1, -1).flatMap((line) => line.split(" ")[0] || []);
  }
}

function start(
  context: TestContext,
  socket: string,
  line: readonly string[],
  terminal: Terminal,
): Promise<number> {
  const running = runCli(["top", ...line], {
    stdout: terminal,
    stderr: new PassThrough(),
    stdin: terminal.stdin,
    env: { SOCLE_SOCKET: socket, TERM: "xterm" },
    isTTY: true,
    startAgent: () => Promise.resolve(0),
    protoDirectory,
    version: "1.2.3",
    clock: { now: () => nowMs },
  });
  context.after(() => terminal.stdin.write("q"));
  return running;
}

const shows = (terminal: Terminal, what: string, is: () => boolean): Promise<boolean> =>
  eventually(is, { what: `${what}; it shows:\n${terminal.lines.join("\n")}`, timeoutMs: 60_000 });

test("the busiest VMs come first, unknown readings last and never as zero; keys sort and filter", async (context) => {
  const { socket } = await agentOf(context);
  const terminal = new Terminal(110, 20);
  const ended = start(context, socket, [], terminal);
  await shows(terminal, "a frame", () => terminal.names().length === 5);
  assert.deepEqual(terminal.names(), ["busy", "middle", "calm", "hung", "lost"]);
  const whole = terminal.lines.join("\n");
  assert.match(whole, /node-1 {2}no_schedule {2}cordoned/);
  assert.match(whole, /cpu \[#{10}\.{6}\] 63% {3}memory \[#{12}\.{4}\] 12 GiB of 16 GiB/);
  assert.match(whole, /^busy +running +95% +1022 MiB +2 KiB +4\.8 MiB +2 +1\.5 GiB blue/m);
  assert.match(whole, /^hung +unresponsive +- +- +- +- /m);
  assert.match(whole, /^lost +running\? +- +- +- +- /m);

  terminal.stdin.write("m");
  await shows(terminal, "sorted by memory", () => terminal.names()[0] === "calm");
  terminal.stdin.write("r");
  await shows(terminal, "the other way", () => terminal.names()[0] === "busy");
  assert.deepEqual(terminal.names().slice(-2), ["hung", "lost"]);
  terminal.stdin.write("/green");
  await shows(terminal, "filtered", () => terminal.names().join() === "middle");
  terminal.stdin.write("\u001b");
  await shows(terminal, "all again", () => terminal.names().length === 5);

  terminal.stdin.write("q");
  assert.equal(await ended, 0);
  assert.ok(terminal.written.startsWith("\u001b[?1049h\u001b[?25l"));
  assert.ok(terminal.written.endsWith("\u001b[?7h\u001b[?25h\u001b[?1049l"), "the terminal is restored");
  assert.deepEqual(terminal.stdin.modes, [true, false]);
  assert.ok(!terminal.written.includes(`${escape}[2J`), "nothing is cleared, so nothing flickers");
});

test("copies under way are shown with their speed and the time that is left", async (context) => {
  const { socket, answers } = await agentOf(context);
  const running = { state: "STATE_RUNNING", done: false, endedAt: null } as const;
  const transfer = { doneBytes: 3 * 2 ** 29, totalBytes: 3 * 2 ** 30, bytesPerSecond: 2 ** 26 };
  answers.operations = [
    operation({ ...running, kind: "MOVE_DISK", vmId: "id-busy", progress: 0.43, transfer }),
    operation({ ...running, kind: "STOP_VM", vmId: "id-calm" }),
  ];
  const terminal = new Terminal(110, 20);
  start(context, socket, [], terminal).catch(() => undefined);
  await shows(terminal, "a frame", () => terminal.names().length === 5);
  const whole = terminal.lines.join("\n");
  assert.match(whole, /^MOVE_DISK busy 43% {2}1\.5 GiB of 3 GiB, 64 MiB\/s, 24s left *$/m);
  assert.doesNotMatch(whole, /STOP_VM/);
});

test("a narrow terminal leaves columns out; no line is wider than it", async (context) => {
  const { socket } = await agentOf(context);
  for (const [columns, rows] of [
    [40, 12],
    [20, 6],
    [60, 8],
  ] as const) {
    const terminal = new Terminal(columns, rows);
    const ended = start(context, socket, [], terminal);
    await shows(terminal, "a frame", () => terminal.lines.length > 0);
    assert.equal(terminal.lines.length, rows);
    for (const line of terminal.lines) assert.ok(Array.from(line).length <= columns, `${columns}: ${line}`);
    terminal.stdin.write("\u0003");
    assert.equal(await ended, 0);
  }
});

test("a terminal without a size, as a serial console, counts as 80 by 24; pasted text is read as keys", async (context) => {
  const { socket } = await agentOf(context);
  const terminal = new Terminal(0, 0);
  const ended = start(context, socket, [], terminal);
  await shows(terminal, "a frame", () => terminal.names().length === 5);
  assert.equal(terminal.lines.length, 24);
  terminal.stdin.write("constructor");
  await shows(terminal, "the other way", () => terminal.names()[2] === "busy");
  assert.equal(terminal.names().length, 5);
  terminal.stdin.write("q");
  assert.equal(await ended, 0);
});

test("the cursor stops at the last VM, and keys that arrive together each count", async (context) => {
  const { socket, answers } = await agentOf(context);
  answers.vms = Array.from({ length: 30 }, (_, at) => rated(`vm-${String(at).padStart(2, "0")}`, 1));
  const terminal = new Terminal(80, 20);
  const ended = start(context, socket, ["--sort", "name"], terminal);
  await shows(terminal, "a frame", () => terminal.names()[0] === "vm-00");
  terminal.stdin.write("\u001b[B\u001b[B\u001b[B");
  await shows(terminal, "three further", () => terminal.names()[0] === "vm-03");
  for (let page = 0; page < 5; page += 1) terminal.stdin.write("\u001b[6~");
  await shows(terminal, "the last one", () => terminal.names().at(-1) === "vm-29");
  terminal.stdin.write("\u001b[A");
  await shows(terminal, "the one before it", () => terminal.names().at(-1) === "vm-28");
  terminal.stdin.write("q");
  assert.equal(await ended, 0);
});

test("top goes on when the agent or libvirt disconnects, and shows it", async (context) => {
  const { socket, answers } = await agentOf(context);
  const terminal = new Terminal(110, 20);
  const ended = start(context, socket, ["--delay", "250ms"], terminal);
  const screenShows = (pattern: RegExp) =>
    shows(terminal, String(pattern), () => pattern.test(terminal.lines.join("\n")));
  await screenShows(/5 VMs/);
  answers.fails = true;
  await screenShows(/stopping: this is as it was .* ago; trying again/);
  assert.equal(terminal.names().length, 5);
  answers.fails = false;
  answers.complete = false;
  answers.vms = crowd.map((one) => ({
    ...one,
    observation: { presence: "PRESENCE_UNKNOWN", observedAt: ago(60) },
  }));
  await screenShows(/libvirt does not answer: the VMs are unknown, as last seen/);
  answers.vms = [...crowd, rated("newcomer", 1.99)];
  await screenShows(/^newcomer/m);
  terminal.stdin.write("q");
  assert.equal(await ended, 0);
});

test("top shows the open backups, and until when each waits for a reader", async (context) => {
  const { socket, answers } = await agentOf(context);
  answers.backups = [
    {
      ...{ backupId: "b1", vmId: "id-busy", state: "BACKUP_STATE_OPEN", createdAt: ago(185) },
      ...{ leaseExpiresAt: ago(-595), scratchBytes: 2 ** 30, scratchUsedBytes: 2 ** 20 },
    },
  ];
  const { stdout } = await socle(["top"], { socket });
  assert.match(
    stdout,
    /^backup of busy open for 3m\d*s?, scratch 1 MiB of 1 GiB, abandoned in 9m\d+s without a reader$/m,
  );
  const json = await socle(["top", "--json"], { socket });
  const { openBackups } = JSON.parse(json.stdout) as { openBackups: { backupId: string }[] };
  assert.deepEqual(
    openBackups.map(({ backupId }) => backupId),
    ["b1"],
  );
});

test("without a terminal top prints once, as text or as JSON", async (context) => {
  const { socket } = await agentOf(context);
  const { stdout, exitCode } = await socle(["top", "--sort", "name"], { socket });
  assert.equal(exitCode, 0);
  assert.ok(!stdout.includes(escape));
  assert.match(stdout, /^NAME\* .*\nbusy .*\ncalm .*\nhung .*\nlost .*\nmiddle /m);
  const json = await socle(["top", "--json", "--filter", "green"], { socket });
  const printed = JSON.parse(json.stdout) as { vms: { name: string }[]; complete: boolean };
  assert.deepEqual([printed.vms.map(({ name }) => name), printed.complete], [["middle"], true]);
  const wrong = await socle(["top", "--sort", "colour"], { socket });
  assert.equal(wrong.exitCode, 2);
});
