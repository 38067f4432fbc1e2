// The README's first command, as a person runs it.
import assert from "node:assert/strict";
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { libvirtdUnavailable } from "../lab/libvirtd.ts";
import { virsh } from "../lab/virsh.ts";
import { stayAlone } from "../quickstart/alone.ts";

test(
  "scripts/run --once does the main job, and leaves nothing",
  { skip: libvirtdUnavailable() },
  async () => {
    const script = join(import.meta.dirname, "../../scripts/run");
    const { stdout } = await promisify(execFile)(script, ["--once"], {
      timeout: 240_000,
      maxBuffer: 2 ** 24,
    });
    for (const told of [
      /registered/,
      /socle-demo: 42/,
      /socle_vm_cpu_seconds_total/,
      /removed: VM socle-demo/,
    ]) {
      assert.match(stdout, told);
    }
    assert.ok(!(await virsh("qemu:///system", ["list", "--all", "--name"])).includes("socle-demo"));
  },
);

test(
  "scripts/run stays up until Ctrl-C, which goes to all that it started, and leaves nothing",
  { skip: libvirtdUnavailable() },
  async () => {
    const script = join(import.meta.dirname, "../../scripts/run");
    // A terminal's foreground group.
    const child = spawn(script, { detached: true, stdio: ["ignore", "pipe", "pipe"], timeout: 240_000 });
    let told = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => {
      if (!told.includes("until Ctrl-C") && (told + text).includes("until Ctrl-C"))
        process.kill(-(child.pid ?? NaN), "SIGINT");
      told += text;
    });
    child.stderr.setEncoding("utf8").on("data", (text: string) => (told += text));
    const [code] = (await once(child, "close")) as [number | null];
    assert.match(told, /removed: VM socle-demo/);
    assert.doesNotMatch(told, /could not be removed|ended with an error/);
    assert.equal(code, 0, told);
    assert.ok(!(await virsh("qemu:///system", ["list", "--all", "--name"])).includes("socle-demo"));
  },
);

test("a second one at the same time is refused before it touches anything, and says who is at work", async () => {
  const name = `socle-test-${process.pid}`;
  const first = await stayAlone(name);
  const message = `another ./scripts/run is at work on this machine (process ${process.pid}); wait for its end, or end it`;
  await assert.rejects(stayAlone(name), { message });
  first.leave();
  (await stayAlone(name)).leave();
});
