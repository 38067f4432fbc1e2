import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import test, { type TestContext } from "node:test";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { program } from "../../support/programs.ts";
import { ago, event, host, operation, vm } from "../../support/cli/samples.ts";

const main = program("agent/main.ts");

/** Runs the real program with a closed reader on one of its streams. */
async function unread(
  context: TestContext,
  line: readonly string[],
  output: "stdout" | "stderr",
): Promise<{ exitCode: unknown; words: string }> {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_, done) => done(null, host()) },
    vms: {
      ListVms: (_, done) =>
        done(null, { vms: [vm()], observation: { presence: "PRESENCE_PRESENT", observedAt: ago(2) } }),
    },
    operations: { ListOperations: (_, done) => done(null, { operations: [operation()] }) },
    reservations: { ListReservations: (_, done) => done(null, {}) },
  });
  const child = spawn(process.execPath, [...main, "--socket", socket, ...line]);
  child[output].destroy();
  const other = output === "stdout" ? child.stderr : child.stdout;
  const [words] = await Promise.all([text(other), once(child, "exit")]);
  const { exitCode } = child;
  return { exitCode, words };
}

test("a command whose output has no reader any more ends quietly", async (context) => {
  for (const line of [["--json", "status"], ["vm", "ls"], ["--help"]])
    assert.deepEqual(await unread(context, line, "stdout"), { exitCode: 0, words: "" }, line.join(" "));
  const refused = await unread(context, ["statsu"], "stderr");
  assert.deepEqual(refused, { exitCode: 2, words: "" });
});

test("output that cannot be written fails the command", async () => {
  const child = spawn("sh", ["-c", 'exec "$@" >/dev/full', "-", process.execPath, ...main, "--version"]);
  const [words] = await Promise.all([text(child.stderr), once(child, "exit")]);
  assert.equal(child.exitCode, 1);
  assert.match(words, /^socle: output is incomplete: .*no space left/);
});

test("an event of a kind newer than the command is shown by its number", async (context) => {
  const socket = await fakeAgent(context, {
    host: { GetHost: (_, done) => done(null, host({ position: { eventSequence: 1 } })) },
    events: { Subscribe: (call) => void call.write({ ...event(1), kind: 4711 as never }, () => call.end()) },
  });
  const { exitCode, stdout } = await socle(["events", "--no-follow"], { socket });
  assert.equal(exitCode, 0);
  assert.match(stdout, / 1 {2}4711 {2}web-1/);
});

test("with --json a mistake in the command line is JSON too, and nothing else", async () => {
  for (const [line, message] of [
    [["--json", "statsu"], /unknown command 'statsu' \(Did you mean status\?\)/],
    [["--json", "vm", "show"], /missing required argument 'vm'/],
    [["vm", "ls", "--json", "--nonsense"], /unknown option '--nonsense'/],
    [["--json", "vm"], /a command is missing/],
    [["--json", "--address", "nonsense", "status"], /--address takes HOST:PORT, not 'nonsense'/],
    [["--json", "config", "show", "--example"], /leave out --json/],
    [["--json", "completion", "bash"], /leave out --json/],
  ] as const) {
    const { exitCode, stdout, stderr } = await socle(line);
    assert.deepEqual([exitCode, stdout], [2, ""]);
    const { error } = JSON.parse(stderr) as { error: { message: string; exitCode: number } };
    assert.match(error.message, message);
    assert.equal(error.exitCode, 2);
  }
});

test("an invalid address is reported before any call", async () => {
  for (const address of [
    "nonsense",
    "host:",
    ":1",
    "host:0",
    "host:65536",
    "a b:1",
    "http://host:1",
    "::1:80",
  ]) {
    const { exitCode, stderr } = await socle(["--address", address, "status"]);
    assert.equal(exitCode, 2, address);
    assert.match(stderr, /--address takes HOST:PORT/);
  }
});
