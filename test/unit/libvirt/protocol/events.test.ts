import assert from "node:assert/strict";
import { test } from "node:test";
import type { EventProcedure } from "../../../../agent/libvirt/rpc/procedure.ts";
import * as protocol from "../../../../agent/libvirt/protocol/index.ts";
import { XdrReader } from "../../../../agent/libvirt/rpc/xdr.ts";

// The layout of each message in libvirt's remote_protocol.x, written here in the plainest XDR there is:
// words, 64-bit words, and text padded to words. Many of these events cannot be caused on a real host.
const word = (value: number): Buffer => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32BE(value | 0);
  return bytes;
};
const wide = (value: bigint): Buffer => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64BE(value);
  return bytes;
};
const text = (value: string): Buffer => {
  const bytes = Buffer.from(value);
  return Buffer.concat([word(bytes.length), bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
};
const present = (bytes: Buffer): Buffer => Buffer.concat([word(1), bytes]);
const absent = word(0);
const id = Buffer.from("0123456789abcdef0123456789abcdef", "hex");
const uuid = "01234567-89ab-cdef-0123-456789abcdef";
const domBytes = Buffer.concat([text("guest"), id, word(7)]);
const dom = { name: "guest", uuid, id: 7 };
const callback = word(42);
const callbackId = 42;

const allEvents = Object.values<unknown>(protocol).filter(
  (value): value is EventProcedure<unknown> => typeof value === "object" && value !== null && "body" in value,
);

function withoutCallback(message: unknown): unknown {
  assert.ok(typeof message === "object" && message !== null && "callbackId" in message);
  const { callbackId: _, ...rest } = message;
  return rest;
}

const cases: readonly [EventProcedure<unknown>, readonly Buffer[], unknown][] = [
  [
    protocol.domainEventCallbackLifecycle,
    [callback, domBytes, word(5), word(1)],
    { callbackId, dom, event: protocol.DomainEventType.STOPPED, detail: 1 },
  ],
  [protocol.domainEventCallbackReboot, [callback, domBytes], { callbackId, dom }],
  [
    protocol.domainEventCallbackRtcChange,
    [callback, domBytes, wide(-3600n)],
    { callbackId, dom, offset: -3600 },
  ],
  [protocol.domainEventCallbackWatchdog, [callback, domBytes, word(2)], { callbackId, dom, action: 2 }],
  [
    protocol.domainEventCallbackIoError,
    [callback, domBytes, text("/disk"), text("virtio-disk0"), word(1)],
    { callbackId, dom, srcPath: "/disk", devAlias: "virtio-disk0", action: 1 },
  ],
  [
    protocol.domainEventCallbackIoErrorReason,
    [callback, domBytes, text("/disk"), text("virtio-disk0"), word(1), text("enospc")],
    { callbackId, dom, srcPath: "/disk", devAlias: "virtio-disk0", action: 1, reason: "enospc" },
  ],
  [
    protocol.domainEventCallbackGraphics,
    [
      ...[
        callback,
        domBytes,
        word(0),
        word(0),
        text("::1"),
        text("5900"),
        word(1),
        text("::2"),
        text("4711"),
      ],
      ...[text("vnc"), word(1), text("x509"), text("CN=me")],
    ],
    {
      callbackId,
      dom,
      phase: 0,
      local: { family: 0, node: "::1", service: "5900" },
      remote: { family: 1, node: "::2", service: "4711" },
      authScheme: "vnc",
      subject: [{ type: "x509", name: "CN=me" }],
    },
  ],
  [protocol.domainEventCallbackControlError, [callback, domBytes], { callbackId, dom }],
  [
    protocol.domainEventCallbackBlockJob,
    [callback, domBytes, text("/disk"), word(3), word(0)],
    { callbackId, dom, path: "/disk", type: 3, status: 0 },
  ],
  [
    protocol.domainEventBlockJob2,
    [callback, domBytes, text("vda"), word(4), word(3)],
    { callbackId, dom, dst: "vda", type: 4, status: protocol.ConnectDomainEventBlockJobStatus.READY },
  ],
  [
    protocol.domainEventCallbackDiskChange,
    [callback, domBytes, present(text("/old.iso")), absent, text("ide0-0-0"), word(0)],
    { callbackId, dom, oldSrcPath: "/old.iso", newSrcPath: null, devAlias: "ide0-0-0", reason: 0 },
  ],
  [
    protocol.domainEventCallbackTrayChange,
    [callback, domBytes, text("ide0-0-0"), word(1)],
    { callbackId, dom, devAlias: "ide0-0-0", reason: 1 },
  ],
  [protocol.domainEventCallbackPmwakeup, [callback, word(0), domBytes], { callbackId, reason: 0, dom }],
  [protocol.domainEventCallbackPmsuspend, [callback, word(0), domBytes], { callbackId, reason: 0, dom }],
  [protocol.domainEventCallbackPmsuspendDisk, [callback, word(0), domBytes], { callbackId, reason: 0, dom }],
  [
    protocol.domainEventCallbackBalloonChange,
    [callback, domBytes, wide(1048576n)],
    { callbackId, dom, actual: 1048576 },
  ],
  ...[
    protocol.domainEventCallbackDeviceRemoved,
    protocol.domainEventCallbackDeviceAdded,
    protocol.domainEventCallbackDeviceRemovalFailed,
  ].map((event): [EventProcedure<unknown>, readonly Buffer[], unknown] => [
    event,
    [callback, domBytes, text("net0")],
    { callbackId, dom, devAlias: "net0" },
  ]),
  [
    protocol.domainEventCallbackTunable,
    [callback, domBytes, word(2), text("a"), word(4), wide(5n), text("b"), word(7), text("c")],
    {
      callbackId,
      dom,
      params: [
        { field: "a", value: { type: "ullong", value: 5 } },
        { field: "b", value: { type: "string", value: "c" } },
      ],
    },
  ],
  [
    protocol.domainEventCallbackAgentLifecycle,
    [callback, domBytes, word(1), word(2)],
    {
      callbackId,
      dom,
      state: protocol.ConnectDomainEventAgentLifecycleState.CONNECTED,
      reason: protocol.ConnectDomainEventAgentLifecycleReason.CHANNEL,
    },
  ],
  [
    protocol.domainEventCallbackMigrationIteration,
    [callback, domBytes, word(3)],
    { callbackId, dom, iteration: 3 },
  ],
  [
    protocol.domainEventCallbackJobCompleted,
    [callback, domBytes, word(1), text("operation"), word(1), word(2)],
    { callbackId, dom, params: [{ field: "operation", value: { type: "int", value: 2 } }] },
  ],
  [
    protocol.domainEventCallbackMetadataChange,
    [callback, domBytes, word(2), present(text("urn:x"))],
    { callbackId, dom, type: 2, nsuri: "urn:x" },
  ],
  [
    protocol.domainEventBlockThreshold,
    [callback, domBytes, text("vda"), absent, wide(4096n), wide(512n)],
    { callbackId, dom, dev: "vda", path: null, threshold: 4096, excess: 512 },
  ],
  [
    protocol.domainEventMemoryFailure,
    [callback, domBytes, word(1), word(2), word(3)],
    { callbackId, dom, recipient: 1, action: 2, flags: 3 },
  ],
  [
    protocol.domainEventMemoryDeviceSizeChange,
    [callback, domBytes, text("virtiomem0"), wide(1024n)],
    { callbackId, dom, alias: "virtiomem0", size: 1024 },
  ],
  [
    protocol.domainEventNicMacChange,
    [callback, domBytes, text("net0"), text("52:54:00:00:00:01"), text("52:54:00:00:00:02")],
    { callbackId, dom, alias: "net0", oldMac: "52:54:00:00:00:01", newMac: "52:54:00:00:00:02" },
  ],
  [
    protocol.networkEventLifecycle,
    [callback, text("net"), id, word(2), word(0)],
    { callbackId, net: { name: "net", uuid }, event: protocol.NetworkEventLifecycleType.STARTED, detail: 0 },
  ],
  [
    protocol.networkEventCallbackMetadataChange,
    [callback, text("net"), id, word(1), absent],
    { callbackId, net: { name: "net", uuid }, type: 1, nsuri: null },
  ],
  [
    protocol.storagePoolEventLifecycle,
    [callback, text("pool"), id, word(4), word(0)],
    {
      callbackId,
      pool: { name: "pool", uuid },
      event: protocol.StoragePoolEventLifecycleType.CREATED,
      detail: 0,
    },
  ],
  [
    protocol.storagePoolEventRefresh,
    [callback, text("pool"), id],
    { callbackId, pool: { name: "pool", uuid } },
  ],
  [
    protocol.nodeDeviceEventLifecycle,
    [callback, text("pci_0"), word(1), word(0)],
    { callbackId, dev: { name: "pci_0" }, event: protocol.NodeDeviceEventLifecycleType.DELETED, detail: 0 },
  ],
  [protocol.nodeDeviceEventUpdate, [callback, text("pci_0")], { callbackId, dev: { name: "pci_0" } }],
  [
    protocol.secretEventLifecycle,
    [callback, id, word(2), text("ceph"), word(1), word(0)],
    {
      callbackId,
      secret: { uuid, usageType: protocol.SecretUsageType.CEPH, usageId: "ceph" },
      event: 1,
      detail: 0,
    },
  ],
  [
    protocol.secretEventValueChanged,
    [callback, id, word(1), text("/vol")],
    { callbackId, secret: { uuid, usageType: protocol.SecretUsageType.VOLUME, usageId: "/vol" } },
  ],
  [protocol.connectEventConnectionClosed, [word(2)], { reason: protocol.ConnectCloseReason.KEEPALIVE }],
  [
    protocol.domainMonitorEvent,
    [callback, domBytes, text("RESUME"), wide(1700000000n), word(12), present(text("{}"))],
    { callbackId, dom, event: "RESUME", seconds: 1700000000, micros: 12, details: "{}" },
  ],
];

/** Messages of registrations without a callback id, which older clients use: the same, without the prefix. */
const olderCases = cases.flatMap(([event, parts, expected]): (typeof cases)[number][] => {
  const older = allEvents.find(
    ({ name }) => name === event.name.replace("_CALLBACK", "") && name !== event.name,
  );
  if (older === undefined) return [];
  if (event.name.includes("_PM")) return [[older, [domBytes], { dom }]];
  return [[older, parts.slice(1), withoutCallback(expected)]];
});

for (const [event, parts, expected] of [...cases, ...olderCases]) {
  test(`${event.name} is decoded by libvirt's layout`, () => {
    const reader = new XdrReader(Buffer.concat(parts));
    assert.deepEqual(event.body.decode(reader), expected);
    assert.equal(reader.remaining, 0);
  });
}

test("every declared event is among them", () => {
  const covered = new Set([...cases, ...olderCases].map(([event]) => event));
  const missing = allEvents.filter((event) => !covered.has(event));
  assert.deepEqual(missing, []);
});

test("each domain event is registered by its own number", () => {
  const ids = Object.values(protocol.domainEvents).map(({ eventId }) => eventId);
  assert.deepEqual(ids, [...ids.keys()]);
});
