import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Libvirt, type LibvirtEvent } from "../../agent/libvirt/index.ts";
import { ModelHost, modelledProcedures } from "../faults/history/libvirt-model.ts";
import { guestFilesIn } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";
import { script } from "./libvirt-model-script.ts";
import type { Side } from "./libvirt-model-step.ts";
import { pool } from "./libvirt-model-storage.ts";

/** The compared part of an event: one line per object. */
function lineOf(event: LibvirtEvent): string | undefined {
  if (event.kind === "lifecycle") return `${event.domain.name} ${event.event} ${event.detail}`;
  if (event.kind === "metadata_change")
    return `${event.domain.name} metadata ${event.part} ${event.namespace}`;
  if (event.kind === "secret") return `secret ${event.event}`;
  if (event.kind === "storage_pool") return `pool ${event.pool.name} ${event.event}`;
  return undefined;
}

class Listener {
  readonly lines: string[] = [];
  /** QEMU reports one reset once or twice. */
  reboots = 0;

  constructor({ libvirt }: Side, signal: AbortSignal) {
    const events = libvirt.events.subscribe(signal, 10_000);
    void (async () => {
      for await (const item of events) {
        if (item.kind === "item" && item.value.kind === "reboot") this.reboots += 1;
        const line = item.kind === "item" ? lineOf(item.value) : undefined;
        if (line !== undefined) this.lines.push(line);
      }
    })();
  }
}

async function modelSide(): Promise<Side> {
  const host = new ModelHost({ clock: systemClock });
  const images = "/model/images";
  const { volumes } = host.addPool({ ...pool, type: "dir", path: images, autostart: false });
  const name = "bootsector.img";
  const bytes = { capacityBytes: 2 ** 20, allocationBytes: 4096 };
  volumes.set(name, { name, path: `${images}/${name}`, format: "raw", mark: "boot sector", ...bytes });
  host.addNetwork("default", false);
  return { libvirt: await host.connect({ by: "agent" }).connect(), images };
}

// The simulated stage depends on this: the model answers like libvirt.
test(
  "the model of libvirt answers like a real libvirtd",
  { skip: libvirtdUnavailable(), timeout: 280_000 },
  async (t) => {
    const uncovered = modelledProcedures.filter(
      (name) => !script.some(({ procedure }) => procedure === name),
    );
    assert.deepEqual(uncovered, [], "every call of the model has a step in the script");
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const images = libvirtd.imagesDirectory;
    await guestFilesIn(images);
    const target = `<target><path>${images}</path></target>`;
    const poolFile = join(libvirtd.directory, "pool.xml");
    await writeFile(
      poolFile,
      `<pool type='dir'><name>${pool.name}</name><uuid>${pool.uuid}</uuid>${target}</pool>`,
    );
    await virsh(libvirtd.uri, ["pool-create", poolFile]);
    const libvirt = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
    t.after(() => libvirt.close());
    const sides = [{ libvirt, images }, await modelSide()] as const;
    const over = new AbortController();
    t.after(() => over.abort());
    const [real, model] = sides.map((side) => new Listener(side, over.signal)) as [Listener, Listener];
    for (const step of script) {
      await t.test(step.name, async () => {
        const [expected, answered] = [await step.run(sides[0]), await step.run(sides[1])];
        assert.deepEqual(answered, expected);
        await setImmediate();
        const isReceived = (): boolean => real.lines.length >= model.lines.length;
        await eventually(isReceived, { what: "the events", timeoutMs: 30_000, intervalMs: 5 }).catch(
          () => undefined,
        );
        assert.deepEqual(model.lines.splice(0), real.lines.splice(0), "events");
      });
    }
    assert.deepEqual([model.reboots > 0, real.reboots > 0], [true, true], "a reset is reported");
  },
);
