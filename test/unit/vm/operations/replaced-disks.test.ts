// An erasure is refused when the guest's data is outside the erased volumes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { deleteVm } from "../../../../agent/vm/operations/delete.ts";
import { requireBackingAsMade, requireDisksAsMade } from "../../../../agent/vm/operations/replaced-disks.ts";
import type { Backing } from "../../../../agent/vm/storage/overlay-search.ts";
import type { VmSpec } from "../../../../agent/contract/spec.ts";
import { VmTable } from "../../../../agent/vm/observation/vm-table.ts";
import { erasureOf, type Erasure } from "../../../../agent/vm/operations/erasure.ts";
import type { RunContext } from "../../../../agent/vm/operations/work.ts";
import { steps } from "../../../support/vm/steps.ts";
import { parseVmDomain } from "../../../../agent/vm/model/vm-domain.ts";

const ID = "aaaaaaaa-0000-4000-8000-000000000000";
const volume = (name: string) => ({ pool: "p", volume: name });
const erase: Erasure = {
  name: "web",
  tenant: "red",
  disks: [{ disk: "own", volume: volume("own.qcow2"), encrypted: false }],
  tpm: false,
  kept: [volume("base.qcow2"), volume("data.img")],
};

const backing = (path: string, next = "<backingStore/>"): string =>
  `<backingStore type="file"><format type="qcow2"/><source file="${path}"/>${next}</backingStore>`;
const disk = (source: string, more = ""): string =>
  `<disk type="file">${source}<target dev="vdb"/>${more}</disk>`;
const file = (path: string, more = ""): string => disk(`<source file="${path}"/>`, more);

/** States that own.qcow2 is an overlay of this file. */
const over = (path: string): Backing[] => [{ ...volume("own.qcow2"), backing: path }];

/**
 * A VM with these disks, in a pool at /p that the agent may not read or that, `silent`, does not answer.
 * `backings`: what libvirt reads in the volumes' headers.
 */
function contextWith(disks: string, silent = false, backings: Backing[] = []): RunContext {
  const document = parseVmDomain(
    `<domain type="qemu"><name>web</name><uuid>${ID}</uuid><memory>1024</memory><os><type>hvm</type></os>` +
      `<devices>${disks}</devices></domain>`,
  );
  const same = (at: string): string[] =>
    silent ? [] : [`path ${at.startsWith("p/") ? `/${at}` : at.replace("/link/", "/p/")}`];
  const doubtOf = (): unknown => (silent ? { at: "p/own.qcow2", silent: "filesystem" } : undefined);
  return {
    domains: {
      document: (_: string, as: string) => Promise.resolve(as === "running" ? document : undefined),
      state: () => Promise.resolve({ state: "stopped" }),
      stamps: { origin: () => Promise.resolve({ isManaged: true, createdAtMs: 0 }) },
    },
    volumes: {
      names: { of: () => Promise.resolve(Object.assign(same, { doubtOf })) },
      dependents: () => Promise.resolve({ paths: [], overlays: [], backings }),
    },
    table: new VmTable(),
    creations: () => [],
  } as unknown as RunContext;
}

test("a VM with exactly its spec's disks may be erased", async () => {
  for (const disks of [
    "",
    file("/p/own.qcow2"),
    file("/link/own.qcow2"),
    disk('<source pool="p" volume="own.qcow2"/>').replace('"file"', '"volume"'),
    file("/p/own.qcow2", backing("/p/base.qcow2", backing("/p/deeper.qcow2"))),
    file("/p/own.qcow2") + file("/p/data.img", backing("/p/deeper.qcow2")),
    file("/p/own.qcow2") + file("/iso/any.iso", "<readonly/>") + disk(""),
  ])
    await requireDisksAsMade(contextWith(disks), ID, erase);
});

