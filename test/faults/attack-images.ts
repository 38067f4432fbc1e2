import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { link, open, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Outside } from "./attack-outside.ts";

/** A hostile file in a pool: its description, its requested name, and its creation. */
export type HostileImage = readonly [what: string, name: string, make: () => Promise<unknown>];

const run = promisify(execFile);

/** An overlay whose header is written by hand, since qemu-img would open the named file. */
export async function makeOverlay(
  directory: string,
  name: string,
  backing: string,
  format = "raw",
): Promise<void> {
  await makeImage(directory, name, "-u", "-b", backing, "-F", format);
}

async function makeImage(directory: string, name: string, ...args: readonly string[]): Promise<void> {
  await run("qemu-img", ["create", "-q", "-f", "qcow2", ...args, join(directory, name), "1M"]);
}

/** Images that lead out of the pool or to another VM's disk, or are malformed in a way that might. */
export function hostileImages(pool: string, outside: Outside): readonly HostileImage[] {
  const { secret } = outside;
  const at = (name: string): string => join(pool, name);
  const image = (name: string): Promise<void> => makeImage(pool, name);
  const overlay = (name: string, backing: string, format?: string): Promise<void> =>
    makeOverlay(pool, name, backing, format);
  const victim = `socle-${randomUUID()}-root.qcow2`;
  return [
    ["a link to a file outside", "link.img", () => symlink(secret, at("link.img"))],
    [
      "a link to a file outside, relative",
      "relative.img",
      () => symlink("../outside/secret", at("relative.img")),
    ],
    [
      "a link to a link to a file outside",
      "twice.img",
      async () => {
        await symlink(secret, at("once.img"));
        await symlink("once.img", at("twice.img"));
      },
    ],
    ["a link with a qcow2 name", "link.qcow2", () => symlink(secret, at("link.qcow2"))],
    ["a hard link to a file outside", "hard.img", () => link(secret, at("hard.img"))],
    [
      "a hard link to another VM's disk",
      "hard.qcow2",
      async () => {
        await image(victim);
        await link(at(victim), at("hard.qcow2"));
      },
    ],
    ["a link to the host's memory", "memory.img", () => symlink("/dev/mem", at("memory.img"))],
    ["a link to an endless device", "zero.img", () => symlink("/dev/zero", at("zero.img"))],
    ["a link to a folder", "folder.img", () => symlink(outside.directory, at("folder.img"))],
    ["a link to itself", "loop.img", () => symlink("loop.img", at("loop.img"))],
    [
      "a dangling link that a write would create",
      "nothing.img",
      () => symlink(join(outside.directory, "made"), at("nothing.img")),
    ],
    ["a pipe", "pipe.img", () => run("mkfifo", [at("pipe.img")])],
    ["a backing file outside", "backing.qcow2", () => overlay("backing.qcow2", secret)],
    ["a backing file outside, as file:", "scheme.qcow2", () => overlay("scheme.qcow2", `file:${secret}`)],
    ["a backing file outside, as file://", "url.qcow2", () => overlay("url.qcow2", `file://${secret}`)],
    ["a backing file outside, relative", "up.qcow2", () => overlay("up.qcow2", "../outside/secret")],
    [
      "a backing file outside, by the pool",
      "round.qcow2",
      () => overlay("round.qcow2", `${pool}/../outside/secret`),
    ],
    [
      "a backing file outside, by dots",
      "dots.qcow2",
      () => overlay("dots.qcow2", `${pool}/./.././outside/secret`),
    ],
    [
      "a backing file outside, as JSON",
      "json.qcow2",
      () => overlay("json.qcow2", `json:${JSON.stringify({ driver: "file", filename: secret })}`),
    ],
    [
      "a backing file outside, as JSON in JSON",
      "nested.qcow2",
      () =>
        overlay(
          "nested.qcow2",
          `json:${JSON.stringify({ driver: "raw", file: { driver: "file", filename: secret } })}`,
        ),
    ],
    [
      "a backing file outside, in JSON about one inside",
      "masked.qcow2",
      async () => {
        await image("inner.qcow2");
        const file = { driver: "file", filename: at("inner.qcow2") };
        const backing = { driver: "raw", file: { driver: "file", filename: secret } };
        await overlay("masked.qcow2", `json:${JSON.stringify({ driver: "qcow2", file, backing })}`, "qcow2");
      },
    ],
    [
      "a backing file outside, through a link",
      "linked.qcow2",
      async () => {
        await symlink(secret, at("base.img"));
        await overlay("linked.qcow2", at("base.img"));
      },
    ],
    [
      "a backing file outside, two deep",
      "deep.qcow2",
      async () => {
        await overlay("deep-1.qcow2", secret);
        await overlay("deep.qcow2", at("deep-1.qcow2"), "qcow2");
      },
    ],
    [
      "a backing file outside, three deep, relative",
      "deeper.qcow2",
      async () => {
        await overlay("deeper-1.qcow2", "../outside/secret");
        await overlay("deeper-2.qcow2", "deeper-1.qcow2", "qcow2");
        await overlay("deeper.qcow2", "deeper-2.qcow2", "qcow2");
      },
    ],
    [
      "a backing file that only looks raw",
      "confused.qcow2",
      async () => {
        await overlay("guest-wrote.qcow2", secret);
        await run("mv", [at("guest-wrote.qcow2"), at("guest-wrote.img")]);
        await overlay("confused.qcow2", at("guest-wrote.img"), "qcow2");
      },
    ],
    [
      "a backing file whose format is left out",
      "unsaid.qcow2",
      async () => {
        await overlay("unsaid-wrote.qcow2", secret);
        await run("mv", [at("unsaid-wrote.qcow2"), at("unsaid-wrote.img")]);
        await overlay("unsaid.qcow2", at("unsaid-wrote.img"), "qcow2");
        await withoutBackingFormat(at("unsaid.qcow2"));
      },
    ],
    [
      "another VM's disk as its backing file",
      "thief.qcow2",
      async () => {
        await image(victim);
        await overlay("thief.qcow2", at(victim), "qcow2");
      },
    ],
    [
      "another VM's disk as its backing file, two deep",
      "thieves.qcow2",
      async () => {
        await image(victim);
        await overlay("thieves-1.qcow2", at(victim), "qcow2");
        await overlay("thieves.qcow2", at("thieves-1.qcow2"), "qcow2");
      },
    ],
    [
      "itself as its backing file",
      "self.qcow2",
      async () => {
        await overlay("self.qcow2", "self.qcowx", "qcow2");
        await patch(
          at("self.qcow2"),
          await offsetOf(at("self.qcow2"), "self.qcowx"),
          Buffer.from("self.qcow2"),
        );
      },
    ],
    [
      "a cycle of backing files",
      "ring.qcow2",
      async () => {
        await overlay("ring-1.qcow2", at("ring.qcow2"), "qcow2");
        await overlay("ring.qcow2", at("ring-1.qcow2"), "qcow2");
      },
    ],
    [
      "a chain of 250 backing files",
      "chain.qcow2",
      async () => {
        await image("chain-0.qcow2");
        for (let depth = 1; depth < 250; depth += 1)
          await overlay(`chain-${depth}.qcow2`, at(`chain-${depth - 1}.qcow2`), "qcow2");
        await overlay("chain.qcow2", at("chain-249.qcow2"), "qcow2");
      },
    ],
    [
      "a connection over NBD",
      "nbd.qcow2",
      () => overlay("nbd.qcow2", `nbd+unix:///x?socket=${outside.socket}`),
    ],
    [
      "a connection over NBD, as JSON",
      "nbd-json.qcow2",
      () =>
        overlay(
          "nbd-json.qcow2",
          `json:${JSON.stringify({ driver: "nbd", server: { type: "unix", path: outside.socket } })}`,
        ),
    ],
    [
      "a connection over NBD, two deep",
      "nbd-deep.qcow2",
      async () => {
        await overlay("nbd-deep-1.qcow2", `nbd+unix:///x?socket=${outside.socket}`);
        await overlay("nbd-deep.qcow2", at("nbd-deep-1.qcow2"), "qcow2");
      },
    ],
    ["a connection over HTTP", "http.qcow2", () => overlay("http.qcow2", "http://127.0.0.1:1/x")],
    ["a connection over SSH", "ssh.qcow2", () => overlay("ssh.qcow2", "ssh://root@127.0.0.1:1/etc/shadow")],
    ["a device of the host as its backing file", "device.qcow2", () => overlay("device.qcow2", "/dev/mem")],
    [
      "a device of the host as its backing file, as host_device:",
      "device-scheme.qcow2",
      () => overlay("device-scheme.qcow2", "host_device:/dev/mem"),
    ],
    ["its data in a file outside", "data.qcow2", () => dataFile(at("data.qcow2"), secret)],
    ["its data in a file outside, raw", "data-raw.qcow2", () => dataFile(at("data-raw.qcow2"), secret, true)],
    [
      "its data in a file outside, relative",
      "data-up.qcow2",
      () => dataFile(at("data-up.qcow2"), "../outside/secret"),
    ],
    [
      "its data in another VM's disk",
      "data-thief.qcow2",
      async () => {
        await image(victim);
        await dataFile(at("data-thief.qcow2"), at(victim));
      },
    ],
    [
      "its backing file's data in a file outside",
      "data-deep.qcow2",
      async () => {
        await dataFile(at("data-deep-1.qcow2"), secret);
        await overlay("data-deep.qcow2", at("data-deep-1.qcow2"), "qcow2");
      },
    ],
    [
      "a raw disk that looks like an overlay",
      "looks.img",
      async () => {
        await overlay("looks.qcow2", secret);
        await run("mv", [at("looks.qcow2"), at("looks.img")]);
      },
    ],
    [
      "other formats under a raw name",
      "vmdk.img",
      () =>
        writeFile(
          at("vmdk.img"),
          `# Disk DescriptorFile\nversion=1\nCID=1\nparentCID=ffffffff\ncreateType="monolithicFlat"\nRW 2048 FLAT "${secret}" 0\n`.padEnd(
            1024 * 1024,
            "\n",
          ),
        ),
    ],
    [
      "an invalid qcow2",
      "garbage.qcow2",
      () => writeFile(at("garbage.qcow2"), Buffer.alloc(1024 * 1024, 0xa5)),
    ],
    [
      "a truncated qcow2",
      "short.qcow2",
      () => writeFile(at("short.qcow2"), Buffer.from("QFI\xfb\0\0\0\x03", "latin1")),
    ],
    [
      "a qcow2 with an absurd size",
      "huge.qcow2",
      async () => {
        await image("huge.qcow2");
        await patch(at("huge.qcow2"), 24, Buffer.alloc(8, 0x7f));
      },
    ],
    [
      "a qcow2 with absurd clusters",
      "clusters.qcow2",
      async () => {
        await image("clusters.qcow2");
        await patch(at("clusters.qcow2"), 20, Buffer.from([0, 0, 0, 63]));
      },
    ],
    [
      "a qcow2 whose backing file's name lies beyond its end",
      "beyond.qcow2",
      async () => {
        await image("beyond.qcow2");
        await patch(
          at("beyond.qcow2"),
          8,
          Buffer.from([0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        );
      },
    ],
    [
      "a hole of 8 TiB",
      "hole.img",
      async () => {
        await writeFile(at("hole.img"), "");
        await truncate(at("hole.img"), 8 * 2 ** 40);
      },
    ],
  ];
}

async function patch(path: string, offset: number, bytes: Buffer): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

/** A qcow2 whose header names an external data file. qemu-img would create that file, so it gets a name of equal length. */
async function dataFile(path: string, target: string, raw = false): Promise<void> {
  const [directory, placeholder] = [dirname(path), "p".repeat(target.length)];
  const options = `data_file=${placeholder}${raw ? ",data_file_raw=on" : ""}`;
  await run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, "1M"], { cwd: directory });
  await rm(join(directory, placeholder));
  await patch(path, await offsetOf(path, placeholder), Buffer.from(target));
}

/** Replaces the header extension with the backing file's format by an unknown one. */
async function withoutBackingFormat(path: string): Promise<void> {
  await patch(path, await offsetOf(path, Buffer.from("e2792aca", "hex")), Buffer.from("01020304", "hex"));
}

async function offsetOf(path: string, what: string | Buffer): Promise<number> {
  const at = (await readFile(path)).subarray(0, 65536).indexOf(what);
  if (at === -1) throw new Error(`${path} does not hold what is to be another`);
  return at;
}
