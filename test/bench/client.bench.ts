// listing 1,000 domains of libvirt's test driver and asking for each one's info, against python3-libvirt
import { spawn } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { Libvirtd } from "../support/libvirtd.ts";
import { within } from "../support/wait.ts";
import { bench, type Run } from "./bench.ts";
import { cpuMs } from "./processes.ts";
import { median } from "./statistics.ts";

const here = import.meta.dirname;

await bench("client", async (run) => {
  const domains = run.quick ? 100 : 1000;
  const libvirtd = run.keep(await Libvirtd.start());
  const file = join(libvirtd.imagesDirectory, "node.xml");
  await writeFile(file, nodeXml(domains));
  const uri = `test://${file}?socket=${libvirtd.socketPath}`;

  const own = startSide(run, process.execPath, [await bundledSide(libvirtd.directory), uri]);
  // Without +unix, libvirt's own client would run the test driver in its own process, and ask no daemon at all.
  // Debian's python3, whose libvirt module is of Debian's libvirt.
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
      const [count, ms] = await side.round();
      if (side === own) {
        libvirtdCpuMs.push((await cpuMs(libvirtdPid)) - before.libvirtd);
        ownCpuMs.push((await cpuMs(own.pid)) - before.own);
      }
      if (count !== domains) throw new Error(`${count} domains were listed instead of ${domains}`);
      tookMs.push(ms);
    }
    run.say(
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
      // Of rounds side by side: a machine that is busy with something else for a while slows both of a round down.
      timesFaster: median(ownMs.map((ms, round) => (pythonMs[round] ?? NaN) / ms)),
      libvirtdCpuMs: median(libvirtdCpuMs),
      socleCpuMs: median(ownCpuMs),
      // Were every core busy with libvirtd and Socle all the time: no client of this libvirtd can be faster here.
      timesFasterAtMost: (median(pythonMs) * cores) / (median(libvirtdCpuMs) + median(ownCpuMs)),
    },
    bound: { timesFaster: { atLeast: 3 } },
  };
});

/** A host of the test driver's with so many domains. */
function nodeXml(domains: number): string {
  const domain = (index: number): string =>
    `<domain type='test'><name>bench-${index}</name><memory unit='MiB'>64</memory><vcpu>1</vcpu>` +
    `<os><type arch='x86_64'>hvm</type></os></domain>`;
  return `<node>${Array.from({ length: domains }, (_, index) => domain(index)).join("\n")}</node>`;
}

/** As it is shipped. */
async function bundledSide(directory: string): Promise<string> {
  const outfile = join(directory, "client-side.mjs");
  // What CommonJS in it asks for of Node, as in scripts/build.mjs.
  const banner = {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  };
  const entryPoints = [join(here, "client-side.ts")];
  await build({
    entryPoints,
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    keepNames: true,
    banner,
  });
  return outfile;
}

/** One of the two, and how to have it do one round. */
function startSide(
  run: Run,
  command: string,
  args: readonly string[],
): { readonly pid: number; readonly round: () => Promise<[number, number]> } {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  run.cleanUp(() => child.kill());
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  if (child.pid === undefined) throw new Error(`${command} does not start`);
  const round = async (): Promise<[number, number]> => {
    child.stdin.write("\n");
    const line = await within(lines.next(), 60_000, `${command} to answer`);
    if (line.done === true) throw new Error(`${command} ended; its words are above`);
    return JSON.parse(line.value) as [number, number];
  };
  return { pid: child.pid, round };
}