test("a VM whose data is in a snapshot, a copy, another disk or on the network may not be erased", async () => {
  const nbd = disk('<source protocol="nbd" name="x"><host name="h"/></source>').replace(
    '"file"',
    '"network"',
  );
  for (const [disks, at] of [
    [file("/snaps/own.qcow2", backing("/p/own.qcow2")), "/snaps/own.qcow2"],
    [file("/p/own.qcow2", backing("/snaps/older.qcow2")), "/snaps/older.qcow2"],
    [file("/p/own.qcow2", '<mirror type="file"><source file="/copy.qcow2"/></mirror>'), "/copy.qcow2"],
    [file("/p/own.qcow2") + file("/p/more.img"), "/p/more.img"],
    [nbd, "storage of type network"],
  ] as const)
    await assert.rejects(requireDisksAsMade(contextWith(disks), ID, erase), {
      kind: "conflict",
      reason: "DISKS_REPLACED",
      details: { metadata: { device: "vdb", at } },
    });
});

test("storage that does not answer does not count as replaced", async () => {
  await requireDisksAsMade(contextWith(file("p/own.qcow2"), true), ID, erase);
  await assert.rejects(requireDisksAsMade(contextWith(file("/p/own.qcow2"), true), ID, erase), {
    kind: "unavailable",
    reason: "STORAGE_UNIDENTIFIED",
  });
});

test("a volume with another backing file than at its creation may not be erased", async () => {
  const [own] = erase.disks;
  assert.ok(own);
  const madeOverBase = { ...erase, disks: [{ ...own, baseVolume: "base.qcow2" }] };
  const context = contextWith("");
  await requireBackingAsMade(context, ID, erase, []);
  await requireBackingAsMade(context, ID, madeOverBase, []);
  await requireBackingAsMade(context, ID, madeOverBase, over("/p/base.qcow2"));
  await requireBackingAsMade(context, ID, madeOverBase, over("/link/base.qcow2"));
  for (const [made, at] of [
    [erase, "/p/old.qcow2"],
    [erase, "/p/base.qcow2"],
    [madeOverBase, "/p/old.qcow2"],
    [madeOverBase, "/p/data.img"],
  ] as const)
    await assert.rejects(requireBackingAsMade(context, ID, made, over(at)), {
      kind: "conflict",
      reason: "DISKS_REPLACED",
      details: { metadata: { disk: "own", at } },
    });
  await assert.rejects(
    requireBackingAsMade(contextWith("", true), ID, madeOverBase, over("/link/base.qcow2")),
    { kind: "unavailable", reason: "STORAGE_UNIDENTIFIED" },
  );
});

test("an erasure knows the base image of each disk", () => {
  const disk = (name: string, baseVolume?: string) => ({
    name,
    source: { kind: "new", pool: "p", format: "qcow2", ...(baseVolume === undefined ? {} : { baseVolume }) },
  });
  const spec = { id: ID, name: "web", disks: [disk("root", "base.qcow2"), disk("data")] };
  const { disks } = erasureOf(spec as unknown as VmSpec);
  assert.deepEqual(
    disks.map(({ baseVolume }) => baseVolume),
    ["base.qcow2", undefined],
  );
});

test("a guest cannot prevent an erasure by writing an overlay header to its raw disk", async () => {
  const raw = volume("own.raw");
  const disks = [{ disk: "own", volume: raw, encrypted: false }];
  const backings = [{ ...raw, backing: "/p/old.qcow2" }];
  await requireBackingAsMade(contextWith(""), ID, { ...erase, disks }, backings);
});

test("the deletion of a VM with replaced disks fails before any effect", async () => {
  const intent = { kind: "DELETE_VM", volumes: [volume("own.qcow2")], force: true, erase } as const;
  let begun: string[] = [];
  const run = {
    operationId: "0193a0c0-0000-7000-8000-000000000001",
    vmId: ID,
    caller: "caller",
    instance: undefined,
    createdAtMs: 0,
    step: steps((name) => begun.push(name)),
    signal: new AbortController().signal,
    hasEnded: () => false,
    resumed: false,
    done: new Set<string>(),
  };
  for (const context of [
    contextWith(file("/snaps/own.qcow2")),
    // The file was renamed and replaced by an overlay: libvirt's definition of the stopped VM is unchanged.
    contextWith(file("/p/own.qcow2"), false, over("/p/old.qcow2")),
  ]) {
    begun = [];
    await assert.rejects(deleteVm.run(context, intent, run), { reason: "DISKS_REPLACED" });
    assert.deepEqual(begun, ["look for users"]);
  }
});
