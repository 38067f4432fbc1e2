// CreateSnapshot and DeleteSnapshot of a running guest, against virsh snapshot-create-as and blockcommit
import { randomUUID } from "node:crypto";
import { rm } from "node:fs/promises";
import { bootSector } from "../support/socle-host.ts";
import { bench } from "./bench.ts";
import { inMemory, startBenchHost, succeeded } from "./bench-host.ts";
import { measurePairs } from "./pairs.ts";

await bench("snapshot", async (run) => {
  const pairs = run.quick ? 1 : 20;
  const directory = await inMemory(run, 16_384);
  const host = await startBenchHost(run, { pools: { memory: directory } });
  const { snapshots } = host.client.contract;
  const boot = { name: "boot", volume: { pool: "images", volume: "bootsector.img" }, readOnly: true };
  const data = { name: "data", newVolume: { pool: "memory", capacityBytes: 2 ** 30 } };
  for (const name of ["ours", "theirs"])
    await succeeded(host, host.beginCreate(bootSector(name, { disks: [boot, data] })));
  const disks = await host.virsh("domblklist", "theirs");
  const target = /^ *(\w+) +\S+-data/m.exec(disks)?.[1];
  if (target === undefined) throw new Error(`the guest has no disk to keep:\n${disks}`);

  const overlay = `${directory}/theirs.overlay`;
  const of = () => ({ requestId: randomUUID(), vm: "ours" });
  const socle = {
    create: () => succeeded(host, host.client.ask(snapshots.CreateSnapshot, { ...of(), name: "kept" })),
    delete: () => succeeded(host, host.client.ask(snapshots.DeleteSnapshot, { ...of(), snapshot: "kept" })),
  };
  const peer = {
    create: () =>
      host.virsh(
        ...["snapshot-create-as", "theirs", "--disk-only", "--atomic", "--no-metadata"],
        ...["--diskspec", `${target},file=${overlay}`, "--diskspec", "vda,snapshot=no"],
      ),
    // It leaves the file.
    delete: () => host.virsh("blockcommit", "theirs", target, "--active", "--pivot", "--wait"),
  };
  const remove = { socle: socle.delete, peer: () => peer.delete().then(() => rm(overlay)) };
  const created = await measurePairs(run, pairs, () => ({
    socle: socle.create,
    peer: peer.create,
    tidy: (side) => remove[side](),
  }));
  const deleted = await measurePairs(run, pairs, async () => {
    await socle.create();
    await peer.create();
    return {
      socle: socle.delete,
      peer: peer.delete,
      tidy: async (side) => (side === "peer" ? await rm(overlay) : undefined),
    };
  });
  return {
    figures: {
      pairs,
      createMs: created.socleMs,
      createVirshMs: created.peerMs,
      createRatio: created.ratio,
      deleteMs: deleted.socleMs,
      deleteVirshMs: deleted.peerMs,
      deleteRatio: deleted.ratio,
    },
    bound: { createRatio: { atMost: 1.1 }, deleteRatio: { atMost: 1.1 } },
  };
});
