import assert from "node:assert/strict";
import { chmod, mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { SocleError, toSocleError } from "../../../agent/kernel/errors.ts";
import type { Overlay } from "../../../agent/vm/hypervisor/switch-xml.ts";
import { createSnapshot } from "../../../agent/vm/operations/create-snapshot.ts";
import type { Admission, Result } from "../../../agent/vm/operations/definition.ts";
import type { WorkRun } from "../../../agent/vm/operations/work.ts";
import { DumpDirectory } from "../../../agent/vm/storage/dump-directory.ts";
import { folder } from "../state/folder.ts";
import { pathOf, root, WorkStage } from "./work-stage.ts";

export const MIB = 2 ** 20;
const first = { pool: "images", volume: `socle-${WorkStage.id}-root.qcow2` };
export const XML = (vcpus: number): string =>
  `<domain type='qemu'><name>web</name><vcpu>${vcpus}</vcpu><devices><disk type='file' device='disk'>` +
  "<driver name='qemu' type='qcow2'/><source file='/images/old.qcow2'/><target dev='vda' bus='virtio'/>" +
  "<alias name='ua-disk-root'/></disk></devices></domain>";
export const IMAGE = "memory".padEnd(200, ".");
export const SIZE = IMAGE.length;
export const gone = new SocleError("unavailable", "LIBVIRT_UNAVAILABLE", "no connection");
export const lostReply = new SocleError("unavailable", "EFFECT_NOT_OBSERVED", "no reply");

interface Taking {
  readonly overlays: readonly Overlay[];
  readonly path: string;
  readonly memoryBytes: number;
  readonly held: () => Promise<void>;
}

/** A running guest, and a libvirt that keeps its memory. `take`: what it does of that. */
export async function memoryStage(t: TestContext) {
  const directory = join(await folder(t), "memory");
  await mkdir(directory, { mode: 0o700 });
  await chmod(directory, 0o700);
  const on = new WorkStage([root]);
  on.state = "running";
  on.volumes.set(`images/${first.volume}`, 64 * MIB);
  on.files.set("root", pathOf(first));
  on.show();
  const space = { sizeBytes: 2 ** 40, usedBytes: 0, availableBytes: 2 ** 40, availableRatio: 1 };
  /** The file system answers. */
  const disk = { answers: true };
  const read = () =>
    Promise.resolve(
      disk.answers
        ? ({ kind: "read", value: space } as const)
        : ({ kind: "failed", reason: "hung", code: "timeout" } as const),
    );
  const dumps = new DumpDirectory(directory, { probe: { read }, sync: () => Promise.resolve() });
  const libvirt = {
    takes: 0,
    isUnderWay: false,
    isWhole: true,
    savedXml: XML(1),
    restores: 0,
    resumes: true,
    reason: "RESTORED",
    /** No other client starts the VM before it. */
    isFirst: true,
    refusal: undefined as SocleError | undefined,
    /** It has loaded the guest, and the look after that fails. */
    isLostAfter: false,
    /** What it is given of the VM's memory, of each write. */
    memoryBytes: [] as number[],
    /** Whether the header can be read. */
    reads: true,
    notHeld: 0,
    /** What a late hold does. */
    beforeNotHeld: (): void => undefined,
    take: async (_overlays: readonly Overlay[], path: string, _held: () => Promise<void>): Promise<void> => {
      await writeFile(path, IMAGE, { mode: 0o600 });
    },
    switches: (overlays: readonly Overlay[]): void => {
      for (const { disk: name, path } of overlays) on.files.set(name, path);
    },
  };
  Object.assign(on.context, { dumps });
  const { domains } = on.context;
  const start = domains.start.bind(domains);
  Object.assign(on.context.domains, {
    memoryDumps: { hold: () => () => undefined },
    memorySnapshots: {
      take: async (_id: string, { overlays, path, memoryBytes, held }: Taking) => {
        libvirt.takes += 1;
        libvirt.memoryBytes.push(memoryBytes);
        await libvirt.take(overlays, path, held);
      },
      untilNotHeld: () => {
        libvirt.notHeld += 1;
        libvirt.beforeNotHeld();
        return Promise.resolve();
      },
      untilEnded: () => Promise.resolve(),
      isUnderWay: () => Promise.resolve(libvirt.isUnderWay),
      savedXml: () =>
        libvirt.reads
          ? Promise.resolve(libvirt.isWhole ? libvirt.savedXml : undefined)
          : Promise.reject(
              new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "failed to read qemu header"),
            ),
    },
    definition: () => Promise.resolve(XML(1)),
    redefineFiles: (_id: string, files: ReadonlyMap<string, string>) => {
      for (const [alias, path] of files) {
        on.did.push(`define ${alias}`);
        const disk = alias.slice("ua-disk-".length);
        on.defined.set(disk, path);
        if (on.state === "stopped") on.files.set(disk, path);
      }
      return Promise.resolve();
    },
    resume: () => {
      Object.assign(on, { state: "running", stateReason: "UNPAUSED" });
      return Promise.resolve();
    },
    start: (id: string, culprit: never, how: { memory?: { path: string; xml: string } } = {}) => {
      if (how.memory !== undefined) libvirt.restores += 1;
      const file = /<source file=['"]([^'"]+)/.exec(how.memory?.xml ?? "")?.[1];
      const old = on.files.get("root");
      // The definition stays as it is.
      const load = (): void => {
        if (file === undefined || old === undefined || !libvirt.isFirst) return;
        on.files.set("root", file);
        on.defined.set("root", old);
      };
      if (how.memory !== undefined && libvirt.refusal !== undefined) {
        if (libvirt.isLostAfter) {
          const state = on.context.domains.state.bind(on.context.domains);
          const lost = () => {
            Object.assign(on.context.domains, { state });
            return Promise.reject(gone);
          };
          load();
          Object.assign(on, { state: "paused", stateReason: "MIGRATION" });
          Object.assign(on.context.domains, { state: lost });
        }
        return Promise.reject(libvirt.refusal);
      }
      load();
      if (how.memory === undefined) return start(id, culprit, how);
      if (libvirt.resumes) {
        const started = start(id, culprit, how);
        Object.assign(on, { stateReason: libvirt.reason });
        return started;
      }
      Object.assign(on, { state: "paused", stateReason: "MIGRATION" });
      return Promise.reject(new SocleError("internal", "LIBVIRT_OPERATION_FAILED", "cont"));
    },
  });
  const vm = () => on.table.get(WorkStage.id) ?? assert.fail();
  const policy = { permissionsOf: () => ({ suspend: true, snapshotMemory: false }) };
  const admission = { creations: () => [], table: on.table, byTenant: false, policy } as unknown as Admission;
  const request = { name: "one", quiesce: false, memory: true, directory };
  const intent = createSnapshot.admit?.(request, vm(), admission) ?? assert.fail();
  const [layer = assert.fail()] = intent.layers;
  const outcome = async (work: Promise<Result>): Promise<SocleError | Result> =>
    await work.catch((thrown: unknown) => toSocleError(thrown));
  const create = (more: Partial<WorkRun> = {}) =>
    outcome(createSnapshot.run(on.context, intent, { ...on.run(), ...more }));
  const asked = { done: ["claim volumes", "make layers", "note that it runs"], cutOff: ["switch disks"] };
  return {
    ...{ on, directory, disk, libvirt, intent, admission, request, vm, create, outcome },
    again: (...more: readonly string[]) => create(on.run({ ...asked, done: [...asked.done, ...more] })),
    layer: pathOf(layer),
    hasLayer: () => on.volumes.has(`images/${layer.volume}`),
    files: () => readdir(directory),
    kept: () => on.facts.snapshots?.snapshots.map(({ memory }) => memory?.bytes) ?? [],
    loose: () => on.facts.snapshots?.looseMemory ?? [],
  };
}

export const noted = ({ memory }: { memory?: { directory: string; file: string } }) => ({
  looseMemory: memory === undefined ? [] : [{ directory: memory.directory, file: memory.file }],
});

export const reasonOf = (end: SocleError | Result): string =>
  end instanceof SocleError ? `${end.kind} ${end.reason}` : "done";
