import assert from "node:assert/strict";
import test from "node:test";
import { SocleError, toSocleError } from "../../../../agent/kernel/errors.ts";
import * as libvirt from "../../../../agent/libvirt/index.ts";
import { MemorySnapshots } from "../../../../agent/vm/hypervisor/memory-snapshots.ts";
import { FakeClock } from "../../../support/host/fake-clock.ts";

const MIB = 2 ** 20;
const ID = "6f1c2f1e-0000-4000-8000-000000000001";

/** A libvirt whose write ends once it is aborted. `job`: the bytes that it has written, or its refusal. */
function stage(job: () => number | SocleError, suspend: () => Promise<unknown> = () => Promise.resolve({})) {
  const clock = new FakeClock();
  const did: string[] = [];
  let end: (error: SocleError) => void = () => undefined;
  const written = new Promise<never>((_, reject) => (end = reject));
  const param = (field: string, value: number) => ({ field, value: { type: 2, value } });
  const call = <A, R>({ name }: libvirt.Procedure<A, R>, args: A): Promise<R> => {
    if (name === "DOMAIN_GET_JOB_STATS") {
      const now = job();
      if (now instanceof SocleError) return Promise.reject(now);
      const params = [
        param(libvirt.VIR_DOMAIN_JOB_OPERATION, libvirt.DomainJobOperation.SNAPSHOT),
        param(libvirt.VIR_DOMAIN_JOB_MEMORY_PROCESSED, now),
        param(libvirt.VIR_DOMAIN_JOB_MEMORY_TOTAL, 100 * MIB),
      ];
      return Promise.resolve({ type: 2, params } as R);
    }
    did.push(name);
    if (name === "DOMAIN_SNAPSHOT_CREATE_XML") {
      did.push(
        (args as { xmlDesc: string }).xmlDesc.includes('file="/m"') ? "with memory" : "without memory",
      );
      return written;
    }
    if (name === "DOMAIN_SUSPEND") return suspend() as Promise<R>;
    if (name === "DOMAIN_ABORT_JOB") end(new SocleError("cancelled", "LIBVIRT_OPERATION_ABORTED", "aborted"));
    return Promise.resolve({} as R);
  };
  const reads = { state: () => Promise.resolve(undefined), document: () => Promise.resolve(undefined) };
  const calls = { call, openStream: () => Promise.reject(new Error("none")) };
  const snapshots = new MemorySnapshots(calls, clock, reads);
  const aborted = new AbortController();
  const taken = snapshots
    .take(ID, {
      overlays: [],
      path: "/m",
      memoryBytes: 100 * MIB,
      isSwitched: () => Promise.resolve(false),
      report: () => undefined,
      held: () => Promise.resolve(void did.push("may be held")),
      aborted: aborted.signal,
    })
    .then(
      () => "taken",
      (thrown: unknown) => toSocleError(thrown).reason,
    );
  const pass = async (ms: number): Promise<void> => {
    clock.advance(ms);
    for (let turn = 0; turn < 20; turn += 1) await new Promise<void>((resolve) => setImmediate(resolve));
  };
  return { did, aborted, taken, pass, snapshots };
}

test("a write is aborted on request and at its deadline, also while its statistics fail", async () => {
  const failing = new SocleError("timeout", "LIBVIRT_TIMEOUT", "no answer");
  for (const job of [() => MIB, () => failing]) {
    const { did, aborted, taken, pass } = stage(job);
    await pass(500);
    assert.ok(!did.includes("DOMAIN_ABORT_JOB"), did.join());
    aborted.abort();
    await pass(500);
    assert.equal(await taken, "LIBVIRT_OPERATION_ABORTED");

    const late = stage(job);
    for (let minute = 0; minute < 5 && !late.did.includes("DOMAIN_ABORT_JOB"); minute += 1) {
      await late.pass(60_000);
      await late.pass(500);
    }
    assert.equal(await late.taken, "LIBVIRT_OPERATION_ABORTED");
  }
});

test("a guest stands still once as much is written as it has memory, and its downtime is not changed", async () => {
  let bytes = 99 * MIB;
  const { did, aborted, taken, pass } = stage(() => bytes);
  await pass(500);
  await pass(500);
  assert.ok(!did.includes("DOMAIN_SUSPEND"));
  bytes = 101 * MIB;
  await pass(500);
  await pass(500);
  await pass(500);
  assert.equal(did.filter((name) => name === "DOMAIN_SUSPEND").length, 1);
  aborted.abort();
  await pass(500);
  await taken;
  assert.deepEqual(did, [
    "DOMAIN_SNAPSHOT_CREATE_XML",
    "with memory",
    "may be held",
    "DOMAIN_SUSPEND",
    "DOMAIN_ABORT_JOB",
  ]);
});

test("a hold whose reply is late is under way until it has ended, and is asked for once", async () => {
  let reply: (late: libvirt.LateReply) => void = () => undefined;
  const late = new Promise<libvirt.LateReply>((resolve) => (reply = resolve));
  const why = new libvirt.LibvirtError("timeout", "LIBVIRT_TIMEOUT", "no answer");
  const lost = new libvirt.OutcomeUnknown("DOMAIN_SUSPEND", why, late);
  const { did, aborted, taken, pass, snapshots } = stage(
    () => 101 * MIB,
    () => Promise.reject(lost),
  );
  for (let look = 0; look < 4; look += 1) await pass(500);
  assert.equal(did.filter((name) => name === "DOMAIN_SUSPEND").length, 1);
  aborted.abort();
  await pass(500);
  await taken;
  let isOver = false;
  const over = snapshots.untilNotHeld(ID).then(() => (isOver = true));
  for (let second = 0; second < 20; second += 1) await pass(1000);
  assert.ok(!isOver, "libvirt may still pause the guest");
  reply({ kind: "none" });
  for (let second = 0; second < 5; second += 1) await pass(1000);
  await over;
});

test("only an image that libvirt has read is none: one that cannot be read is unknown", async () => {
  const savedXml = async (reason: string, message: string): Promise<string | undefined> => {
    const call = () => Promise.reject(new SocleError("internal", reason, `libvirt answered: ${message}`));
    const calls = { call, openStream: () => Promise.reject(new Error("none")) };
    const reads = { state: () => Promise.resolve(undefined), document: () => Promise.resolve(undefined) };
    return await new MemorySnapshots(calls, new FakeClock(), reads).savedXml("/m");
  };
  for (const content of [
    "operation failed: save image is incomplete",
    "operation failed: image magic is incorrect",
    "operation failed: image version is not supported (9 > 2)",
    "operation failed: invalid header data length: -1",
  ])
    assert.equal(await savedXml("LIBVIRT_OPERATION_FAILED", content), undefined);
  assert.equal(await savedXml("LIBVIRT_XML_DETAIL", "XML error: broken"), undefined);
  for (const [reason, message] of [
    ["LIBVIRT_OPERATION_FAILED", "operation failed: failed to read qemu header"],
    ["LIBVIRT_OPERATION_FAILED", "operation failed: failed to read domain XML"],
    ["LIBVIRT_OPERATION_FAILED", "Vorgang ist fehlgeschlagen"],
    ["LIBVIRT_SYSTEM_ERROR", "cannot open: Input/output error"],
  ] as const)
    await assert.rejects(savedXml(reason, message), { reason });
});
