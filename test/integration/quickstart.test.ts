// The README's first command, as a user runs it.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { claimSingleRun } from "../quickstart/single-run.ts";

const repository = join(import.meta.dirname, "../..");
const script = join(repository, "scripts/run");

test(
  "scripts/run --once does the main job and leaves nothing behind",
  { skip: libvirtdUnavailable() },
  async () => {
    const { stdout } = await promisify(execFile)(script, ["--once"], {
      timeout: 240_000,
      maxBuffer: 2 ** 24,
    });
    for (const output of [
      /registered/,
      /socle-demo: 42/,
      /socle_vm_cpu_seconds_total/,
      /removed: VM socle-demo/,
    ]) {
      assert.match(stdout, output);
    }
    await assertNothingIsLeft();
  },
);

/** ./scripts/run in a terminal's foreground process group, which gets Ctrl-C as a whole. */
class Demonstration {
  output = "";
  readonly #child = spawn(script, { detached: true, stdio: ["ignore", "pipe", "pipe"], timeout: 240_000 });
  readonly #ended = once(this.#child, "close") as Promise<[number | null]>;

  constructor() {
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream.setEncoding("utf8").on("data", (text: string) => (this.output += text));
  }

  async prints(what: string, timeoutMs: number): Promise<void> {
    const isReported = (): boolean => {
      if (this.#child.exitCode !== null) throw new Ended(this.output);
      return this.output.includes(what);
    };
    await eventually(isReported, { what, timeoutMs, giveUpOn: Ended });
  }

  pressCtrlC(): void {
    if (this.#child.exitCode === null) process.kill(-(this.#child.pid ?? NaN), "SIGINT");
  }

  async ends(): Promise<number | null> {
    return (await this.#ended)[0];
  }
}

class Ended extends Error {}

async function assertNothingIsLeft(): Promise<void> {
  const uri = "qemu:///system";
  assert.ok(!(await virsh(uri, ["list", "--all", "--name"])).includes("socle-demo"));
  assert.ok(!(await virsh(uri, ["pool-list", "--all", "--name"])).includes("socle-demo"));
  assert.deepEqual(
    (await readdir(tmpdir())).filter((name) => name.startsWith("socle-run-")),
    [],
  );
}

test(
  "scripts/run stays up until Ctrl-C, its hints work, and it leaves nothing behind",
  { skip: libvirtdUnavailable() },
  async () => {
    // The remains of a killed run.
    await mkdtemp(join(tmpdir(), "socle-run-"));
    const run = new Demonstration();
    try {
      await run.prints("gRPC API at", 200_000);
      const hints = [...run.output.matchAll(/^ *(\.\/scripts\/socle .*?)(?: +#.*)?$/gm)].flatMap(
        ([, hint]) => hint ?? [],
      );
      const answers = hints
        .filter((hint) => !/ (top|vm console .*|vm stop .*)$/.test(hint))
        .map((hint) => pasted(hint.replace(/events --since-start$/, "events --since-start --no-follow")));
      const all = (await Promise.all(answers)).join("\n");
      assert.match(all, /vm_defined +socle-demo/);
      assert.match(all, /agent_started/);
      assert.match(all, /"?sampleIntervalSeconds"?: 2\b/);
      assert.doesNotMatch(all, /does not answer|no audit log|^socle:/m);
    } finally {
      run.pressCtrlC();
      await run.ends();
    }
    assert.match(run.output, /operation_ended CREATE_VM succeeded/);
    assert.match(run.output, /removed: VM socle-demo/);
    assert.doesNotMatch(run.output, /could not be removed|ended with an error/);
    assert.equal(await run.ends(), 0, run.output);
    await assertNothingIsLeft();
  },
);

test(
  "Ctrl-C during the boot ends scripts/run at once, and a second Ctrl-C does not interrupt its cleanup",
  { skip: libvirtdUnavailable() },
  async () => {
    const run = new Demonstration();
    try {
      await run.prints("the scheduler places a VM", 60_000);
    } finally {
      run.pressCtrlC();
    }
    await run.prints("cleaning up…", 1000);
    run.pressCtrlC();
    assert.equal(await run.ends(), 0, run.output);
    assert.doesNotMatch(run.output, /stays up|ended with an error/);
    await assertNothingIsLeft();
  },
);

/** A command's output, whatever its exit code. */
async function pasted(hint: string): Promise<string> {
  const [command = "", ...args] = hint.split(" ");
  const options = { cwd: repository, timeout: 60_000 };
  return await new Promise((resolve) => {
    execFile(command, args, options, (_error, stdout, stderr) => resolve(stdout + stderr));
  });
}

test("a second concurrent run is refused before it changes anything, and names the first", async () => {
  const name = `socle-test-${process.pid}`;
  const first = await claimSingleRun(name);
  const message = `another ./scripts/run is running on this machine (process ${process.pid}); wait for its end, or end it`;
  await assert.rejects(claimSingleRun(name), { message });
  first.leave();
  (await claimSingleRun(name)).leave();
});
