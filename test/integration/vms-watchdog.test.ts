import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import type { Vm__Output } from "../../agent/gen/socle/v1/Vm.ts";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { bootSector, SocleHost } from "../support/socle-host.ts";
import { eventually } from "../support/wait.ts";

/** A boot sector that arms the watchdog of the q35 chipset, and never resets it. */
function forgetful(): Buffer {
  const disk = Buffer.alloc(2 ** 20);
  Buffer.from([
    ...[0xba, 0x72, 0x06, 0xb8, 0x04, 0x00, 0xef], // TCO_TMR (0x672): four ticks of 0.6 s
    ...[0xba, 0x60, 0x06, 0xb8, 0x01, 0x00, 0xef], // TCO_RLD (0x660): begin
    ...[0xf4, 0xeb, 0xfd], // again: hlt; jmp again
  ]).copy(disk);
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
