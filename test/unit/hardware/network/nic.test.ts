import assert from "node:assert/strict";
import { symlink } from "node:fs/promises";
import { join } from "node:path";
import test from "node:test";
import { readBonds } from "../../../../agent/hardware/network/bonding.ts";
import { readNetworkInterfaces } from "../../../../agent/hardware/network/network.ts";
import { readSriov } from "../../../../agent/hardware/pci/sriov.ts";
import { unpackHost } from "../../../support/tree.ts";

test("an active-backup bond with one slave down is read", async (context) => {
  assert.deepEqual(await readBonds(await unpackHost(context, "worn-compute-node")), {
    kind: "read",
    value: [
      {
        name: "bond0",
        slaves: [
          { name: "ens1f0np0", up: true },
          { name: "ens1f1np1", up: false },
        ],
      },
    ],
  });
});

test("a recorded bond has no slave up; a slave without link monitoring counts by its own state", async (context) => {
  const down = await readBonds(await unpackHost(context, "qemu-storage-guest"));
  assert.deepEqual(down.kind === "read" ? down.value[0]?.slaves.map(({ up }) => up) : down, [false, false]);
  const unmonitored = await unpackHost(context, "qemu-storage-guest", {
    "sys/class/net/dummy0/bonding_slave/mii_status": "up",
    "sys/class/net/dummy1/bonding_slave/mii_status": "up",
    "sys/class/net/dummy1/operstate": "up",
  });
  const half = await readBonds(unmonitored);
  assert.deepEqual(half.kind === "read" ? half.value[0]?.slaves.map(({ up }) => up) : half, [false, true]);
});

test("a slave without a device is down, and a missing bond is no bond; the others stay as they are", async (context) => {
  const host = await unpackHost(context, "worn-compute-node", {
    "sys/class/net/bonding_masters": "bond0 bond1",
    "sys/class/net/ens1f0np0/bonding_slave": null,
  });
  const bonds = await readBonds(host);
  assert.deepEqual(bonds.kind === "read" ? bonds.value.map(({ name }) => name) : bonds, ["bond0"]);
  assert.deepEqual(bonds.kind === "read" ? bonds.value[0]?.slaves.map(({ up }) => up) : bonds, [
    false,
    false,
  ]);
});

test("a machine without the bonding driver has no bonds", async (context) => {
  const host = await unpackHost(context, "worn-compute-node", { "sys/class/net/bonding_masters": null });
  assert.deepEqual(await readBonds(host), {
    kind: "unsupported",
    reason: "no bonds: the kernel's bonding driver is not loaded",
  });
});

test("virtual functions of a NIC are counted: possible, created, given to guests", async (context) => {
  const functions = await readSriov(await unpackHost(context, "worn-compute-node"));
  assert.deepEqual(functions, {
    kind: "read",
    value: [
      { interfaceName: "ens1f0np0", total: 64, enabled: 8, assigned: 3 },
      { interfaceName: "ens1f1np1", total: 64, enabled: 0, assigned: 0 },
    ],
  });
});

test("a function whose own driver gives it to a guest for migration counts as given", async (context) => {
  const driver = "sys/devices/pci0000:3a/0000:3b:00.4/driver";
  const host = await unpackHost(context, "worn-compute-node", { [driver]: null });
  await symlink("../../../bus/pci/drivers/mlx5_vfio_pci", join(host.root, driver));
  const functions = await readSriov(host);
  assert.equal(functions.kind === "read" ? functions.value[0]?.assigned : functions, 4);
});

test("guests' tap devices are not NICs", async (context) => {
  const interfaces = await readNetworkInterfaces(await unpackHost(context, "worn-compute-node"));
  assert.ok(interfaces.kind === "read", JSON.stringify(interfaces));
  assert.deepEqual(
    interfaces.value.map(({ name, up, speedBytesPerSecond }) => [name, up, speedBytesPerSecond]),
    [
      ["lo", undefined, undefined],
      ["eno1", true, 125e6],
      ["ens1f0np0", true, 3125e6],
      ["ens1f1np1", false, undefined],
      ["bond0", true, 3125e6],
    ],
  );
  assert.deepEqual(interfaces.value[2]?.receive, {
    bytes: 91_827_364_551,
    packets: 82_736_455,
    errors: 3,
    drops: 118,
  });
});

test("an interface without a link has no speed, whatever its driver reports", async (context) => {
  const speeds = async (operstate: string): Promise<(number | undefined)[]> => {
    const host = await unpackHost(context, "two-sockets", {
      "sys/class/net/eno2/operstate": `${operstate}\n`,
      "sys/class/net/eno2/speed": "10000\n",
    });
    const interfaces = await readNetworkInterfaces(host);
    assert.ok(interfaces.kind === "read");
    return interfaces.value.flatMap(({ name, speedBytesPerSecond }) =>
      name === "eno2" ? [speedBytesPerSecond] : [],
    );
  };
  assert.deepEqual(await speeds("up"), [1.25e9]);
  for (const linkless of ["down", "lowerlayerdown", "notpresent"])
    assert.deepEqual(await speeds(linkless), [undefined], linkless);
});
