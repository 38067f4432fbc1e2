// a volume's upload and download, against virsh's vol-upload and vol-download
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { Libvirtd } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { bench } from "./bench.ts";
import { cpuMs } from "./processes.ts";
import { bundledSide, startSide, type Side } from "./sides.ts";
import { median } from "./statistics.ts";

const MIB = 1024 * 1024;

/** What one side took for one copy, its own CPU time and not the daemon's. */
interface Copy {
  readonly tookMs: number;
  readonly cpuMs: number;
}

await bench("stream", async (run) => {
  const mib = run.quick ? 32 : 400;
  const libvirtd = run.keep(await Libvirtd.start());
  // In memory, in the namespaces of this libvirtd: a disk's own speed is no part of the figures.
  const pool = join(libvirtd.imagesDirectory, "pool");
  await libvirtd.run("mkdir", [pool]);
  await libvirtd.run("mount", ["-t", "tmpfs", "tmpfs", pool]);
  await virsh(libvirtd.uri, ["pool-create-as", "bench", "dir", "--target", pool]);
  await virsh(libvirtd.uri, ["vol-create-as", "bench", "volume.img", `${mib}M`, "--format", "raw"]);
  const source = join(libvirtd.imagesDirectory, "source.raw");
  await writeRandom(source, mib);
  const volume = join(pool, "volume.img");

  const program = await bundledSide("stream-side", libvirtd.directory);
  const own = startSide(run, process.execPath, [program, libvirtd.uri, source, volume]);
  // Interactive, as Socle's side is: neither side's start is measured. stdbuf replaces itself by virsh.
  const peer = startSide(run, "stdbuf", ["-oL", "virsh", "--connect", libvirtd.uri]);
  const sides = {
    own: { up: copier(own, "up", /^done$/), down: copier(own, "down", /^done$/) },
    peer: {
      up: copier(peer, `vol-upload ${volume} ${source}; echo copied`, /^copied$/),
      down: copier(peer, `vol-download ${volume} /dev/null; echo copied`, /^copied$/),
    },
  };

  const figures: Record<string, number> = { mib };
  const rounds = run.quick ? 2 : 15;
  for (const way of ["up", "down"] as const) {
    const owns: Copy[] = [];
    const peers: Copy[] = [];
    for (let round = 0; round < rounds; round += 1) {
      // In turns first: what the first copy leaves warm is an advantage of neither.
      for (const side of round % 2 === 0 ? (["own", "peer"] as const) : (["peer", "own"] as const))
        (side === "own" ? owns : peers).push(await sides[side][way]());
      run.log(`${way} ${round + 1}: socle ${shown(owns.at(-1), mib)}, virsh ${shown(peers.at(-1), mib)}`);
    }
    figures[`${way}MibPerSecond`] = (mib * 1000) / median(owns.map(({ tookMs }) => tookMs));
    figures[`${way}VirshMibPerSecond`] = (mib * 1000) / median(peers.map(({ tookMs }) => tookMs));
    // Of copies side by side: a machine that is busy with something else for a while slows both of a round down.
    figures[`${way}OfVirsh`] = median(
      owns.map(({ tookMs }, round) => (peers[round]?.tookMs ?? NaN) / tookMs),
    );
    figures[`${way}CpuMs`] = median(owns.map((copy) => copy.cpuMs));
    figures[`${way}VirshCpuMs`] = median(peers.map((copy) => copy.cpuMs));
    figures[`${way}CpuOfVirsh`] = median(
      owns.map((copy, round) => copy.cpuMs / (peers[round]?.cpuMs ?? NaN)),
    );
  }
  return {
    figures,
    bound: {
      upOfVirsh: { atLeast: 0.9 },
      downOfVirsh: { atLeast: 0.9 },
      upCpuOfVirsh: { atMost: 1.5 },
      downCpuOfVirsh: { atMost: 1.5 },
    },
  };
});

function copier(side: Side, command: string, answer: RegExp): () => Promise<Copy> {
  return async () => {
    const before = await cpuMs(side.pid);
    const start = performance.now();
    await side.ask(command, answer);
    const tookMs = performance.now() - start;
    return { tookMs, cpuMs: (await cpuMs(side.pid)) - before };
  };
}

function shown(copy: Copy | undefined, mib: number): string {
  const { tookMs, cpuMs: cpu } = copy ?? { tookMs: NaN, cpuMs: NaN };
  return `${((mib * 1000) / tookMs).toFixed(0)} MiB/s at ${cpu.toFixed(0)} ms of CPU`;
}

async function writeRandom(path: string, mib: number): Promise<void> {
  const file = await open(path, "wx");
  try {
    for (let written = 0; written < mib; written += 1) await file.write(randomBytes(MIB));
  } finally {
    await file.close();
  }
}
