import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import { domainMonitorCommand, type Procedure } from "../../../../agent/libvirt/index.ts";
import { emptyInQemu, filesInQemu } from "../../../../agent/vm/hypervisor/qemu-disks.ts";
import { sleepingClock } from "../../../support/vm/libvirt-answers.ts";
import { blocksOf } from "../../../support/vm/qemu-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";

/** `runs`: whether the guest does, at each look after a failure; the last answer stays. */
async function ask<T>(
  look: (...asked: Parameters<typeof filesInQemu>) => Promise<T>,
  answer: () => string,
  runs: readonly boolean[] = [true],
): Promise<T> {
  const asked: unknown[] = [];
  const looks = [...runs];
  const state = (): Promise<{ state: "running" | "stopped" }> => {
    const isRunning = looks.length > 1 ? looks.shift() : looks[0];
    return Promise.resolve({ state: isRunning === true ? "running" : "stopped" });
  };
  const calls = {
    call: <A, R>({ name }: Procedure<A, R>, args: A): Promise<R> => {
      assert.equal(name, domainMonitorCommand.name);
      asked.push(JSON.parse((args as { cmd: string }).cmd));
      return new Promise((resolve) => resolve({ result: answer() } as R));
    },
    openStream: (): Promise<never> => Promise.reject(new Error("no streams here")),
  };
  const found = await look(calls, sleepingClock(), { state }, ID);
  assert.deepEqual(asked, [{ execute: "query-block" }], "QEMU is asked to change nothing");
  return found;
}
const files = async (...asked: [answer: () => string, runs?: readonly boolean[]]) =>
  Object.fromEntries(await ask(filesInQemu, ...asked));
const refusal = (kind: ConstructorParameters<typeof SocleError>[0], reason: string) => (): string => {
  throw new SocleError(kind, reason, "refused");
};

test("QEMU shows the file that the guest writes to, of each disk of the spec", async () => {
  const shown = { root: "/pool/a.qcow2", "data-1": "/pool/b.raw" };
  assert.deepEqual(await files(() => blocksOf(shown)), shown);
});

test("nothing is known of a guest that is off, of an answer in another form, and where libvirt refuses to ask", async () => {
  assert.deepEqual(await files(refusal("conflict", "LIBVIRT_OPERATION_INVALID")), {});
  assert.deepEqual(await files(refusal("denied", "LIBVIRT_AUTH_FAILED")), {});
  for (const other of ["", "{}", '{"return":{}}', '{"return":[{"qdev":7}]}', '{"error":{"desc":"x"}}'])
    assert.deepEqual(await files(() => other), {}, other);
});

test("a QEMU that does not answer now may answer later", async () => {
  for (const kind of ["timeout", "unavailable", "outcome_unknown", "exhausted", "internal"] as const)
    await assert.rejects(files(refusal(kind, "LIBVIRT_LATE")), { kind });
});

test("a QEMU that ended while it was asked has no files, also if libvirt sees its end later", async () => {
  const reset = refusal("internal", "LIBVIRT_SYSTEM_ERROR");
  assert.deepEqual(await files(reset, [false]), {});
  assert.deepEqual(await files(reset, [true, true, false]), {});
  await assert.rejects(files(reset), { reason: "LIBVIRT_SYSTEM_ERROR" });
});

test("a drive is empty only if QEMU shows it without a medium", async () => {
  const drive = (name: string, inserted?: object) => ({ device: "", qdev: `ua-disk-${name}`, inserted });
  const shown = JSON.stringify({ return: [drive("cd"), drive("full", { file: "/pool/one.iso" })] });
  assert.deepEqual([...(await ask(emptyInQemu, () => shown))], ["cd"]);
  for (const unknown of [refusal("denied", "LIBVIRT_AUTH_FAILED"), () => "{}"])
    assert.deepEqual([...(await ask(emptyInQemu, unknown))], []);
});
