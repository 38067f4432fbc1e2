import assert from "node:assert/strict";
import test from "node:test";
import { fakeAgent, socle } from "../../support/cli/fake-agent.ts";
import { operation } from "../../support/cli/samples.ts";
import { endsWith, running } from "../../support/cli/change-stage.ts";

test("a NIC's source and flags become the request; a dry run validates alone", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      AttachNic({ request: { vm, nic, validateOnly } }, done) {
        asked.push([vm, validateOnly, nic]);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "ATTACH_NIC", result: { nic: "back", applies: "now" } })),
  });
  const attach = async (...flags: string[]): Promise<string> =>
    (await socle(["vm", "nic", "attach", "web-1", ...flags, "--name", "back"], { socket })).stdout;
  assert.match(await attach("net"), /applies: now/);
  await attach(
    ...[
      "bridge:br0",
      "--mac",
      "52:54:00:00:00:01",
      "--allowed-address",
      "192.0.2.7",
      "--allowed-address",
      "2001:db8::7",
    ],
    ...["--allow-spoofing", "--link-down", "--dry-run"],
  );
  const plain = { mac: "", allowedAddresses: [], allowSpoofing: false, limits: null, linkDown: false };
  const full = {
    mac: "52:54:00:00:00:01",
    allowedAddresses: ["192.0.2.7", "2001:db8::7"],
    allowSpoofing: true,
    limits: null,
    linkDown: true,
  };
  assert.deepEqual(JSON.parse(JSON.stringify(asked)), [
    ["web-1", false, { name: "back", ...plain, network: "net", source: "network" }],
    ["web-1", true, { name: "back", ...full, bridge: "br0", source: "bridge" }],
  ]);
});

test("a NIC is detached and its link is set by name; an update of nothing is a usage error", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      DetachNic({ request: { vm, nic } }, done) {
        asked.push(["detach", vm, nic]);
        done(null, running);
      },
      UpdateNic({ request: { vm, nic, linkState } }, done) {
        asked.push(["update", vm, nic, linkState]);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "UPDATE_NIC" })),
  });
  const nic = async (...words: string[]) => await socle(["vm", "nic", ...words], { socket });
  await nic("detach", "web-1", "back");
  await nic("update", "web-1", "back", "--link", "down");
  await nic("update", "web-1", "back", "--link", "up");
  const nothing = await nic("update", "web-1", "back");
  assert.equal(nothing.exitCode, 2);
  assert.match(nothing.stderr, /--link/);
  assert.deepEqual(asked, [
    ["detach", "web-1", "back"],
    ["update", "web-1", "back", "NIC_LINK_DOWN"],
    ["update", "web-1", "back", "NIC_LINK_UP"],
  ]);
});

test("a disk's bursts are sent beside its limits", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      UpdateDisk({ request: { limits } }, done) {
        asked.push(Object.entries(limits ?? {}).filter(([name]) => !name.startsWith("_")));
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "UPDATE_DISK" })),
  });
  const update = async (...words: string[]) =>
    await socle(["vm", "disk", "update", "web-1", "data", ...words], { socket });
  const sizes = (infix: string) =>
    ["total", "read", "write"].flatMap((direction) => [`--${direction}-${infix}rate`, "2KiB"]);
  const counts = (infix: string) =>
    ["total", "read", "write"].flatMap((direction) => [`--${direction}-${infix}iops`, "9"]);
  await update(...sizes("burst-"), ...counts("burst-"), "--burst-seconds", "30");
  assert.equal((await update("--no-limits", "--burst-seconds", "30")).exitCode, 2);
  assert.equal((await update("--burst-seconds", "0")).exitCode, 2);
  const entries = (field: string, value: number) =>
    ["total", "read", "write"].map((direction) => [`${direction}${field}`, value]);
  assert.deepEqual(asked, [
    [...entries("BurstBytesPerSecond", 2048), ...entries("BurstIops", 9), ["burstSeconds", 30]],
  ]);
});

test("a NIC's limits are replaced as a whole; --no-limits sends none, and excludes a rate", async (context) => {
  const asked: unknown[] = [];
  const socket = await fakeAgent(context, {
    vms: {
      UpdateNic({ request: { limits } }, done) {
        const rates = [
          limits?.inboundBytesPerSecond,
          limits?.outboundBytesPerSecond,
          limits?.inboundBurstBytes,
        ];
        asked.push([limits !== null, ...rates]);
        done(null, running);
      },
      UpdateDisk({ request: { disk, limits } }, done) {
        asked.push([disk, limits?.readIops, limits?.totalBytesPerSecond]);
        done(null, running);
      },
    },
    operations: endsWith(operation({ kind: "UPDATE_NIC" })),
  });
  const vm = async (...words: string[]) => await socle(["vm", ...words], { socket });
  await vm("nic", "update", "web-1", "back", "--inbound-rate", "50MiB", "--inbound-burst", "1MiB");
  await vm("nic", "update", "web-1", "back", "--no-limits");
  await vm("nic", "update", "web-1", "back", "--link", "up");
  await vm("disk", "update", "web-1", "data", "--read-iops", "500", "--total-rate", "1GiB");
  await vm("disk", "update", "web-1", "data", "--no-limits");
  for (const kind of ["nic", "disk"]) {
    const both = await vm(
      kind,
      "update",
      "web-1",
      "x",
      "--no-limits",
      kind === "nic" ? "--inbound-rate" : "--read-rate",
      "1MiB",
    );
    assert.deepEqual([both.exitCode, /--no-limits/.test(both.stderr)], [2, true]);
    assert.equal((await vm(kind, "update", "web-1", "x")).exitCode, 2);
  }
  assert.deepEqual(asked, [
    [true, 50 * 2 ** 20, undefined, 2 ** 20],
    [true, undefined, undefined, undefined],
    [false, undefined, undefined, undefined],
    ["data", 500, 2 ** 30],
    ["data", undefined, undefined],
  ]);
});
