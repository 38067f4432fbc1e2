// ImportImage of a qcow2 image over http, against curl, sha256sum and qemu-img convert to raw
import { execFile } from "node:child_process";
import { createHash, randomUUID } from "node:crypto";
import { readFile, rm } from "node:fs/promises";
import { promisify } from "node:util";
import { ImageServer } from "../support/image-server.ts";
import { bench } from "./bench.ts";
import { inMemory, startBenchHost, succeeded, warmMemory, writeRandom } from "./bench-host.ts";
import { measurePairs } from "./pairs.ts";

const execute = promisify(execFile);

await bench("import", async (run) => {
  const mib = run.quick ? 32 : 1024;
  const pairs = run.quick ? 1 : 10;
  const [directory, pool] = [await inMemory(run, 8192), await inMemory(run, 16_384)];
  const [raw, source] = [`${directory}/source.raw`, `${directory}/source.qcow2`];
  await writeRandom(raw, mib);
  await execute("qemu-img", ["convert", "-f", "raw", "-O", "qcow2", raw, source]);
  await rm(raw);
  const bytes = await readFile(source);
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const server = run.keep(await ImageServer.start());
  const url = server.serve("/source.qcow2", { bytes });

  const host = await startBenchHost(run, {
    pools: { memory: pool },
    config: { images: { pool: "memory", allowHttp: true, allowPrivateAddresses: true } },
  });
  const { images } = host.client.contract;
  const request = { url, sha256, name: "image", format: "DISK_FORMAT_QCOW2" } as const;
  const [copy, converted] = [`${directory}/copy.qcow2`, `${pool}/copy.raw`];
  const download = async (): Promise<void> => {
    await execute("curl", ["--silent", "--fail", "--output", copy, url]);
    const { stdout } = await execute("sha256sum", [copy]);
    if (!stdout.startsWith(sha256)) throw new Error(`sha256sum: ${stdout}`);
  };
  const removed = async (): Promise<void> => {
    const asked = { requestId: randomUUID(), image: request.name };
    await succeeded(host, host.client.ask(images.DeleteImage, asked));
  };
  const tidy = async (side: "socle" | "peer"): Promise<void> => {
    if (side === "socle") await removed();
    for (const path of [copy, converted]) await rm(path, { force: true });
  };
  const ready = () => warmMemory(pool, 2 * mib);
  const socle = () =>
    succeeded(host, host.client.ask(images.ImportImage, { requestId: randomUUID(), ...request }));
  const all = await measurePairs(run, pairs, () => ({
    socle,
    peer: async () => {
      await download();
      await execute("qemu-img", ["convert", "-f", "qcow2", "-O", "raw", copy, converted]);
    },
    ready,
    tidy,
  }));
  // What an import does as well: the agent keeps an image in its format, and disks are overlays of it.
  const alike = await measurePairs(run, pairs, () => ({ socle, peer: download, ready, tidy }));
  return {
    figures: {
      mib,
      pairs,
      importMs: all.socleMs,
      peerMs: all.peerMs,
      ratio: all.ratio,
      downloadAndDigestMs: alike.peerMs,
      ratioToDownloadAndDigest: alike.ratio,
    },
    bound: { ratio: { atMost: 1 } },
  };
});
