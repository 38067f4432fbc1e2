// a cloud-init seed, from its texts to the image in a file, against xorriso
import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { seedImage, type Seed } from "../../agent/vm/storage/seed.ts";
import { publicKey } from "../support/vm/seeds.ts";
import { bench } from "./bench.ts";
import { median, timed } from "./statistics.ts";

const KIB = 1024;

await bench("seed", async (run) => {
  const directory = await mkdtemp(join(tmpdir(), "socle-seeds-"));
  run.cleanUp(() => rm(directory, { recursive: true, force: true }));
  const at = (name: string): string => join(directory, name);
  const figures: Record<string, number> = {};
  for (const [size, kib] of [
    ["usual", 2],
    ["largest", 64],
  ] as const) {
    const seed: Seed = {
      instance: randomUUID(),
      hostname: "web-1",
      sshKeys: [publicKey],
      macs: ["52:54:00:12:34:56"],
      userData: `#cloud-config\n${"#".repeat(kib * KIB - 14)}`,
    };
    // The peer gets its texts as files, which count for neither side.
    await writeFile(at("user-data"), seed.userData ?? "");
    await writeFile(at("meta-data"), `{"instance-id":"${seed.instance}","local-hostname":"web-1"}\n`);
    await writeFile(at("network-config"), '{"version":2,"ethernets":{}}\n');
    const texts = ["user-data", "meta-data", "network-config"].map(at);
    const sides = {
      own: () => writeFile(at("own.iso"), seedImage(seed)),
      peer: () =>
        promisify(execFile)("xorriso", [
          ...["-as", "mkisofs", "-quiet", "-J", "-r", "-V", "cidata", "-o", at("peer.iso")],
          ...texts,
        ]),
    };
    const tookMs = { own: [] as number[], peer: [] as number[] };
    for (let round = 0; round < (run.quick ? 3 : 40); round += 1)
      for (const side of round % 2 === 0 ? (["own", "peer"] as const) : (["peer", "own"] as const)) {
        await rm(at(`${side}.iso`), { force: true });
        tookMs[side].push(await timed(sides[side]));
      }
    run.log(
      `${size}: socle ${median(tookMs.own).toFixed(2)} ms, xorriso ${median(tookMs.peer).toFixed(2)} ms`,
    );
    figures[`${size}Ms`] = median(tookMs.own);
    figures[`${size}XorrisoMs`] = median(tookMs.peer);
    // Of pairs side by side: both suffer from what else the machine does.
    figures[`${size}OfXorriso`] = median(tookMs.own.map((ms, pair) => ms / (tookMs.peer[pair] ?? NaN)));
  }
  figures["bytes"] = (await stat(at("own.iso"))).size;
  figures["xorrisoBytes"] = (await stat(at("peer.iso"))).size;
  return { figures, bound: { usualOfXorriso: { atMost: 0.5 }, largestOfXorriso: { atMost: 0.5 } } };
});
