import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainBlockCommit,
  domainBlockJobAbort,
  domainGetBlockJobInfo,
  DomainBlockJobType,
  domainLookupByUuid,
  domainUpdateDeviceFlags,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import { noDevices, type Disk } from "../../../../agent/libvirt/xml/index.ts";
import type { PivotNotes } from "../../../../agent/vm/hypervisor/block-jobs.ts";
import { DomainLayers } from "../../../../agent/vm/hypervisor/domain-layers.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const files = { top: "/pool/layer.qcow2", base: "/pool/root.qcow2" };
const watch = { report: () => undefined, aborted: new AbortController().signal };

/** A running guest that writes to the layer. `refuses`: libvirt ends the job without the switch. */
function stage({ isAsked = false, refuses = false } = {}) {
  const did: string[] = [];
  let [job, file, defined] = [false, files.top, files.top];
  const disk = (path: string): Disk => ({
    ...{ device: "disk", alias: "ua-disk-root", target: { device: "vda", bus: "virtio" }, format: "qcow2" },
    source: { type: "file", path },
  });
  const running = (): Disk => ({
    ...disk(file),
    ...(file === files.top
      ? { backingChain: [{ format: "qcow2", source: { type: "file", path: files.base } }] }
      : {}),
    ...(job
      ? { mirror: { type: "file", path: files.base }, mirrorJob: { job: "active-commit", ready: "yes" } }
      : {}),
  });
  const call = ({ name }: { readonly name: string }): object => {
    switch (name) {
      case domainGetBlockJobInfo.name:
        return { found: job, type: DomainBlockJobType.ACTIVE_COMMIT, cur: 1, end: 1 };
      case domainLookupByUuid.name:
        return { dom: { id: 3 } };
      case domainBlockCommit.name:
        did.push("merge");
        job = true;
        return {};
      case domainBlockJobAbort.name:
        did.push("pivot");
        job = false;
        if (refuses) throw new SocleError("conflict", "LIBVIRT_OPERATION_FAILED", "the pool is full");
        file = files.base;
        return {};
      case domainUpdateDeviceFlags.name:
        did.push("define");
        defined = files.base;
        return {};
      default:
        return {};
    }
  };
  const calls = {
    call: <A, R>(procedure: Procedure<A, R>): Promise<R> =>
      new Promise((resolve) => {
        resolve(call(procedure) as R);
      }),
    ...silent(),
  };
  const layers = new DomainLayers(calls, sleepingClock(), {
    state: () => Promise.resolve({ state: "running" }),
    document: (_id, as) =>
      Promise.resolve({
        ...{ type: "kvm", name: "web-1", uuid: ID, memoryBytes: 2 ** 20, vcpus: { max: 1, current: 1 } },
        os: { type: "hvm" },
        devices: { ...noDevices, disks: [as === "defined" ? disk(defined) : running()] },
      }),
  });
  const turn = (to: boolean, what: string) => (): Promise<void> => {
    isAsked = to;
    did.push(what);
    return Promise.resolve();
  };
  const notes: PivotNotes = {
    isAsked: () => isAsked,
    ask: turn(true, "note"),
    refused: turn(false, "refused"),
  };
  return { did, merge: () => layers.merge(ID, "root", files, watch, notes) };
}

test("a merge notes the switch of its guest before libvirt is asked", async () => {
  const { did, merge } = stage();
  await merge();
  assert.deepEqual(did, ["merge", "note", "pivot", "define"]);
});

test("a merge whose switch libvirt refuses takes the note back", async () => {
  const { did, merge } = stage({ refuses: true });
  await assert.rejects(merge(), { reason: "MERGE_FAILED" });
  assert.deepEqual(did, ["merge", "note", "pivot", "refused"]);
});

test("a merge whose switch is noted and whose job is gone is not begun again: the guest may write to the file below", async () => {
  const { did, merge } = stage({ isAsked: true });
  await assert.rejects(merge(), { reason: "MERGE_FAILED" });
  assert.deepEqual(did, []);
});
