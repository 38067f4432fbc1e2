import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { link, open, readdir, readFile, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { promisify } from "node:util";
import type { Operation__Output } from "../../agent/gen/socle/v1/Operation.ts";
import type { VmSpec } from "../../agent/gen/socle/v1/VmSpec.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import { bootSector, linux } from "../lab/socle-host.ts";
import { Outside } from "./attack-outside.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-tries.ts";

const END_WITHIN_MS = 120_000;
const run = promisify(execFile);

/** What a tenant who may bring images brings: none of it makes the host open, change or call anything beside the pool. */
export async function storage(stage: Stage): Promise<Theme> {
  const { host } = stage;
  const pool = host.libvirtd.imagesDirectory;
  const outside = stage.run.keep(await Outside.make(join(host.libvirtd.directory, "outside")));
  const { secret } = outside;
  const at = (name: string): string => join(pool, name);
  const image = async (name: string, ...args: readonly string[]): Promise<void> => {
    await run("qemu-img", ["create", "-q", "-f", "qcow2", ...args, at(name), "1M"]);
  };
  /** An overlay as its header says it: qemu-img would look for what it names. */
  const overlay = (name: string, backing: string, format = "raw"): Promise<void> =>
    image(name, "-u", "-b", backing, "-F", format);
  const victim = `socle-${randomUUID()}-root.qcow2`;

  const images: readonly [what: string, name: string, make: () => Promise<unknown>][] = [
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
    ["a link called qcow2", "link.qcow2", () => symlink(secret, at("link.qcow2"))],
    ["a file outside by another name", "hard.img", () => link(secret, at("hard.img"))],
    [
      "another VM's disk by another name",
      "hard.qcow2",
      async () => {
        await image(victim);
        await link(at(victim), at("hard.qcow2"));
      },
    ],
    ["a link to the host's memory", "memory.img", () => symlink("/dev/mem", at("memory.img"))],
    ["a link to a device without an end", "zero.img", () => symlink("/dev/zero", at("zero.img"))],
    ["a link to a folder", "folder.img", () => symlink(outside.directory, at("folder.img"))],
    ["a link to itself", "loop.img", () => symlink("loop.img", at("loop.img"))],
    [
      "a link to nothing, which would be made",
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
      "a ring of backing files",
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
    ["a call over NBD", "nbd.qcow2", () => overlay("nbd.qcow2", `nbd+unix:///x?socket=${outside.socket}`)],
    [
      "a call over NBD, as JSON",
      "nbd-json.qcow2",
      () =>
        overlay(
          "nbd-json.qcow2",
          `json:${JSON.stringify({ driver: "nbd", server: { type: "unix", path: outside.socket } })}`,
        ),
    ],
    [
      "a call over NBD, two deep",
      "nbd-deep.qcow2",
      async () => {
        await overlay("nbd-deep-1.qcow2", `nbd+unix:///x?socket=${outside.socket}`);
        await overlay("nbd-deep.qcow2", at("nbd-deep-1.qcow2"), "qcow2");
      },
    ],
    ["a call over HTTP", "http.qcow2", () => overlay("http.qcow2", "http://127.0.0.1:1/x")],
    ["a call over SSH", "ssh.qcow2", () => overlay("ssh.qcow2", "ssh://root@127.0.0.1:1/etc/shadow")],
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
      "other formats under the name of a raw one",
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
      "a qcow2 that is none",
      "garbage.qcow2",
      () => writeFile(at("garbage.qcow2"), Buffer.alloc(1024 * 1024, 0xa5)),
    ],
    [
      "a qcow2 that is cut short",
      "short.qcow2",
      () => writeFile(at("short.qcow2"), Buffer.from("QFI\xfb\0\0\0\x03", "latin1")),
    ],
    [
      "a qcow2 of a size that is absurd",
      "huge.qcow2",
      async () => {
        await image("huge.qcow2");
        await patch(at("huge.qcow2"), 24, Buffer.alloc(8, 0x7f));
      },
    ],
    [
      "a qcow2 of clusters that are absurd",
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
  const tries: Try[] = images.flatMap(([what, name, make]) => {
    const made = async (spec: VmSpec): Promise<Outcome> => {
      const before = new Set(await filesIn(pool));
      try {
        await make();
        await outside.touched(); // By a second name that was just made for it.
        return await creates(stage, outside, spec);
      } finally {
        for (const file of await filesIn(pool)) if (!before.has(file)) await rm(at(file), { force: true });
      }
    };
    const volume = { pool: "images", volume: name };
    const vm = `storage-${name.replace(/\W/g, "-")}`;
    const newVolume = { pool: "images", baseVolume: name, format: "DISK_FORMAT_QCOW2" as const };
    return [
      {
        what: `${what}, as a disk`,
        attack: () => made(bootSector(vm, { disks: [{ name: "root", volume }] })),
      },
      {
        what: `${what}, as a base`,
        attack: () => made(bootSector(vm, { disks: [{ name: "root", newVolume }] })),
      },
      ...(name.endsWith(".img")
        ? [
            {
              what: `${what}, as a kernel`,
              attack: () => made(linux(vm, { kernelBoot: { kernel: volume } })),
            },
          ]
        : []),
    ];
  });
  /** What is as it should be is taken: the others are refused for what they are. */
  const proper = async (): Promise<Outcome> => {
    await overlay("proper-1.qcow2", "bootsector.img");
    await overlay("proper.qcow2", at("proper-1.qcow2"), "qcow2");
    const volume = { pool: "images", volume: "proper.qcow2" };
    const outcome = await creates(
      stage,
      outside,
      bootSector("proper", { disks: [{ name: "root", volume }] }),
    );
    for (const name of ["proper.qcow2", "proper-1.qcow2"]) await rm(at(name));
    if (outcome === "inert") return outcome;
    throw new Error(`it is to be taken: ${JSON.stringify(outcome)}`);
  };
  tries.unshift({ what: "a proper overlay of a proper overlay", attack: proper });
  const sizes = [2 ** 50, 2 ** 60, 2 ** 53 - 1];
  for (const capacityBytes of sizes)
    for (const format of ["DISK_FORMAT_RAW", "DISK_FORMAT_QCOW2"] as const)
      tries.push({
        what: `a new ${format} of ${capacityBytes} bytes`,
        attack: () =>
          creates(
            stage,
            outside,
            bootSector("storage-size", {
              disks: [{ name: "root", newVolume: { pool: "images", capacityBytes, format } }],
            }),
          ),
      });
  return { name: "storage", tries };
}

/** What became of a VM by this spec. It is gone afterwards. */
async function creates(stage: Stage, outside: Outside, spec: VmSpec): Promise<Outcome> {
  const { host } = stage;
  const { vms } = host.client.contract;
  let end: Operation__Output;
  try {
    end = await host.ended(
      await host.client.ask(vms.CreateVm, { requestId: randomUUID(), spec }),
      END_WITHIN_MS,
    );
  } catch (thrown) {
    if (!(thrown instanceof SocleError) || thrown.kind === "internal") throw thrown;
    return (await isUntouched(outside)) ?? "refused";
  }
  if (!end.done) throw new Error(`it has no end: ${host.tell(end)}`);
  if (end.state !== "STATE_SUCCEEDED") {
    if ((await host.witness.states()).has(spec.name ?? ""))
      throw new Error(`a VM is left: ${host.tell(end)}`);
    return (await isUntouched(outside)) ?? "refused";
  }
  try {
    const process = await host.witness.process(end.vmId);
    const isOpen = process !== undefined && (await outside.openIn(process.pid));
    if (isOpen) return { letThrough: "the guest has the file outside" };
    const foreign = await foreignImages(stage, spec.name ?? "", end.vmId);
    if (foreign !== undefined) return { letThrough: foreign };
    return (await isUntouched(outside)) ?? "inert";
  } finally {
    await host.succeeds({ kind: "DELETE", vm: end.vmId, requestId: randomUUID() });
    await outside.touched();
  }
}

/** An image of the running guest that is not in the pool, or another VM's; by QEMU's own list of what it has open. */
async function foreignImages(stage: Stage, name: string, vmId: string): Promise<string | undefined> {
  const { witness, libvirtd } = stage.host;
  const list = await witness.virsh("qemu-monitor-command", name, '{"execute":"query-named-block-nodes"}');
  const nodes = (JSON.parse(list) as { return: { file?: string; drv?: string }[] }).return;
  const foreign = nodes
    .filter(({ drv }) => drv !== "qcow2" && drv !== "raw")
    .map(({ file = "" }) => file)
    .filter((file) => dirname(file) !== libvirtd.imagesDirectory || isOthers(basename(file), vmId));
  return foreign.length === 0 ? undefined : `its QEMU has ${foreign.join(", ")} open`;
}

const isOthers = (volume: string, vmId: string): boolean =>
  /^socle-[0-9a-f-]{36}-/.test(volume) && !volume.includes(vmId);

async function isUntouched(outside: Outside): Promise<Outcome | undefined> {
  const touched = await outside.touched();
  return touched === undefined ? undefined : { letThrough: touched };
}

const filesIn = (directory: string): Promise<string[]> => readdir(directory);

async function patch(path: string, offset: number, bytes: Buffer): Promise<void> {
  const file = await open(path, "r+");
  try {
    await file.write(bytes, 0, bytes.length, offset);
  } finally {
    await file.close();
  }
}

/** A qcow2 whose data is in another file, by its header: qemu-img would make that file, so it is told of one as long. */
async function dataFile(path: string, target: string, raw = false): Promise<void> {
  const [directory, placeholder] = [dirname(path), "p".repeat(target.length)];
  const options = `data_file=${placeholder}${raw ? ",data_file_raw=on" : ""}`;
  await run("qemu-img", ["create", "-q", "-f", "qcow2", "-o", options, path, "1M"], { cwd: directory });
  await rm(join(directory, placeholder));
  await patch(path, await offsetOf(path, placeholder), Buffer.from(target));
}

/** An extension of the header that nobody knows in the place of the one that says the backing file's format. */
async function withoutBackingFormat(path: string): Promise<void> {
  await patch(path, await offsetOf(path, Buffer.from("e2792aca", "hex")), Buffer.from("01020304", "hex"));
}

async function offsetOf(path: string, what: string | Buffer): Promise<number> {
  const at = (await readFile(path)).subarray(0, 65536).indexOf(what);
  if (at === -1) throw new Error(`${path} does not hold what is to be another`);
  return at;
}
