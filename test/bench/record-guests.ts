// Writes test/fixtures/libvirt/guests.json: a real libvirtd's data of three real Linux guests, some seconds after their boot
// (the readings of the bulk-stats reply, and the XML). scrape-1000 multiplies them.
//
//   node --import tsx test/bench/record-guests.ts
import { unbound } from "../../agent/state/reservations/placement.ts";
import { randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { silentLog } from "../../agent/kernel/log.ts";
import {
  connectGetAllDomainStats,
  DomainStatsTypes,
  ConnectGetAllDomainStatsFlags,
  domainCreateXml,
  domainGetXmlDesc,
  Libvirt,
} from "../../agent/libvirt/index.ts";
import { domainDocument } from "../../agent/vm/observation/domain-document.ts";
import type { VmSpec } from "../../agent/contract/spec.ts";
import { bootedMarker, guestFilesIn } from "../support/guest.ts";
import { Libvirtd } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { recordedGuests, type RecordedGuest } from "./recorded-guests.ts";
import { buildVmDomain } from "../../agent/vm/model/vm-domain.ts";

const GUESTS = 3;
const libvirtd = await Libvirtd.start();
const libvirt = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
try {
  await libvirtd.run("ip", ["link", "add", "br-bench", "type", "bridge"]);
  await libvirtd.run("ip", ["link", "set", "br-bench", "up"]);
  const files = await guestFilesIn(libvirtd.imagesDirectory);
  const logs: string[] = [];
  for (let index = 0; index < GUESTS; index += 1) {
    const disk = join(libvirtd.imagesDirectory, `disk-${index}.raw`);
    await writeFile(disk, await readFile(files.bootSector));
    const log = join(libvirtd.directory, `log/console-${index}`);
    logs.push(log);
    const document = domainDocument({
      spec: specOf(`bench-${index}`),
      accelerator: "tcg",
      architecture: "x86_64",
      socketDirectory: "/run/socle-guests",
      disks: [{ path: disk, format: "raw" }],
      kernelPath: files.kernel,
      initrdPath: files.initrd,
      placement: unbound,
      placementEpoch: 1,
      createdAtMs: Date.now(),
    });
    const xmlDesc = buildVmDomain(document).replace(
      /<serial type="pty">/,
      `<serial type="pty"><log file="${log}" append="off"/>`,
    );
    await libvirt.call(domainCreateXml, { xmlDesc, flags: 0 });
  }
  const booted = async (): Promise<boolean> =>
    (await Promise.all(logs.map((log) => readFile(log, "utf8")))).every((words) =>
      words.includes(bootedMarker),
    );
  await eventually(booted, { what: "the guests to boot", timeoutMs: 120_000, intervalMs: 500 });
  const { STATE, CPU_TOTAL, BALLOON, VCPU, INTERFACE, BLOCK } = DomainStatsTypes;
  const stats = STATE | CPU_TOTAL | BALLOON | VCPU | INTERFACE | BLOCK;
  const ask = async (): Promise<RecordedGuest[]> => {
    const { retStats } = await libvirt.call(connectGetAllDomainStats, {
      doms: [],
      stats,
      flags: ConnectGetAllDomainStatsFlags.NOWAIT,
    });
    return await Promise.all(
      retStats.map(async ({ dom, params }) => ({
        dom,
        xml: (await libvirt.call(domainGetXmlDesc, { dom, flags: 0 })).xml,
        params,
      })),
    );
  };
  const enableAll = async (): Promise<RecordedGuest[] | false> => {
    const guests = await ask();
    return guests.every(({ params }) => params.some(({ field }) => field === "balloon.usable")) && guests;
  };
  const guests = await eventually(enableAll, {
    what: "the guests' output",
    timeoutMs: 60_000,
    intervalMs: 500,
  });
  await mkdir(dirname(recordedGuests), { recursive: true });
  await writeFile(recordedGuests, `${JSON.stringify(guests, null, 2)}\n`);
} finally {
  await libvirt.close();
  await libvirtd.stop();
}

function specOf(name: string): VmSpec {
  return {
    name,
    id: randomUUID(),
    vcpus: 2,
    memoryBytes: 96 * 1024 * 1024,
    accelerator: "tcg",
    firmware: "bios",
    disks: [
      {
        name: "root",
        source: { kind: "volume", volume: { pool: "images", volume: `${name}.raw` } },
        readOnly: false,
      },
    ],
    nics: [
      {
        name: "lan",
        source: { kind: "bridge", bridge: "br-bench" },
        allowSpoofing: true,
        allowedAddresses: [],
      },
    ],
    kernelBoot: {
      kernel: { pool: "images", volume: "vmlinuz" },
      initrd: { pool: "images", volume: "initrd" },
      commandLine: "console=ttyS0 quiet",
    },
    guestAgent: false,
    tenant: "bench",
    labels: { tier: "bench" },
    autostart: false,
  };
}
