import * as libvirt from "../../libvirt/index.ts";
import { buildDisk, type Disk, type DiskSource } from "../../libvirt/xml/index.ts";
import type { Certainty, LibvirtCalls } from "./certainty.ts";
import type { DomainReads } from "./domain-reads.ts";
import { reference } from "./stamps.ts";
import { diskAlias } from "../model/device-names.ts";
import type { VmDomain } from "../model/vm-domain.ts";

interface Definer {
  readonly calls: LibvirtCalls;
  readonly certainty: Certainty;
  readonly reads: DomainReads;
}

/**
 * The next start uses the file too: libvirt records the switch only in a definition that named the guest's file in the same
 * way, and may die before it does. A definition without the disk has nothing to record.
 */
export async function defineFile(
  { calls, certainty, reads }: Definer,
  id: string,
  disk: string,
  { path, format }: { readonly path: string; readonly format: "qcow2" | "raw" },
): Promise<void> {
  /** The disk, unless it is so already. */
  const other = async (): Promise<Disk | undefined> => {
    const disks = (await reads.document(id, "defined"))?.devices.disks ?? [];
    const found = disks.find(({ alias }) => alias === diskAlias(disk));
    return pathOf(found?.source) === path && found?.format === format ? undefined : found;
  };
  await certainty.ensure(
    async () => {
      const found = await other();
      if (found === undefined) return;
      // The files below the one that is named so far.
      const { backingChain: _, ...kept } = found;
      const xml = buildDisk({ ...kept, source: { type: "file", path }, format });
      const flags = libvirt.DomainDeviceModifyFlags.CONFIG;
      await calls.call(libvirt.domainUpdateDeviceFlags, { dom: reference(id), xml, flags });
    },
    async () => (await other()) === undefined,
  );
}

export const pathOf = (source: DiskSource | undefined): string | undefined =>
  source !== undefined && "path" in source ? source.path : undefined;

/** The files that the disks use, by alias. */
export const filesOf = (document: Pick<VmDomain, "devices"> | undefined): ReadonlyMap<string, string> =>
  new Map(
    (document?.devices.disks ?? []).flatMap(({ alias, source }) => {
      const path = pathOf(source);
      return alias === undefined || path === undefined ? [] : [[alias, path] as const];
    }),
  );
