// Consoles that open, close and are taken over while the guest prints continuously. A libvirtd whose stream client vanishes,
// or that has to abort a stream, can deadlock or crash: Socle must never cause that.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { SocleError } from "../../agent/kernel/errors.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { domainLookupByName, Libvirt } from "../../agent/libvirt/index.ts";
import { Consoles } from "../../agent/vm/hypervisor/consoles.ts";
import { Domains } from "../../agent/vm/hypervisor/domains.ts";
import { guestXml } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";

const ROUNDS = 150;
const LIVES = 10;

/** A boot sector that prints on the serial port forever. */
function talkative(): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  // mov dx, 0x3f8; again: mov al, 'A'; out dx, al; mov cx, 0x4000; wait: loop wait; jmp again
  Buffer.from("baf803b041eeb90040e2feebf6", "hex").copy(disk);
  disk.writeUInt16BE(0x55aa, 510);
  return disk;
}

suite("consoles on a real libvirtd", { skip: libvirtdUnavailable() }, () => {
  test("consoles open, close and are taken over, and libvirt keeps answering", async (t) => {
    const libvirtd = await Libvirtd.start();
    t.after(() => libvirtd.stop());
    const bootSector = join(libvirtd.imagesDirectory, "talkative.img");
    const xml = join(libvirtd.directory, "talker.xml");
    await writeFile(bootSector, talkative());
    await writeFile(xml, guestXml({ name: "talker", boot: { bootSector } }));
    await virsh(libvirtd.uri, ["create", xml]);
    const pid = await libvirtd.pid();
    const libvirt = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
    t.after(() => libvirt.close());
    const { dom } = await libvirt.call(domainLookupByName, { name: "talker" });
    const consoles = new Consoles(new Domains(libvirt, systemClock));
    const outcomes = { opened: 0, refused: 0 };

    const visit = async (round: number): Promise<void> => {
      const leave = new AbortController();
      try {
        const console = await consoles.open(dom.uuid, round % 3 === 0, leave.signal);
        outcomes.opened += 1;
        const reading = (async () => {
          for await (const chunk of console) if (chunk.length > 0 && round % 2 === 0) leave.abort();
        })().catch(() => undefined);
        await console.write(Buffer.from("\n")).catch(() => undefined);
        if (round % 2 === 1) await console.abort();
        await reading;
      } catch (thrown) {
        assert.ok(thrown instanceof SocleError && thrown.reason === "CONSOLE_IN_USE", String(thrown));
        outcomes.refused += 1;
      }
    };
    const visitor = async (first: number): Promise<void> => {
      for (let round = first; round < ROUNDS; round += 3) await visit(round);
    };
    await Promise.all([visitor(0), visitor(1), visitor(2)]);
    assert.ok(outcomes.opened > ROUNDS / 3, JSON.stringify(outcomes));
    // An agent that stops during console output.
    for (let life = 0; life < LIVES; life += 1) {
      const own = await Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
      const console = await new Consoles(new Domains(own, systemClock)).open(dom.uuid, true, t.signal);
      const reading = (async () => {
        for await (const chunk of console) if (chunk.length > 0) void own.close();
      })();
      await assert.rejects(reading, { reason: "LIBVIRT_CLOSED" });
      await own.close();
    }
    assert.equal(await virsh(libvirtd.uri, ["list", "--name"]), "talker");
    assert.equal(await libvirtd.pid(), pid, "libvirtd did not restart");
  });
});
