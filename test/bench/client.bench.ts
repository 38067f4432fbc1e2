// listing 1,000 domains of libvirt's test driver and reading each one's info, against python3-libvirt
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Libvirtd } from "../support/libvirtd.ts";
import { bench } from "./bench.ts";
import { cpuMs } from "./processes.ts";
import { bundledSide, startSide } from "./sides.ts";
import { median } from "./statistics.ts";

const here = import.meta.dirname;

await bench("client", async (run) => {
  const domains = run.quick ? 100 : 1000;
  const libvirtd = run.keep(await Libvirtd.start());
  const file = join(libvirtd.imagesDirectory, "node.xml");
  await writeFile(file, nodeXml(domains));
  const uri = `test://${file}?socket=${libvirtd.socketPath}`;

  const own = startSide(run, process.execPath, [await bundledSide("client-side", libvirtd.directory), uri]);
  // Without +unix, libvirt's own client would run the test driver in its own process, without a daemon.
  // Debian's python3, whose libvirt module belongs to Debian's libvirt.
  const python = startSide(run, "/usr/bin/python3", [
    join(here, "client.py"),
    uri.replace("test:", "test+unix:"),
  ]);

  const libvirtdPid = await libvirtd.pid();
  const ownMs: number[] = [];
  const pythonMs: number[] = [];
  const libvirtdCpuMs: number[] = [];
  const ownCpuMs: number[] = [];
  for (let round = 0; round < (run.quick ? 3 : 15); round += 1) {
    const before = { libvirtd: await cpuMs(libvirtdPid), own: await cpuMs(own.pid) };
    for (const [side, tookMs] of [
      [own, ownMs],
      [python, pythonMs],
    ] as const) {
      const [count, ms] = JSON.parse(await side.ask("")) as [number, number];
      if (side === own) {
        libvirtdCpuMs.push((await cpuMs(libvirtdPid)) - before.libvirtd);
        ownCpuMs.push((await cpuMs(own.pid)) - before.own);
      }
      if (count !== domains) throw new Error(`${count} domains were listed instead of ${domains}`);
      tookMs.push(ms);
    }
    run.log(
      `round ${round + 1}: socle ${ownMs.at(-1)?.toFixed(1)} ms, python ${pythonMs.at(-1)?.toFixed(1)} ms`,
    );
  }
  const cores = availableParallelism();
  return {
    figures: {
      domains,
      cores,
      socleMs: median(ownMs),
      pythonMs: median(pythonMs),
      // Ratios of paired rounds: other load on the machine slows both sides of a round.
      timesFaster: median(ownMs.map((ms, round) => (pythonMs[round] ?? NaN) / ms)),
      libvirtdCpuMs: median(libvirtdCpuMs),
      socleCpuMs: median(ownCpuMs),
      // The bound with every core always busy with libvirtd and Socle: no client of this libvirtd can be faster here.
      timesFasterAtMost: (median(pythonMs) * cores) / (median(libvirtdCpuMs) + median(ownCpuMs)),
    },
    bound: { timesFaster: { atLeast: 3 } },
  };
});

/** A host of the test driver with `count` domains. */
function nodeXml(domains: number): string {
  const domain = (index: number): string =>
    `<domain type='test'><name>bench-${index}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>` +
    `<os><type arch='x86_64'>hvm</type></os></domain>`;
  return `<node>${Array.from({ length: domains }, (_, index) => domain(index)).join("\n")}</node>`;
}
