import { unbound } from "../../agent/state/reservations/placement.ts";
import { randomUUID } from "node:crypto";
import { silentLog } from "../../agent/kernel/log.ts";
import {
  DomainCreateFlags,
  domainCreateWithFlags,
  domainDefineXmlFlags,
  Libvirt,
} from "../../agent/libvirt/index.ts";
import { domainDocument } from "../../agent/vm/observation/domain-document.ts";
import type { VmSpec } from "../../agent/contract/spec.ts";
import { guestFilesIn } from "../support/guest.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import type { Run } from "./bench.ts";
import { buildVmDomain } from "../../agent/vm/model/vm-domain.ts";

/** QEMU starts on two cores: more concurrent starts take longer in total. */
const STARTS_AT_ONCE = 3;

export interface Crowd {
  readonly libvirtd: Libvirtd;
  /** A connection to the libvirtd. */
  readonly libvirt: Libvirt;
  readonly ids: readonly string[];
}

/**
 * A libvirtd with `count` real guests like Socle's own, but paused before their first instruction: they use memory and no CPU,
 * so that the figures are not theirs.
 */
export async function startCrowd(run: Run, guests: number): Promise<Crowd> {
  const libvirtd = run.keep(await Libvirtd.start());
  const { bootSector } = await guestFilesIn(libvirtd.imagesDirectory);
  const libvirt = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog, callTimeoutMs: 60_000 });
  run.cleanUp(() => libvirt.close());
  const ids: string[] = [];
  const startedMs = performance.now();
  const startNext = async (): Promise<void> => {
    const spec = specOf(`bench-${ids.length}`);
    ids.push(spec.id);
    await startPaused(libvirt, spec, bootSector);
  };
  const starter = async (): Promise<void> => {
    while (ids.length < guests) await startNext();
  };
  // The first one separately: libvirt creates the cgroup of all guests with it, and sometimes starts a concurrent second one in
  // a cpuset without CPUs (ENOSPC).
  await startNext();
  await Promise.all(Array.from({ length: STARTS_AT_ONCE }, starter));
  run.log(`${guests} guests started in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
  return { libvirtd, libvirt, ids };
}

async function startPaused(libvirt: Libvirt, spec: VmSpec, bootSector: string): Promise<void> {
  const document = domainDocument({
    spec,
    accelerator: "tcg",
    architecture: "x86_64",
    socketDirectory: "/run/socle-guests",
    disks: [{ path: bootSector, format: "raw" }],
    placement: unbound,
    placementEpoch: 1,
    createdAtMs: Date.now(),
  });
  const { dom } = await libvirt.call(domainDefineXmlFlags, { xml: buildVmDomain(document), flags: 0 });
  await libvirt.call(domainCreateWithFlags, { dom, flags: DomainCreateFlags.START_PAUSED });
}

const specOf = (name: string): VmSpec => ({
  name,
  id: randomUUID(),
  vcpus: 1,
  memoryBytes: 32 * 1024 * 1024,
  accelerator: "tcg",
  firmware: "bios",
  disks: [
    {
      name: "root",
      source: { kind: "volume", volume: { pool: "images", volume: "bootsector.img" } },
      readOnly: true,
    },
  ],
  nics: [],
  guestAgent: false,
  tenant: "bench",
  labels: { tier: "bench" },
  autostart: false,
});
