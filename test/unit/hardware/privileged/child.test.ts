import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "node:test";
import { runChild } from "../../../../agent/hardware/privileged/child.ts";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { eventually, within } from "../../../support/wait.ts";

const limits = { timeoutMs: 60_000, maxOutputBytes: 1000 };

function ofKind(kind: string, pattern?: RegExp) {
  return (thrown: unknown): boolean => {
    assert.ok(thrown instanceof SocleError);
    assert.equal(thrown.kind, kind);
    if (pattern !== undefined) assert.match(thrown.message, pattern);
    return true;
  };
}

/** A killed process that has not been reaped yet is gone too. */
async function stateOf(pid: number): Promise<"alive" | "gone"> {
  const stat = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => ") Z");
  return stat.slice(stat.lastIndexOf(")") + 2).startsWith("Z") ? "gone" : "alive";
}

test("the output of a program is returned", async () => {
  const { stdout, stderr } = await runChild(["sh", "-c", "echo out; echo err >&2"], limits).output;
  assert.deepEqual([stdout, stderr], ["out\n", "err\n"]);
});

test("an exit code other than 0 is an error with the program's own text", async () => {
  await assert.rejects(
    runChild(["sh", "-c", "echo why >&2; exit 3"], limits).output,
    ofKind("internal", /3: why/),
  );
});

test("a missing program is an error", async () => {
  await assert.rejects(runChild(["/nonexistent/program"], limits).output, ofKind("unavailable", /ENOENT/));
});

test("too much output ends the program", async () => {
  await assert.rejects(runChild(["yes"], limits).output, ofKind("exhausted"));
});

test("a program past its deadline is killed together with its children", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-child-"));
  context.after(() => rm(directory, { recursive: true }));
  const pidFile = join(directory, "grandchild");
  const program = (seconds: number) => ["sh", "-c", `sleep ${seconds} & echo $! > ${pidFile}; wait`] as const;
  const startMs = performance.now();
  await runChild(program(0), limits).output;
  // Far above what its start takes on this machine.
  const timeoutMs = Math.ceil(500 + 10 * (performance.now() - startMs));
  await rm(pidFile);
  const late = runChild(program(600), { ...limits, timeoutMs });
  await assert.rejects(late.output, ofKind("timeout", new RegExp(`${timeoutMs} ms`)));
  await within(late.gone, 60_000, "the program to be gone");
  const grandchild = Number(await readFile(pidFile, "utf8"));
  await eventually(async () => (await stateOf(grandchild)) === "gone", { what: "its child to be gone" });
});

test("a signal ends the program", async () => {
  const stop = new AbortController();
  const { output } = runChild(["sleep", "60"], { ...limits, signal: stop.signal });
  stop.abort();
  await assert.rejects(output, ofKind("cancelled"));
});

test("a program cancelled before its start never starts", async (context) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-child-"));
  context.after(() => rm(directory, { recursive: true, force: true }));
  const trace = join(directory, "started");
  const giveUp = new AbortController();
  const child = runChild(["touch", trace], { ...limits, signal: giveUp.signal });
  giveUp.abort();
  await assert.rejects(child.output, ofKind("cancelled"));
  await child.gone;
  await assert.rejects(readFile(trace), /ENOENT/);
});

test("the agent's environment is not inherited", async () => {
  process.env["SOCLE_TEST_SECRET"] = "x";
  const { stdout } = await runChild(["env"], limits).output;
  delete process.env["SOCLE_TEST_SECRET"];
  assert.doesNotMatch(stdout, /SOCLE_TEST_SECRET/);
});
