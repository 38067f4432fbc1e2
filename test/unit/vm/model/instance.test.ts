import assert from "node:assert/strict";
import { test } from "node:test";
import { unbound } from "../../../../agent/state/reservations/placement.ts";
import { domainDocument } from "../../../../agent/vm/observation/domain-document.ts";
import { checkSpec } from "../../../../agent/vm/model/spec-check.ts";
import { isSameBesideState, vmFromDomain } from "../../../../agent/vm/observation/vm-from-domain.ts";
import type { Vm } from "../../../../agent/vm/model/vm.ts";
import {
  buildStamp,
  buildVmDomain,
  parseStamp,
  parseVmDomain,
} from "../../../../agent/vm/model/vm-domain.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
const INSTANCE = "0f1c2f1e-0000-4000-8000-00000000000a";
const OPERATION = "0193a0c0-0000-7000-8000-000000000001";
const spec = checkSpec(
  {
    id: ID,
    name: "web",
    vcpus: 1,
    memoryBytes: 2 ** 25,
    disks: [{ name: "d", source: { kind: "volume", volume: { pool: "p", volume: "v" } } }],
  },
  { bridges: [], allowSpoofing: false },
);

const xmlOf = (more: { instance?: string; operationId?: string; createdAtMs?: number }): string =>
  buildVmDomain(
    domainDocument({
      spec,
      accelerator: "tcg",
      architecture: "x86_64",
      socketDirectory: "/run/socle-guests",
      disks: [{ path: "/p/v", format: "raw" }],
      placement: unbound,
      placementEpoch: 0,
      createdAtMs: 1_700_000_000_000,
      ...more,
    }),
  );

const read = (xml: string, state: Vm["state"] = "running"): Vm =>
  vmFromDomain(parseVmDomain(xml), { state, stateReason: "BOOTED", observedAtMs: 1 });

test("a domain keeps its VM's instance and the operation that created it", () => {
  const vm = read(xmlOf({ instance: INSTANCE, operationId: OPERATION }));
  assert.equal(vm.managed, true);
  assert.equal(vm.instance, INSTANCE);
  assert.equal(vm.newestOperation, OPERATION);
  assert.equal(parseVmDomain(xmlOf({ operationId: OPERATION })).metadata?.foreign, undefined);
});

test("a VM of version 0.1.0 gets its instance from its metadata, a different one per creation", () => {
  const old = read(xmlOf({})).instance;
  assert.match(old ?? "", /^[\da-f]{8}-[\da-f]{4}-8[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  assert.equal(read(xmlOf({})).instance, old, "each reading gives the same instance");
  assert.notEqual(read(xmlOf({ createdAtMs: 1_700_000_000_001 })).instance, old);
});

test("an instance that is not a UUID is ignored", () => {
  const broken = xmlOf({ instance: INSTANCE }).replace(INSTANCE, "'../etc");
  assert.equal(read(broken).instance, read(xmlOf({})).instance);
});

test("the etag covers the instance, but not the operations that had an effect", () => {
  const vm = read(xmlOf({ instance: INSTANCE }));
  assert.equal(read(xmlOf({ instance: INSTANCE, operationId: OPERATION })).etag, vm.etag);
  assert.notEqual(read(xmlOf({ instance: INSTANCE.replace("a", "b") })).etag, vm.etag);
});

test("the first part of the etag survives a stop and differs for another instance", () => {
  const running = read(xmlOf({ instance: INSTANCE })).etag;
  const stopped = read(xmlOf({ instance: INSTANCE }), "stopped").etag;
  assert.notEqual(stopped, running);
  assert.ok(isSameBesideState(stopped, running));
  assert.ok(!isSameBesideState(read(xmlOf({})).etag, running));
});

test("a stamp is read as written, and an invalid one is ignored", () => {
  const stamp = { operation: OPERATION, phase: "run" } as const;
  assert.deepEqual(parseStamp(buildStamp(stamp)), stamp);
  assert.equal(parseStamp("<stamp operation='x'/>"), undefined);
  assert.equal(parseStamp("<stamp phase='run'/>"), undefined);
});
