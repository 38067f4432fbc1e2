import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

const AT = 0x7c00;
const GDTR = 0x80;
const GDT = 0x88;

/**
 * A boot sector that arms the watchdog of the q35 chipset, and never resets it. It first clears NO_REBOOT in the chipset's
 * registers, as Linux does; they are above 1 MiB, which a flat data segment reaches.
 */
function forgetful(): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  const word = (value: number): number[] => [value & 0xff, value >> 8];
  Buffer.from([
    ...[0xfa, 0xe4, 0x92, 0x0c, 0x02, 0xe6, 0x92], // cli; in al, 0x92; or al, 2; out 0x92, al: address line 20
    ...[0x31, 0xc0, 0x8e, 0xd8, 0x0f, 0x01, 0x16, ...word(AT + GDTR)], // xor ax, ax; mov ds, ax; lgdt [GDTR]
    ...[0x0f, 0x20, 0xc0, 0x0c, 0x01, 0x0f, 0x22, 0xc0], // mov eax, cr0; or al, 1; mov cr0, eax
    ...[0xbb, 0x08, 0x00, 0x8e, 0xdb], // mov bx, 8; mov ds, bx
    ...[0x24, 0xfe, 0x0f, 0x22, 0xc0], // and al, 0xfe; mov cr0, eax
    ...[0x67, 0x66, 0x81, 0x25, 0x10, 0xf4, 0xd1, 0xfe, 0xdf, 0xff, 0xff, 0xff], // and dword [0xfed1f410], ~0x20
    ...[0xba, 0x72, 0x06, 0xb8, 0x04, 0x00, 0xef], // mov dx, 0x672; mov ax, 4; out dx, ax: four ticks of 0.6 s
    ...[0xba, 0x60, 0x06, 0xb8, 0x01, 0x00, 0xef], // mov dx, 0x660; mov ax, 1; out dx, ax: begin
    ...[0xfb, 0xf4, 0xeb, 0xfd], // sti; again: hlt; jmp again
  ]).copy(disk);
  Buffer.from([0x0f, 0x00, ...word(AT + GDT), 0x00, 0x00]).copy(disk, GDTR);
  // After the null descriptor: data from 0 to 4 GiB.
  Buffer.from([0xff, 0xff, 0x00, 0x00, 0x00, 0x92, 0xcf, 0x00]).copy(disk, GDT + 8);
  disk.writeUInt16BE(0x55aa, 510);
  return disk;
}

suite("watchdogs of guests on a real host", { skip: libvirtdUnavailable(), timeout: 600_000 }, () => {
  let host: SocleHost;

  before(async () => {
    host = await SocleHost.start();
    await writeFile(join(host.libvirtd.imagesDirectory, "forgetful.img"), forgetful());
    await host.virsh("pool-refresh", "images");
  });
  after(() => host.stop());

  const expired = async (name: string, action: string): Promise<Vm__Output> => {
    const disks = [{ name: "boot", volume: { pool: "images", volume: "forgetful.img" }, readOnly: true }];
    const made = await host.create(
      bootSector(name, {
        disks,
        watchdog: { action: `WATCHDOG_ACTION_${action}` as "WATCHDOG_ACTION_NONE" },
      }),
    );
    assert.equal(made.state, "STATE_SUCCEEDED", JSON.stringify(made.error));
    return await eventually(
      async () => {
        const vm = await host.client.ask(host.client.contract.vms.GetVm, { vm: name });
        return vm.watchdogExpirations > 0 && vm;
      },
      { what: `the watchdog of ${name}`, timeoutMs: 120_000, intervalMs: 200 },
    );
  };
  const stateOf = async (name: string): Promise<string> => (await host.virsh("domstate", name)).trim();

  test("an expired watchdog does what the spec says, and is reported", async () => {
    const [none, pause, poweroff, reset] = await Promise.all([
      expired("none", "NONE"),
      expired("pause", "PAUSE"),
      expired("poweroff", "POWEROFF"),
      expired("reset", "RESET"),
    ]);
    assert.equal(none.spec?.watchdog?.action, "WATCHDOG_ACTION_NONE");
    assert.notEqual(none.watchdogExpiredAt, null);
    assert.equal(await stateOf("none"), "running");
    await eventually(async () => (await stateOf("pause")) === "paused", { what: "the pause" });
    await eventually(async () => (await stateOf("poweroff")) === "shut off", {
      what: "the end of the guest",
    });
    assert.equal(await stateOf("reset"), "running");
    // The guest that was reset arms it again.
    await eventually(
      async () =>
        (await host.client.ask(host.client.contract.vms.GetVm, { vm: "reset" })).watchdogExpirations > 1,
      { what: "another expiry after the reset", timeoutMs: 120_000 },
    );
    const metrics = await (await fetch(`http://${host.agent.metricsAddress}/metrics`)).text();
    for (const { vmId } of [none, pause, poweroff, reset])
      assert.match(metrics, new RegExp(`^socle_vm_watchdog_expirations_total\\{vm="${vmId}"\\} [1-9]`, "m"));
    const events = host.client.watch(host.client.contract.events.Subscribe, {
      kinds: ["EVENT_KIND_VM_WATCHDOG"],
    });
    const actions = new Map<string, string>();
    for await (const event of events) {
      if (event.kind === "EVENT_KIND_VM_WATCHDOG") actions.set(event.vmName, event.details["action"] ?? "");
      if (actions.size === 4) break;
    }
    assert.deepEqual(Object.fromEntries(actions), {
      none: "none",
      pause: "pause",
      poweroff: "poweroff",
      reset: "reset",
    });
  });
});
