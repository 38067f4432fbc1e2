import assert from "node:assert/strict";
import { test } from "node:test";
import { SocleError } from "../../../../agent/kernel/errors.ts";
import {
  domainBlockCopy,
  domainBlockJobAbort,
  domainGetBlockJobInfo,
  DomainBlockJobAbortFlags,
  DomainBlockJobType,
  type Procedure,
} from "../../../../agent/libvirt/index.ts";
import { noDevices, type Disk } from "../../../../agent/libvirt/xml/index.ts";
import { DomainLayers } from "../../../../agent/vm/hypervisor/domain-layers.ts";
import { silent, sleepingClock } from "../../../support/vm/libvirt-answers.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const OLD = "/pool/root.qcow2";
const COPY = "/other/root.qcow2";
const to = { path: COPY, format: "qcow2" } as const;
const watch = { report: () => undefined, aborted: new AbortController().signal };

/** A running guest whose disk has a job of this type that its XML does not show. */
function stage(type: number, state: "running" | "stopped" = "running") {
  const did: string[] = [];
  let job: number | undefined = type;
  let mirror: string | undefined;
  let file = OLD;
  const disk = (): Disk => ({
    device: "disk",
    alias: "ua-disk-root",
    source: { type: "file", path: file },
    target: { device: "vda", bus: "virtio" },
    ...(mirror === undefined
      ? {}
      : { mirror: { type: "file", path: mirror }, mirrorJob: { job: "copy", ready: "yes" } }),
  });
  const call = ({ name }: { readonly name: string }, args: { readonly flags: number }): object => {
    switch (name) {
      case domainGetBlockJobInfo.name:
        if (state === "stopped") throw new SocleError("conflict", "LIBVIRT_OPERATION_INVALID", "not running");
        return { found: job !== undefined, type: job ?? 0, cur: 1, end: 1 };
      case domainBlockCopy.name:
        if (job !== undefined) throw new SocleError("unsupported", "LIBVIRT_OPERATION_UNSUPPORTED", "busy");
        did.push("copy");
        [job, mirror] = [DomainBlockJobType.COPY, COPY];
        return {};
      case domainBlockJobAbort.name: {
        const pivots = args.flags === DomainBlockJobAbortFlags.PIVOT;
        did.push(pivots ? "pivot" : "cancel");
        if (pivots) file = mirror ?? file;
        [job, mirror] = [undefined, undefined];
        return {};
      }
      default:
        return {};
    }
  };
  const calls = {
    call: <A, R>(procedure: Procedure<A, R>, args: A): Promise<R> =>
      new Promise((resolve) => {
        resolve(call(procedure, args as { flags: number }) as R);
      }),
    ...silent(),
  };
  const layers = new DomainLayers(calls, sleepingClock(), {
    state: () => Promise.resolve({ state }),
    document: () =>
      Promise.resolve({
        ...{ type: "kvm", name: "web-1", uuid: ID, memoryBytes: 2 ** 20, vcpus: { max: 1, current: 1 } },
        os: { type: "hvm" },
        devices: { ...noDevices, disks: [disk()] },
      }),
  });
  return { layers, did };
}

test("a copy whose file libvirt lost when it died is ended, and the disk is copied again", async () => {
  const { layers, did } = stage(DomainBlockJobType.COPY);
  await layers.copy(ID, "root", to, watch);
  assert.deepEqual(did, ["cancel", "copy", "pivot"]);
});

test("a copy whose file libvirt lost is ended before that file is deleted", async () => {
  const { layers, did } = stage(DomainBlockJobType.COPY);
  await layers.endCopy(ID, "root", COPY);
  assert.deepEqual(did, ["cancel"]);
});

test("another client's backup, which the XML shows neither, is left alone", async () => {
  const { layers, did } = stage(DomainBlockJobType.BACKUP);
  await layers.endCopy(ID, "root", COPY);
  assert.deepEqual(did, []);
});

test("a VM that is off has no job to end", async () => {
  const { layers, did } = stage(DomainBlockJobType.COPY, "stopped");
  await layers.endCopy(ID, "root", COPY);
  assert.deepEqual(did, []);
});
