import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, it, type TestContext } from "node:test";
import { LibvirtError } from "../../agent/libvirt/index.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import * as p from "../../agent/libvirt/index.ts";
import { guestFilesIn, guestXml, type GuestFiles } from "../support/guest.ts";
import { Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { virsh } from "../support/virsh.ts";
import { eventually } from "../support/wait.ts";

function reason(thrown: unknown): string {
  assert.ok(thrown instanceof LibvirtError, String(thrown));
  return `${thrown.kind} ${thrown.reason}`;
}

describe("connections to a real libvirtd", { skip: libvirtdUnavailable() }, () => {
  let libvirtd: Libvirtd;
  let files: GuestFiles;
  before(async () => {
    libvirtd = await Libvirtd.start();
    files = await guestFilesIn(libvirtd.imagesDirectory);
  });
  after(() => libvirtd.stop());

  const sector = (name: string): string => guestXml({ name, boot: { bootSector: files.bootSector } });

  async function connect(t: TestContext): Promise<p.Libvirt> {
    const libvirt = await p.Libvirt.connect({ uri: libvirtd.uri, log: silentLog });
    t.after(() => libvirt.close());
    return libvirt;
  }

  it("drops the descriptors of a reply without losing another call", async (t) => {
    const libvirt = await connect(t);
    const graphics = "<graphics type='vnc' socket='/run/libvirt/qemu/screen.vnc'/>";
    const xmlDesc = sector("screen").replace("</devices>", `${graphics}</devices>`);
    const { dom } = await libvirt.call(p.domainCreateXml, {
      xmlDesc,
      flags: p.DomainCreateFlags.START_PAUSED,
    });
    t.after(() => virsh(libvirtd.uri, ["destroy", "screen"]));
    const changes = Array.from({ length: 8 }, () => libvirt.call(p.domainSuspend, { dom }));
    const opened = libvirt.call(p.domainOpenGraphicsFd, { dom, idx: 0, flags: 0 });
    assert.equal(await opened.catch(reason), "unsupported LIBVIRT_DESCRIPTORS_UNSUPPORTED");
    await Promise.all(changes);
    await libvirt.call(p.domainResume, { dom });
    assert.equal(libvirt.reconnects, 0);
  });

  it("keeps a pinned session's state in libvirtd while calls on it are abandoned, and no longer", async (t) => {
    const libvirt = await connect(t);
    const { dom: hangs } = await libvirt.call(p.domainCreateXml, { xmlDesc: sector("stuck"), flags: 0 });
    const qemu = (await readFile(join(libvirtd.directory, "run/libvirt/qemu/stuck.pid"), "utf8")).trim();
    await libvirtd.run("kill", ["-STOP", qemu]);
    t.after(() => libvirtd.run("kill", ["-KILL", qemu]));
    const session = await libvirt.pin();
    const flags = p.DomainCreateFlags.START_AUTODESTROY;
    const { dom: tied } = await session.call(p.domainCreateXml, { xmlDesc: sector("tied"), flags });
    const given = Array.from({ length: 2 }, () =>
      session.call(p.domainMemoryStats, { dom: hangs, maxStats: 16, flags: 0 }, { timeoutMs: 100 }),
    );
    for (const call of given) assert.equal(await call.catch(reason), "timeout LIBVIRT_TIMEOUT");
    await session.call(p.domainGetInfo, { dom: tied });
    // libvirtd finally closes a connection once no call on it is running.
    await libvirtd.run("kill", ["-CONT", qemu]);
    session.close();
    await eventually(async () => {
      const found = await libvirt.call(p.domainLookupByName, { name: "tied" }).catch(reason);
      return found === "not_found LIBVIRT_NO_DOMAIN";
    });
  });
});
