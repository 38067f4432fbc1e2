// A machine with two NUMA cells, which test machines rarely have: a real Linux in QEMU, whose files are read over its
// console. The agent's readers have to find the guest's definition and later changes in them.
import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { readCpuTopology } from "../../agent/hardware/cpu/cpu-topology.ts";
import { readMemory } from "../../agent/hardware/memory/memory.ts";
import { readNuma } from "../../agent/hardware/memory/numa.ts";
import { readOfflineCpus, readPoisonedPages } from "../../agent/hardware/memory/out-of-use.ts";
import { valueOf, type Reading } from "../../agent/hardware/reading.ts";
import type { Roots } from "../../agent/hardware/roots.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt } from "../../agent/libvirt/index.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { guestFilesIn, guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { unpackTree } from "../support/tree.ts";
import { virsh } from "../support/virsh.ts";

const MIB = 2 ** 20;
const CELL_MIB = 128;

/** Two sockets of two threads each, one cell per socket, with a distance of 21. */
const cpu = `<cpu mode='maximum'>
  <topology sockets='2' cores='1' threads='2'/>
  <numa>
    <cell id='0' cpus='0-1' memory='${CELL_MIB}' unit='MiB'>
      <distances><sibling id='0' value='10'/><sibling id='1' value='21'/></distances>
    </cell>
    <cell id='1' cpus='2-3' memory='${CELL_MIB}' unit='MiB'>
      <distances><sibling id='0' value='21'/><sibling id='1' value='10'/></distances>
    </cell>
  </numa>
</cpu>`;

/** Writes files and links in test/support/tree.ts's format; entries without a value are left out. */
const record = `record() { for f in "$@"; do p=\${f#/}
  if [ -L "$f" ]; then echo "@ $p -> $(readlink "$f")"
  elif [ -f "$f" ] && v=$(cat "$f" 2>/dev/null); then echo "@ $p"; echo "$v"; fi; done; }`;
const cpus = "/sys/devices/system/cpu";
const nodes = "/sys/devices/system/node";
const parts = [
  "/proc/meminfo",
  ...["present", "online", "smt/control", "cpu[0-9]/online"].map((name) => `${cpus}/${name}`),
  ...["topology/thread_siblings_list", "cache/index*/level", "cache/index*/type", "cache/index*/size"].map(
    (name) => `${cpus}/cpu[0-9]/${name}`,
  ),
  `${cpus}/cpu[0-9]/cache/index*/shared_cpu_list`,
  ...["cpulist", "cpu[0-9]", "distance", "meminfo", "memory_failure/total", "hugepages/*/*_hugepages"].map(
    (name) => `${nodes}/node*/${name}`,
  ),
];

const read = <T>(reading: Reading<T>): T =>
  valueOf(reading) ?? assert.fail(`not read: ${JSON.stringify(reading)}`);

test(
  "a guest with two cells is read correctly, with an offline CPU and a lost page",
  { skip: libvirtdUnavailable() },
  async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const files = await guestFilesIn(libvirtd.imagesDirectory);
    const xml = join(libvirtd.directory, "two-cells.xml");
    const boot = { linux: files, words: "hugepages=8" };
    await writeFile(xml, guestXml({ name: "two-cells", memoryMib: 2 * CELL_MIB, vcpus: 4, boot, cpu }));
    await virsh(libvirtd.uri, ["create", "--paused", xml]);
    const libvirt = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
    t.after(() => libvirt.close());
    const shell = await GuestShell.open(libvirt, "two-cells");
    t.after(() => shell.close());
    await shell.run(record);

    /** The current content of the readers' files. RECORD=FILE stores it: test/fixtures/hosts/two-cell-guest.txt. */
    const rootsNow = async (): Promise<Roots> => {
      const root = await mkdtemp(join(tmpdir(), "socle-two-cells-"));
      t.after(() => rm(root, { recursive: true }));
      const text = await shell.run(`record ${parts.join(" ")}`);
      if (process.env["RECORD"] !== undefined) await writeFile(process.env["RECORD"], text);
      unpackTree(text, root);
      const [procRoot, sysRoot] = [join(root, "proc"), join(root, "sys")];
      return {
        procRoot,
        sysRoot,
        devRoot: join(root, "dev"),
        etcRoot: join(root, "etc"),
        runRoot: join(root, "run"),
      };
    };
    const printed = async (command: string): Promise<string> => (await shell.run(command)).trim();

    const before = await rootsNow();
    const cells = read(await readNuma(before));
    assert.deepEqual(
      cells.map(({ id, cpus, distances }) => [id, read(cpus), read(distances)]),
      [
        [0, [0, 1], [10, 21]],
        [1, [2, 3], [21, 10]],
      ],
    );
    for (const { id, memory, hugepages } of cells) {
      const { totalBytes } = read(memory);
      // Without the kernel's and the firmware's own memory.
      assert.ok(
        totalBytes > (CELL_MIB / 2) * MIB && totalBytes < CELL_MIB * MIB,
        `cell ${id}: ${totalBytes}`,
      );
      const kernelValue = await printed(`awk '/MemTotal/ { print $4 }' ${nodes}/node${id}/meminfo`);
      assert.equal(totalBytes, Number(kernelValue) * 1024);
      const small = read(hugepages).find(({ sizeBytes }) => sizeBytes === 2 * MIB);
      assert.equal(small?.total, 4, "the kernel spreads them evenly");
    }
    const { cores, caches } = read(await readCpuTopology(before));
    assert.deepEqual(cores, [
      [0, 1],
      [2, 3],
    ]);
    assert.deepEqual(
      caches.map((cache) => cache.cpus),
      cores,
      "each socket has its own",
    );
    assert.deepEqual([...read(await readOfflineCpus(before))], []);
    assert.deepEqual([...read(await readPoisonedPages(before))], []);

    await shell.run(`echo 0 >${cpus}/cpu3/online`);
    // 64 MiB into the second cell. A page in use cannot be removed (EBUSY), but counts as lost too.
    const address = (CELL_MIB + CELL_MIB / 2) * MIB;
    await shell.run(`echo ${address} >/sys/devices/system/memory/hard_offline_page || true`);
    const after = await rootsNow();
    assert.deepEqual(
      read(await readNuma(after)).map(({ cpus: online }) => read(online)),
      [[0, 1], [2]],
    );
    assert.deepEqual([...read(await readOfflineCpus(after))], [[1, [3]]]);
    assert.deepEqual([...read(await readPoisonedPages(after))], [[1, 1]]);
    assert.equal(read(await readMemory(after)).bytesByName.get("HardwareCorrupted"), 4096);
    assert.equal(await printed(`cat ${cpus}/offline`), "3");
  },
);
