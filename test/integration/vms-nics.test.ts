import assert from "node:assert/strict";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, suite, test } from "node:test";
import { systemClock } from "../../agent/kernel/clock.ts";
import { silentLog } from "../../agent/kernel/log.ts";
import { Operations } from "../../agent/state/operations/operations.ts";
import { GuestShell } from "../support/guest-shell.ts";
import { type Libvirtd, libvirtdUnavailable } from "../support/libvirtd.ts";
import { eventually } from "../support/wait.ts";
import { virsh } from "../support/virsh.ts";
import { linux, MIB, requestId, VmStage, Rig } from "./vms-stage.ts";

suite("NICs of existing VMs over a real libvirtd", { skip: libvirtdUnavailable(), timeout: 900_000 }, () => {
  let stage: VmStage;
  let libvirtd: Libvirtd;
  let rig: Rig;

  before(async () => {
    stage = await VmStage.start();
    ({ libvirtd, rig } = stage);
    for (const [name, third] of [
      ["front", 2],
      ["back", 3],
    ] as const) {
      const xml = join(stage.state, `${name}.xml`);
      await writeFile(
        xml,
        `<network><name>${name}</name><bridge name='socle-${name}'/>
         <ip address='192.0.${third}.1' netmask='255.255.255.0'/></network>`,
      );
      await virsh(libvirtd.uri, ["net-define", xml]);
      await virsh(libvirtd.uri, ["net-start", name]);
    }
  });
  after(async () => {
    for (const name of ["front", "back"]) await virsh(libvirtd.uri, ["net-destroy", name]);
    await stage.stop();
  });

  const front = { name: "front", source: { kind: "network", network: "front" } };
  const back = { name: "back", source: { kind: "network", network: "back" } };

  const change = (vm: string) => ({ requestId: requestId(), vm });
  const attach = (vm: string, nic: Record<string, unknown>, validateOnly = false) =>
    rig.vms.begin("ATTACH_NIC", { ...change(vm), nic, validateOnly }, "tester");
  const detach = (vm: string, nic: string) => rig.vms.begin("DETACH_NIC", { ...change(vm), nic }, "tester");
  const update = (vm: string, nic: string, link: "up" | "down") =>
    rig.vms.begin("UPDATE_NIC", { ...change(vm), nic, link }, "tester");

  const remove = (vm: string) =>
    rig.succeeds(
      rig.vms.begin("DELETE_VM", { requestId: requestId(), vm, keepDisks: false, force: true }, "tester"),
    );

  const dump = (vm: string, ...options: string[]) => virsh(libvirtd.uri, ["dumpxml", vm, ...options]);

  /** The domain's interface with this alias, as virsh shows it, without what libvirt adds to a running one. */
  const interfaceOf = async (vm: string, nic: string, ...options: string[]): Promise<string | undefined> =>
    (await dump(vm, ...options))
      .match(/<interface[\s\S]*?<\/interface>/g)
      ?.find((xml) => xml.includes(`ua-nic-${nic}`))
      ?.replaceAll(/ (portid|bridge)='[^']*'/g, "")
      .replaceAll(/\s*<target dev='vnet\d+'\/>/g, "");

  test("a running guest gets a NIC behind the filter, sees its link change, and releases it", async () => {
    const { vmId: vm } = await rig.succeeds(rig.vms.create(linux("wired", { nics: [front] }), "tester"));
    const shell = await GuestShell.join(rig.libvirt, "wired");
    const attached = await rig.succeeds(attach(vm, { ...back, allowedAddresses: ["192.0.3.7"] }));
    const { mac = "" } = attached.result;
    assert.deepEqual(attached.result, { nic: "back", mac, applies: "now" });
    await eventually(async () => (await shell.run("ls /sys/class/net")).includes("eth1"), {
      what: "the guest to see the NIC",
      timeoutMs: 120_000,
    });
    assert.equal((await shell.run("cat /sys/class/net/eth1/address")).trim(), mac);
    const device = rig.table.get(vm)?.nics.find(({ name }) => name === "back")?.device;
    assert.match(
      await virsh(libvirtd.uri, ["domiflist", vm]),
      new RegExp(`${device}\\s+network\\s+back\\s+virtio\\s+${mac}`),
    );
    assert.match(
      await virsh(libvirtd.uri, ["nwfilter-binding-list"]),
      new RegExp(`${device}\\s+clean-traffic`),
    );
    assert.ok(await interfaceOf(vm, "back"));
    assert.equal(await interfaceOf(vm, "back"), await interfaceOf(vm, "back", "--inactive"));
    const again = attach(vm, back);
    await assert.rejects(again, { kind: "already_exists", reason: "NIC_EXISTS" });

    await shell.run("ip link set eth1 up");
    const carrier = async (): Promise<string> => (await shell.run("cat /sys/class/net/eth1/carrier")).trim();
    for (const [link, seen] of [
      ["down", "0"],
      ["up", "1"],
      ["down", "0"],
    ] as const) {
      await rig.succeeds(update(vm, "back", link));
      await eventually(async () => (await carrier()) === seen, { what: `the guest to see the link ${link}` });
      const shown = (await virsh(libvirtd.uri, ["domif-getlink", vm, mac])).trim();
      const next = (await virsh(libvirtd.uri, ["domif-getlink", vm, mac, "--config"])).trim();
      assert.deepEqual(
        [shown, next].map((text) => text.split(" ")[1]),
        [link, link],
      );
      assert.equal(await interfaceOf(vm, "back"), await interfaceOf(vm, "back", "--inactive"));
      assert.equal(rig.table.get(vm)?.spec?.nics[1]?.linkDown, link === "down" ? true : undefined);
    }
    assert.equal(
      (await shell.run("cat /sys/class/net/eth0/address")).trim(),
      rig.table.get(vm)?.nics[0]?.mac,
    );

    await rig.succeeds(detach(vm, "back"));
    assert.doesNotMatch(await shell.run("ls /sys/class/net"), /eth1/);
    assert.doesNotMatch(`${await dump(vm)}${await dump(vm, "--inactive")}`, /ua-nic-back/);
    assert.deepEqual(
      rig.table.get(vm)?.spec?.nics.map(({ name }) => name),
      ["front"],
    );
    assert.doesNotMatch(await virsh(libvirtd.uri, ["nwfilter-binding-list"]), new RegExp(`${device}\\s`));
    await shell.close();
    await remove(vm);
  });

  test("a guest that does not release a NIC keeps it and nothing changes; a later request succeeds", async () => {
    const { vmId: vm } = await rig.succeeds(rig.vms.create(linux("stubborn", { nics: [front] }), "tester"));
    const shell = await GuestShell.join(rig.libvirt, "stubborn");
    await shell.close();
    await virsh(libvirtd.uri, ["suspend", vm]);
    await eventually(() => rig.table.get(vm)?.state === "paused", { what: "the pause to be seen" });
    const [defined, spec] = [await interfaceOf(vm, "front", "--inactive"), rig.table.get(vm)?.spec];
    const kept = await rig.done(await detach(vm, "front"));
    assert.deepEqual([kept.state, kept.error?.reason], ["failed", "GUEST_KEEPS_DEVICE"]);
    assert.match(kept.error?.message ?? "", /did not release front .*retry, or stop the VM/);
    assert.ok(await interfaceOf(vm, "front"));
    assert.equal(await interfaceOf(vm, "front", "--inactive"), defined);
    assert.deepEqual(rig.table.get(vm)?.spec, spec);
    await virsh(libvirtd.uri, ["resume", vm]);
    await rig.succeeds(detach(vm, "front"));
    assert.doesNotMatch(`${await dump(vm)}${await dump(vm, "--inactive")}`, /ua-nic-front/);
    assert.deepEqual(rig.table.get(vm)?.spec?.nics, []);
    await remove(vm);
  });

  test("changes of a stopped VM's NICs apply at its next start; a plan changes nothing", async () => {
    const request = { ...linux("off", { nics: [front] }), leaveStopped: true };
    const { vmId: vm } = await rig.succeeds(rig.vms.create(request, "tester"));
    const before = await dump(vm);
    const planned = await attach(vm, back, true);
    const { result } = planned;
    assert.deepEqual(
      { ...result, mac: "" },
      { validated: "true", nic: "back", mac: "", applies: "at the next start" },
    );
    assert.equal(await dump(vm), before);
    const nowhere = { ...back, source: { kind: "network", network: "none" } };
    await assert.rejects(attach(vm, nowhere, true), { kind: "not_found", reason: "NETWORK_NOT_FOUND" });
    // A network that is down is no obstacle to a VM that is off.
    await virsh(libvirtd.uri, ["net-destroy", "back"]);
    const attached = await rig.succeeds(attach(vm, back));
    assert.equal(attached.result["mac"], result["mac"]);
    assert.equal(attached.result["applies"], "at the next start");
    await rig.succeeds(update(vm, "back", "down"));
    assert.match((await interfaceOf(vm, "back")) ?? "", /<link state='down'\/>/);
    await virsh(libvirtd.uri, ["net-start", "back"]);
    await rig.succeeds(detach(vm, "front"));
    await rig.succeeds(
      rig.vms.begin("START_VM", { requestId: requestId(), vm, placementEpoch: 0 }, "tester"),
    );
    const listed = await virsh(libvirtd.uri, ["domiflist", vm]);
    assert.match(listed, new RegExp(`network\\s+back\\s+virtio\\s+${result["mac"]}`));
    assert.doesNotMatch(listed, /front/);
    assert.match(await virsh(libvirtd.uri, ["domif-getlink", vm, result["mac"] ?? ""]), /down/);
    await remove(vm);
  });

  test("a NIC that cannot be attached leaves nothing in the spec and the domain", async () => {
    const { vmId: vm } = await rig.succeeds(rig.vms.create(linux("refused"), "tester"));
    await assert.rejects(attach(vm, { name: "wide", source: { kind: "bridge", bridge: "br-none" } }), {
      kind: "invalid",
      reason: "SPEC_INVALID",
    });
    const xml = join(stage.state, "down.xml");
    await writeFile(xml, "<network><name>down</name><bridge name='socle-down'/></network>");
    await virsh(libvirtd.uri, ["net-define", xml]);
    const down = { name: "down", source: { kind: "network", network: "down" } };
    const inactive = await rig.done(await attach(vm, down));
    assert.equal(inactive.error?.reason, "NETWORK_INACTIVE");
    assert.deepEqual(rig.table.get(vm)?.spec?.nics, []);
    assert.doesNotMatch(`${await dump(vm)}${await dump(vm, "--inactive")}`, /ua-nic-/);
    await remove(vm);
  });

  test("an attach and a detach that were cut off in the middle are finished", async () => {
    const { vmId: vm } = await rig.succeeds(rig.vms.create(linux("cut"), "tester"));
    const shell = await GuestShell.join(rig.libvirt, "cut");
    await shell.close();
    for (const [kind, intent, steps, has] of [
      [
        "ATTACH_NIC",
        { nic: { ...back, allowSpoofing: false, allowedAddresses: [] } },
        ["write spec", "attach"],
        true,
      ],
      ["UPDATE_NIC", { nic: "back", link: "down" }, ["change device"], true],
      ["DETACH_NIC", { nic: "back" }, ["ask guest", "change definition"], false],
    ] as const) {
      const directory = await mkdtemp(join(tmpdir(), "socle-crash-"));
      const dying = await Operations.open({
        directory,
        clock: systemClock,
        log: silentLog,
        retentionMs: 86_400_000,
      });
      const { operation } = await dying.begin({
        requestId: requestId(),
        caller: "tester",
        kind,
        vmId: vm,
        fingerprint: "f",
        intent: { kind, ...intent },
      });
      const last = steps.at(-1);
      // The agent dies in the last of these steps.
      const isCut = new Promise<void>(
        (cut) =>
          void dying.run(operation, async (step) => {
            for (const name of steps)
              await step(name, () => {
                if (name !== last) return Promise.resolve();
                cut();
                return new Promise<void>(() => undefined);
              });
            return {};
          }),
      );
      await isCut;
      await dying.drain(0);
      const next = await Rig.start(libvirtd.uri, directory);
      try {
        await next.succeeds(Promise.resolve(operation));
      } finally {
        await next.stop();
        await rm(directory, { recursive: true });
      }
      const [live, config] = [await interfaceOf(vm, "back"), await interfaceOf(vm, "back", "--inactive")];
      assert.equal(live !== undefined, has, kind);
      assert.equal(live, config);
      await eventually(() => (rig.table.get(vm)?.spec?.nics.length === 1) === has, { what: "the spec" });
    }
    await remove(vm);
  });

  test("a VM without spare PCIe ports gets them at its next start, and its devices keep their addresses", async () => {
    const data = { name: "data", source: { kind: "new", pool: "images", capacityBytes: 8 * MIB } };
    const request = { ...linux("older", { nics: [front], disks: [data] }), leaveStopped: true };
    const { vmId: vm } = await rig.succeeds(rig.vms.create(request, "tester"));
    // As version 0.1.0 defined it: libvirt alone chose the controllers.
    const plain = (await dump(vm, "--inactive"))
      .replaceAll(/<controller type='(pci|sata|virtio-serial)'[^>]*(\/>|>[\s\S]*?<\/controller>)\n/g, "")
      .replaceAll(/\s*<address type='(pci|virtio-serial)'[^>]*\/>/g, "");
    const xml = join(stage.state, "older.xml");
    await writeFile(xml, plain);
    await virsh(libvirtd.uri, ["undefine", vm]);
    await virsh(libvirtd.uri, ["define", xml]);
    await eventually(() => rig.table.get(vm)?.presence === "present", { what: "the VM to be seen" });
    const addresses = (text: string): string[] =>
      [...text.matchAll(/<(disk|interface|rng|memballoon)\b[\s\S]*?<address type='pci'([^>]*)\/>/g)].map(
        ([, device, address]) => `${device}${address}`,
      );
    const ports = (text: string): string[] =>
      [...text.matchAll(/model='pcie-root-port'>[\s\S]*?<address type='pci'([^>]*)\/>/g)].map(
        ([, at]) => at ?? "",
      );
    const before = await dump(vm, "--inactive");
    assert.ok(ports(before).length < 8, `${ports(before).length} ports`);
    const whereInGuest = async (): Promise<[GuestShell, string]> => {
      const shell = await GuestShell.join(rig.libvirt, "older");
      return [
        shell,
        await shell.run("readlink -f /sys/class/net/eth0/device; readlink -f /sys/block/vda/device"),
      ];
    };
    await virsh(libvirtd.uri, ["start", vm]);
    const [without, seen] = await whereInGuest();
    await without.close();
    // Such a guest has one port left.
    await rig.succeeds(attach(vm, back));
    const full = await rig.done(await attach(vm, { ...back, name: "third" }));
    assert.deepEqual([full.state, full.error?.reason], ["failed", "NO_FREE_PORT"]);
    assert.doesNotMatch(`${await dump(vm)}${await dump(vm, "--inactive")}`, /ua-nic-third/);
    const left = rig.table.get(vm)?.spec?.nics.map(({ name }) => name);
    assert.deepEqual(left, ["front", "back"]);
    await rig.succeeds(detach(vm, "back"));
    await virsh(libvirtd.uri, ["destroy", vm]);
    await eventually(() => rig.table.get(vm)?.state === "stopped", { what: "the stop to be seen" });

    await rig.succeeds(
      rig.vms.begin("START_VM", { requestId: requestId(), vm, placementEpoch: 0 }, "tester"),
    );
    const live = await dump(vm);
    assert.deepEqual(addresses(live), addresses(before));
    assert.deepEqual(ports(live).slice(0, ports(before).length), ports(before));
    // One for each of its two devices and the other three, and the spare ones.
    assert.equal(ports(live).length, 2 + 3 + 16);
    const [shell, seenAfter] = await whereInGuest();
    assert.equal(seenAfter, seen);
    const more = { ...data, name: "more" };
    await rig.succeeds(rig.vms.begin("ATTACH_DISK", { requestId: requestId(), vm, disk: more }, "tester"));
    await eventually(async () => (await shell.run("ls /sys/block")).includes("vdb"), { what: "the disk" });
    await rig.succeeds(attach(vm, back));
    await eventually(async () => (await shell.run("ls /sys/class/net")).includes("eth1"), {
      what: "the NIC",
    });
    await shell.close();
    await remove(vm);
  });
});
