import assert from "node:assert/strict";
import { readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test, type TestContext } from "node:test";
import { AuditLog } from "../../../agent/audit/index.ts";
import { silentLog } from "../../../agent/kernel/log.ts";
import { systemClock } from "../../../agent/kernel/clock.ts";
import { folder } from "../../support/state/folder.ts";
import { socle } from "../../support/cli/fake-agent.ts";
import { nowMs } from "../../support/cli/samples.ts";

/** A log of three acts an hour apart, the last of them now; and its folder. */
async function logOf(t: TestContext): Promise<string> {
  const directory = await folder(t);
  let time = nowMs - 7_200_000;
  const clock = { ...systemClock, now: () => time };
  const log = await AuditLog.open({ directory, clock, log: silentLog, retentionMs: 1e12 });
  const method = "/socle.v1.VmService/StartVm";
  const ann = { name: "spiffe://cloud.example/operator/ann", role: "operator" };
  const bob = { name: "spiffe://cloud.example/viewer/bob", role: "viewer" };
  await log.record({
    act: "call_admitted",
    method,
    caller: ann,
    vm: "v-1",
    tenant: "red",
    outcome: "allowed",
  });
  time += 3_600_000;
  const reason = "ROLE_DENIED";
  await log.record({
    act: "call_refused",
    method,
    caller: bob,
    vm: "v-2",
    tenant: "blue",
    outcome: "denied",
    reason,
  });
  time += 3_600_000;
  await log.record({
    act: "call_admitted",
    method,
    caller: ann,
    vm: "v-2",
    tenant: "blue",
    outcome: "allowed",
  });
  await log.close();
  return directory;
}

const audit = (directory: string, ...line: string[]) => socle(["audit", ...line, "--directory", directory]);

test("audit verify reports whether this host signed a receipt", async (t) => {
  const directory = await folder(t);
  const log = await AuditLog.open({ directory, clock: systemClock, log: silentLog, retentionMs: 1e12 });
  const { text, signature } = log.attest({ receipt: "socle erasure 1", vm: "v-1" });
  await log.close();
  const path = join(directory, "operation.json");
  const verify = async (receipt: string): ReturnType<typeof audit> => {
    await writeFile(path, JSON.stringify({ result: { receipt, receipt_signature: signature } }));
    return await audit(directory, "verify", "--receipt", path);
  };
  const good = await verify(text);
  assert.deepEqual([good.exitCode, good.stdout.split("\n")[1]], [0, text]);
  const bad = await verify(text.replace("v-1", "v-2"));
  assert.equal(bad.exitCode, 1);
  assert.match(bad.stdout, /^bad: [\da-f]{64} did not sign this receipt\n$/);
  await writeFile(path, "{}");
  assert.equal((await audit(directory, "verify", "--receipt", path)).exitCode, 2);
});

test("audit verify reports a good log, and names the first bad entry", async (t) => {
  const directory = await logOf(t);
  const good = await audit(directory, "verify");
  assert.equal(good.exitCode, 0, good.stderr);
  assert.match(good.stdout, /^good: entries 1 to 4, 1 checkpoints\nkey [0-9a-f]{64}\n$/);
  const name = (await readdir(directory)).find((file) => file.startsWith("audit-")) ?? "";
  const path = join(directory, name);
  await writeFile(path, (await readFile(path, "utf8")).replace("viewer/bob", "viewer/eve"));
  const bad = await audit(directory, "verify");
  assert.equal(bad.exitCode, 1);
  assert.match(bad.stdout, /^bad: entry 2 does not fit its hash: it was edited \(audit-0+1\.log:3\)\n/);
  const json = await audit(directory, "verify", "--json");
  assert.equal((JSON.parse(json.stdout) as { problem: { sequence: number } }).problem.sequence, 2);
  const shown = await audit(directory, "show");
  assert.equal(shown.exitCode, 1);
  assert.match(shown.stderr, /not to be trusted further: entry 2/);
});

test("audit verify compares a log with a checkpoint kept elsewhere", async (t) => {
  const directory = await logOf(t);
  const { stdout } = await audit(directory, "checkpoint");
  const kept = join(await folder(t), "kept");
  await writeFile(kept, stdout);
  assert.equal((await audit(directory, "verify", "--checkpoint", kept)).exitCode, 0);
  await writeFile(kept, stdout.replace('"sequence":3', '"sequence":30'));
  assert.equal((await audit(directory, "verify", "--checkpoint", kept)).exitCode, 1);
  await writeFile(kept, "nonsense");
  assert.equal((await audit(directory, "verify", "--checkpoint", kept)).exitCode, 2);
});

