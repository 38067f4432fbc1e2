import assert from "node:assert/strict";
import type { Clock } from "../../../agent/kernel/clock.ts";
import { SocleError, toSocleError } from "../../../agent/kernel/errors.ts";
import { unbound } from "../../../agent/state/reservations/placement.ts";
import type { Report } from "../../../agent/state/operations/run.ts";
import type { Step } from "../../../agent/state/operations/operations.ts";
import { createVm } from "../../../agent/vm/operations/create.ts";
import { domainDocument } from "../../../agent/vm/observation/domain-document.ts";
import { checkSpec } from "../../../agent/vm/model/spec-check.ts";
import { digestOf } from "../../../agent/vm/model/stored-spec.ts";
import { withEtag } from "../../../agent/vm/observation/vm-from-domain.ts";
import type { VmState } from "../../../agent/vm/model/vm.ts";
import { VmTable } from "../../../agent/vm/observation/vm-table.ts";
import { answering, sleepingClock } from "./libvirt-answers.ts";
import { workContext } from "./work-context.ts";
import {
  buildVmDomain,
  buildVmMetadata,
  parseVmDomain,
  type VmDomain,
} from "../../../agent/vm/model/vm-domain.ts";

const ID = "6f1c2f1e-0000-4000-8000-000000000001";
export const OPERATION = "0193a0c0-0000-7000-8000-000000000001";
const MIB = 1024 * 1024;
export const spec = checkSpec(
  {
    name: "made",
    id: ID,
    vcpus: 1,
    memoryBytes: 32 * MIB,
    disks: [{ name: "data", source: { kind: "new", pool: "images", capacityBytes: MIB } }],
  },
  { bridges: [], allowSpoofing: false },
);
export const intent = {
  kind: "CREATE_VM",
  spec,
  accelerator: "tcg",
  leaveStopped: false,
  placementEpoch: 0,
  createdAtMs: 0,
} as const;
const disk = { path: "/images/d.qcow2", format: "qcow2" };
const made = domainDocument({
  ...intent,
  placement: unbound,
  architecture: "x86_64",
  socketDirectory: "/run/socle-guests",
  disks: [disk],
});
const text = JSON.stringify(spec);
/** As 0.1.0 defined it: without an instance, and with a spec without a version. */
export const document: VmDomain = {
  ...made,
  metadata: {
    ...made.metadata,
    socle: {
      ...(made.metadata?.socle ?? assert.fail("no metadata")),
      spec: text,
      specDigest: digestOf(text),
    },
  },
};
export const xml = buildVmDomain(document);
export const ownMetadata = buildVmMetadata(parseVmDomain(xml).metadata?.socle ?? assert.fail("no metadata"));
export const volume = { vol: { pool: "images", name: `socle-${ID}-data.qcow2`, key: "k" } };
const volumeXml =
  `<volume><name>socle-${ID}-data.qcow2</name><capacity>${MIB}</capacity>` +
  `<target><path>/images/d.qcow2</path><format type='qcow2'/></target></volume>`;
export const described = { xml: volumeXml };

export const noDomain = new SocleError("not_found", "LIBVIRT_NO_DOMAIN", "no such domain");
export const noVolume = new SocleError("not_found", "LIBVIRT_NO_STORAGE_VOL", "no such volume");
export const refusal = new SocleError("internal", "LIBVIRT_INTERNAL_ERROR", "libvirt will not");
export const silence = new SocleError("timeout", "LIBVIRT_TIMEOUT", "libvirt did not answer");
export const OFF = { state: 5, reason: 0 };
export const OFF_AFTER_SHUTDOWN = { state: 5, reason: 1 };
export const OFF_AFTER_CRASH = { state: 5, reason: 3 };
/** A restarted libvirt ended a QEMU whose start was not complete. */
export const OFF_BY_DAEMON = { state: 5, reason: 8 };
export const RUNNING = { state: 1, reason: 1 };