test("audit show filters by time, caller, VM, tenant and refusal", async (t) => {
  const directory = await logOf(t);
  const sequences = async (...line: string[]): Promise<number[]> => {
    const { stdout, exitCode } = await audit(directory, "show", "--json", ...line);
    assert.equal(exitCode, 0);
    const lines = stdout.split("\n").filter((text) => text !== "");
    return lines.map((text) => (JSON.parse(text) as { sequence: number }).sequence);
  };
  assert.deepEqual(await sequences(), [1, 2, 3]);
  assert.deepEqual(await sequences("--since", "90m"), [2, 3]);
  assert.deepEqual(await sequences("--since", new Date(nowMs).toISOString()), [3]);
  assert.deepEqual(await sequences("--who", "ann"), [1, 3]);
  assert.deepEqual(await sequences("--vm", "v-2"), [2, 3]);
  assert.deepEqual(await sequences("--tenant", "red"), [1]);
  assert.deepEqual(await sequences("--denied"), [2]);
  assert.deepEqual(await sequences("--limit", "1"), [3]);
  const table = await audit(directory, "show", "--denied");
  assert.match(table.stdout, /ENTRY +TIME +WHO +WHAT +VM +TENANT +OUTCOME +REASON\n/);
  assert.match(
    table.stdout,
    /2 .* spiffe:\/\/cloud\.example\/viewer\/bob +StartVm +v-2 +blue +denied +ROLE_DENIED/,
  );
  assert.equal((await audit(directory, "show", "--since", "yesterday")).exitCode, 2);
});

test("audit show prints the request: a cordon and its reason, and the acknowledged condition", async (t) => {
  const directory = await folder(t);
  const log = await AuditLog.open({ directory, clock: systemClock, log: silentLog, retentionMs: 1e12 });
  for (const [method, request] of [
    ["SetSchedulingState", { state: "LIFECYCLE_STATE_CORDONED", reason: "New Fans" }],
    ["AcknowledgeCondition", { type: "MemoryUncorrected" }],
  ] as const)
    await log.record({ act: "call_admitted", method: `/socle.v1.HostService/${method}`, arguments: request });
  await log.close();
  const { stdout } = await audit(directory, "show");
  assert.match(stdout, /SetSchedulingState .* state=cordoned reason=New Fans$/m);
  assert.match(stdout, /AcknowledgeCondition .* type=MemoryUncorrected$/m);
});

test("audit export prints entries that one tenant can verify alone", async (t) => {
  const directory = await logOf(t);
  const { stdout, exitCode } = await audit(directory, "export", "--tenant", "blue");
  assert.equal(exitCode, 0);
  assert.ok(!stdout.includes("v-1"));
  const place = await folder(t);
  const [path, key] = [join(place, "blue"), join(place, "key")];
  await writeFile(path, stdout);
  await writeFile(key, await readFile(join(directory, "key.pub")));
  await rm(directory, { recursive: true });
  const checked = await socle(["audit", "verify", "--export", path, "--key", key]);
  assert.equal(checked.exitCode, 0, checked.stderr);
  assert.match(
    checked.stdout,
    /^good: 2 entries of blue, signed by [0-9a-f]{64}\ncomplete: entries 1 to 3 hold no other entries of blue, by its marks [0-9a-f]{32}\n$/,
  );
  assert.match((await socle(["audit", "verify", "--export", path])).stderr, /compare its fingerprint/);
  await writeFile(path, stdout.replace("v-2", "v-3"));
  assert.equal((await socle(["audit", "verify", "--export", path, "--key", key])).exitCode, 1);
});

test("the tenant in an export's text cannot forge its verdict", async (t) => {
  const directory = await logOf(t);
  const forged = "blue, signed by 1\ncomplete: all\u001b[8m";
  const path = join(await folder(t), "forged");
  await writeFile(path, (await audit(directory, "export", "--tenant", forged)).stdout);
  const { stdout } = await socle(["audit", "verify", "--export", path]);
  assert.match(
    stdout,
    /^good: 0 entries of blue, signed by 1\ufffdcomplete: all\ufffd\[8m, signed by [0-9a-f]{64}\n/,
  );
});

test("without a log the commands report that there is none", async (t) => {
  const directory = join(await folder(t), "none");
  const { exitCode, stderr } = await audit(directory, "verify");
  assert.equal(exitCode, 3);
  assert.match(stderr, /none\/key\.pub cannot be read/);
});