/** A host without the VM; all calls succeed. */
export const fresh = {
  STORAGE_POOL_LOOKUP_BY_NAME: [{ pool: {} }],
  STORAGE_POOL_IS_ACTIVE: [{ active: true }],
  STORAGE_POOL_REFRESH: [{}],
  STORAGE_POOL_GET_INFO: [{ available: 1e12 }],
  STORAGE_VOL_LOOKUP_BY_NAME: [noVolume, volume],
  STORAGE_VOL_GET_XML_DESC: [noVolume, described],
  STORAGE_VOL_CREATE_XML: [volume],
  STORAGE_VOL_DELETE: [{}],
  DOMAIN_GET_XML_DESC: [noDomain],
  DOMAIN_DEFINE_XML_FLAGS: [{}],
  DOMAIN_CREATE_WITH_FLAGS: [{}],
  DOMAIN_UNDEFINE_FLAGS: [{}],
  DOMAIN_GET_STATE: [noDomain],
};
/** Its volume exists. */
export const hasVolume = { STORAGE_VOL_LOOKUP_BY_NAME: [volume], STORAGE_VOL_GET_XML_DESC: [described] };
/** An earlier run got as far as the domain. */
export const defined = { ...fresh, ...hasVolume, DOMAIN_GET_XML_DESC: [{ xml }] };

/** Steps like the journal's: none begins once the operation was cancelled; `begun` lists those that did. */
function steps(signal: AbortSignal, begun: string[]): Step {
  const step = async <T>(name: string, work: (report: Report) => Promise<T>): Promise<T> => {
    signal.throwIfAborted();
    begun.push(name);
    return await work(() => undefined);
  };
  return Object.assign(step, {
    durable: <T>(name: string, work: () => Promise<T>): Promise<T> => step(`${name}, on the disk`, work),
    undo: (_name: string, work: () => Promise<void>): Promise<void> => work(),
    undoDurably: (_name: string, work: () => Promise<void>): Promise<void> => work(),
    commit: () => undefined,
    goOn: () => undefined,
    requireOpen: () => undefined,
  });
}

export const CLAIMED = ["resolve", "claim volumes"];
export const cancelled = new SocleError("cancelled", "CANCELLED", "the operation was cancelled");

export async function create(
  answers: Readonly<Record<string, readonly unknown[]>>,
  more: {
    resumed?: boolean;
    done?: readonly string[];
    cutOff?: readonly string[];
    state?: VmState;
    cancel?: boolean;
    requested?: typeof intent;
  } = {},
): Promise<{
  result?: Record<string, string>;
  error?: SocleError;
  called: string[];
  begun: string[];
}> {
  const {
    resumed = false,
    done = [],
    cutOff = [],
    state = "running",
    cancel = false,
    requested = intent,
  } = more;
  const { calls, called } = answering(answers);
  const sleeping = sleepingClock();
  // A sleep that can be cut short is a deadline: the event that it waits for comes first.
  const sleep: Clock["sleep"] = async (ms, signal) =>
    signal === undefined ? await sleeping.sleep(ms) : await new Promise<void>(() => undefined);
  const clock = { ...sleeping, sleep };
  const table = new VmTable();
  const seen = { presence: "present", observedAtMs: 1, stateReason: "", managed: true } as const;
  const plain = { tenant: "", labels: {}, placementEpoch: 0, cells: [], disks: [], nics: [] };
  // The observer would put it there: the work waits for it.
  table.put(withEtag({ ...seen, ...plain, id: ID, name: "made", state, vcpus: 1, memoryBytes: 1 }));
  const guard = { check: () => Promise.resolve([]) };
  const context = workContext(calls, clock, table, { guard });
  const signal = cancel ? AbortSignal.abort(cancelled) : new AbortController().signal;
  const begun: string[] = [];
  const step = steps(signal, begun);
  const run = {
    operationId: OPERATION,
    vmId: ID,
    caller: "caller",
    instance: undefined,
    createdAtMs: 0,
    step,
    signal,
    hasEnded: () => false,
    resumed,
    done: new Set(done),
    cutOff: new Set(cutOff),
  };
  try {
    return { result: await createVm.run(context, requested, run), called, begun };
  } catch (thrown) {
    return { error: toSocleError(thrown), called, begun };
  }
}

export const count = (called: readonly string[], name: string): number =>
  called.filter((each) => each === name).length;
