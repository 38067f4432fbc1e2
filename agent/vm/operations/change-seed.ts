import { randomUUID } from "node:crypto";
import * as z from "../../kernel/zod.ts";
import { defined } from "../../kernel/defined.ts";
import { invalidField, SocleError, toSocleError } from "../../kernel/errors.ts";
import { cloudInit, type SeedSecrets } from "../../contract/spec-cloud-init.ts";
import type { VmSpec } from "../../contract/spec.ts";
import { isActive } from "../hypervisor/domain-state.ts";
import { SEED_ALIAS } from "../model/device-names.ts";
import { instanceOf } from "../model/instance.ts";
import { laterSeed, type SeedNote } from "../model/seed-note.ts";
import { checkPart, checkSeed } from "../model/spec-check.ts";
import type { Vm } from "../model/vm.ts";
import { SEED_BYTES, seedVolume } from "../model/volume-names.ts";
import { macOf, seedDisk } from "../observation/domain-document.ts";
import { hostnameOf, seedImage, seedSecretsOf } from "../storage/seed.ts";
import { defineOperation, type Result } from "./definition.ts";
import { volumeSchema } from "./erasure.ts";
import { heldSeed, holdSeed, secretsOf, type HeldSeed } from "./first-boot.ts";
import { stampComplete } from "./guest-run.ts";
import { requireSpecOf } from "./request.ts";
import { nothingToChange, seedChanged, seedUnreadable } from "./seed-refusals.ts";
import { removeOldSeeds, rewriteSeeds, seenWithSeeds } from "./seeds.ts";
import { beginChange, changeIntent, readSpec } from "./spec-change.ts";
import { undoAll, type Undo } from "./undo.ts";
import { requireNotSaved } from "./vm-state.ts";
import { isUndecided, outcomeUnknown, type RunContext, type WorkContext, type WorkRun } from "./work.ts";

const CLAIM = "claim volume";
const VOLUME = "make seed";
const SWITCH = "switch seed";

/** By the names on the wire. */
const parts = {
  hostname: "hostname",
  ssh_keys: "sshKeys",
  user_data: "userData",
  network_config: "networkConfig",
} as const;
const partNames = Object.keys(parts) as (keyof typeof parts)[];
const SECRET: ReadonlySet<string> = new Set(["user_data", "network_config"]);

const { hostname, sshKeys, pool } = cloudInit.shape;
const shown = z.strictObject({ hostname, sshKeys: sshKeys.unwrap().exactOptional(), pool });

const intent = z.object({
  /** Of the new seed. */
  volume: volumeSchema,
  /** The parts that change; one without a value gets the default. */
  parts: z.array(z.enum(["hostname", "ssh_keys", "user_data", "network_config"])),
  ...shown.omit({ pool: true }).shape,
  seed: heldSeed.exactOptional(),
  instanceId: z.uuid().exactOptional(),
  ...changeIntent,
});
type Intent = z.output<typeof intent>;

interface ChangeSeedRequest {
  /** The new values, unvalidated. */
  readonly cloudInit: Readonly<Record<string, unknown>>;
  readonly updateMask: readonly string[];
  readonly newInstanceId: boolean;
  readonly etag?: string | undefined;
  /** The secret values, as the intent holds them. */
  readonly held?: HeldSeed | undefined;
}

/**
 * Makes another cloud-init seed, and gives it to the VM's next start. The switch of the definition decides: until then a failure
 * removes the new seed, and afterwards the present one goes, once no guest reads it.
 */
export const changeSeed = defineOperation({
  kind: "CHANGE_SEED",
  intent,
  lane: "command",
  mayLeaveHalf: true,
  endState: "unchanged",
  // The QEMU of a backup of a stopped VM becomes that of the next start.
  notDuringBackup: "any",
  grows: ({ volume }) => ({
    volumes: [{ ...volume, capacityBytes: SEED_BYTES }],
    diskBytes: SEED_BYTES,
  }),
  holdsBytes: ({ seed }) => seed?.text.length ?? 0,
  async prepare(request: ChangeSeedRequest, { id }, { keys }) {
    const { cloudInit: given, updateMask } = request;
    const asked = updateMask.flatMap((name) => (SECRET.has(name) ? [parts[name as keyof typeof parts]] : []));
    const secrets = checkSeed(
      Object.fromEntries(asked.flatMap((part) => (given[part] === undefined ? [] : [[part, given[part]]]))),
      "cloudInit",
    );
    return { ...request, held: await holdSeed(keys, id, secrets) };
  },
  /**
   * Throws `invalid` UPDATE_MASK_INVALID, UPDATE_EMPTY, and SPEC_INVALID, `conflict` ETAG_MISMATCH and VM_HAS_SAVED_STATE.
   */
  admit({ cloudInit: given, updateMask, newInstanceId, etag, held }: ChangeSeedRequest, vm) {
    requireSpecOf(etag, vm);
    const asked = partNames.filter((name) => updateMask.includes(name));
    for (const name of updateMask) if (!Object.hasOwn(parts, name)) throw badMask(name);
    const has = (name: keyof typeof parts): boolean => asked.includes(name);
    requireNamed(given, asked);
    if (asked.length === 0 && !newInstanceId) throw nothingToChange();
    const {
      hostname: name,
      sshKeys: keys,
      pool: chosen,
    } = checkPart(
      shown,
      defined({
        hostname: has("hostname") ? given["hostname"] : undefined,
        sshKeys: has("ssh_keys") ? (given["sshKeys"] ?? []) : undefined,
        pool: given["pool"],
      }),
      "cloudInit",
    );
    requireNotSaved(vm);
    const { id, spec, seed } = vm;
    return defined<Intent>({
      volume: { pool: poolFor(spec, seed, chosen), volume: laterSeed(id, randomUUID().slice(0, 8)) },
      parts: asked,
      hostname: name,
      sshKeys: keys,
      seed: held,
      instanceId: newInstanceId ? randomUUID() : undefined,
      etag,
    });
  },
  async plan(context, asked, vm) {
    await context.volumes.requireAbsent([asked.volume]);
    if (vm.spec !== undefined) await keptSecrets(context, vm.spec, vm.seed, asked);
    return {
      changes: asked.parts.join(","),
      ...(asked.instanceId === undefined
        ? { instance_id: vm.seed?.instanceId ?? vm.instance ?? "" }
        : { instance_id: "new" }),
      applies: "at the next start",
    };
  },
  async run(context, asked, run) {
    // Begins of steps are recorded lazily, the claim durably.
    const effects = new Set(run.resumed && run.done.has(CLAIM) ? [VOLUME, SWITCH] : []);
    try {
      return await change(context, asked, run, effects);
    } catch (thrown) {
      const error = toSocleError(thrown);
      if (isUndecided(error, run)) throw error;
      // A redefinition of the run before may have been late.
      if ((effects.has(SWITCH) || run.done.has(CLAIM)) && (await isSwitched(context, run.vmId, asked)))
        throw outcomeUnknown(error);
      throw await undoAll(context, run, effects.has(VOLUME) ? [undoSeed(context, run, asked)] : [], error);
    }
  },
});

async function change(
  context: RunContext,
  asked: Intent,
  run: WorkRun,
  effects: Set<string>,
): Promise<Result> {
  const { domains, log } = context;
  const { volume } = asked;
  const { vmId, step, done } = run;
  const wasSwitched = effects.has(SWITCH) && (await isSwitched(context, vmId, asked));
  if (wasSwitched) step.goOn();
  const { spec } = await beginChange(context, run, {
    etag: asked.etag,
    of: "devices",
    hasBegun: effects.size > 0,
  });
  const { seed: noted } = await readSpec(context, vmId);
  if (poolFor(spec, noted, undefined, volume.pool) !== volume.pool) throw seedChanged(spec.name);
  // From the switch on a guest may read the new seed.
  if (!wasSwitched) {
    // Journaled before the volume is made: a volume of this name that exists later was made by this operation.
    const isClaimed = done.has(CLAIM);
    effects.clear();
    if (!isClaimed) await step.durable(CLAIM, () => context.volumes.requireAbsent([volume]), 0);
    effects.add(VOLUME);
    const path = await step(VOLUME, () => makeSeed(context, run, asked, isClaimed), 0.5);
    effects.add(SWITCH);
    await step(SWITCH, () => domains.redefine(vmId, { disks: [seedDisk(path)] }), 0.2);
  }
  step.commit();
  let seeds = await step("write spec", () =>
    rewriteSeeds(context, vmId, (now) => ({
      spec: changedSpec(now.spec, asked),
      seed: switchedNote(now.spec, now.seed, asked),
    })),
  );
  // The next start uses the new seed: a pool that refuses the deletion does not change that, and the note of the volume stays.
  seeds = await step("delete old seed", () => removeOldSeeds(context, vmId)).catch((thrown: unknown) => {
    const error = toSocleError(thrown);
    if (isUndecided(error, run)) throw thrown;
    log.warn({ vm: vmId, err: error }, "an old cloud-init seed could not be deleted");
    return seeds;
  });
  await stampComplete(context, run, isActive(await domains.state(vmId)));
  await seenWithSeeds(context, seeds);
  return {
    changed: asked.parts.join(","),
    instance_id: await instanceIn(context, vmId, seeds.seed),
    applies: "at the next start",
  };
}

/** Notes the volume before it exists, so that it has an owner, and returns its path. */
async function makeSeed(
  context: WorkContext,
  { vmId, signal }: WorkRun,
  asked: Intent,
  mayBeThere: boolean,
): Promise<string> {
  const { volumes, keys } = context;
  const { volume } = asked;
  const { spec, seed: note } = await rewriteSeeds(context, vmId, (now) => ({
    spec: now.spec,
    seed: withOther(now.seed, volume),
  }));
  const after = changedSpec(spec, asked);
  const {
    name,
    id,
    nics,
    cloudInit: { hostname: host = hostnameOf(name), sshKeys: sshPublic = [] } = {},
  } = after;
  const secrets = {
    ...(await keptSecrets(context, spec, note, asked)),
    ...(await secretsOf(keys, vmId, asked.seed)),
  };
  const image = seedImage({
    instance: asked.instanceId ?? (await instanceIn(context, vmId, note)),
    hostname: host,
    sshKeys: sshPublic,
    macs: nics.map((nic) => macOf(id, nic)),
    ...secrets,
  });
  const { path } = await volumes.make(
    { pool: volume.pool, name: volume.volume, format: "raw", capacityBytes: SEED_BYTES, isOfHost: true },
    mayBeThere,
  );
  await volumes.write(volume, image, signal);
  return path;
}

/** The secret parts that stay, from the present seed. Throws `conflict` SEED_UNREADABLE. */
async function keptSecrets(
  { volumes }: Pick<WorkContext, "volumes">,
  spec: VmSpec,
  seed: SeedNote | undefined,
  { parts: asked }: Intent,
): Promise<SeedSecrets> {
  const present = seedVolume({ ...spec, seed });
  const kept = [...SECRET].filter((name) => !asked.some((part) => part === name));
  if (present === undefined || kept.length === 0) return {};
  const image = await volumes.read(present, SEED_BYTES);
  try {
    const { userData, networkConfig } = seedSecretsOf(image);
    return checkSeed(
      defined({
        userData: kept.includes("user_data") ? userData : undefined,
        networkConfig: kept.includes("network_config") ? networkConfig : undefined,
      }),
    );
  } catch {
    throw seedUnreadable(spec.name, kept);
  }
}

const changedSpec = (
  spec: VmSpec,
  { volume, parts: asked, hostname: name, sshKeys: keys }: Intent,
): VmSpec => {
  const { hostname: before, sshKeys: keysBefore = [] } = spec.cloudInit ?? {};
  return {
    ...spec,
    cloudInit: defined<NonNullable<VmSpec["cloudInit"]>>({
      hostname: asked.includes("hostname") ? name : before,
      sshKeys: asked.includes("ssh_keys") ? (keys ?? []) : keysBefore,
      pool: volume.pool,
    }),
  };
};

const withOther = (seed: SeedNote | undefined, { pool: at, volume }: Intent["volume"]): SeedNote => ({
  others: [],
  ...seed,
  pool: at,
  ...(seed?.others.includes(volume) === true ? {} : { others: [...(seed?.others ?? []), volume] }),
});

/** The present seed is one to delete from now on. */
function switchedNote(spec: VmSpec, seed: SeedNote | undefined, { volume, instanceId }: Intent): SeedNote {
  const before = seedVolume({ ...spec, seed })?.volume;
  const others = new Set([...(seed?.others ?? []), ...(before === undefined ? [] : [before])]);
  others.delete(volume.volume);
  return defined<SeedNote>({
    pool: volume.pool,
    active: volume.volume,
    others: [...others],
    instanceId: instanceId ?? seed?.instanceId,
  });
}

const undoSeed = (context: WorkContext, { vmId }: WorkRun, { volume }: Intent): Undo => ({
  step: VOLUME,
  async remove() {
    await context.volumes.remove(volume);
    if ((await context.domains.state(vmId)) === undefined) return;
    await rewriteSeeds(context, vmId, ({ spec, seed }) => ({
      spec,
      seed: seed && { ...seed, others: seed.others.filter((each) => each !== volume.volume) },
    }));
  },
});

/** Whether the definition uses the new seed. Throws `outcome_unknown`. */
async function isSwitched(
  { domains, volumes }: WorkContext,
  vmId: string,
  { volume }: Intent,
): Promise<boolean> {
  try {
    const disks = (await domains.document(vmId))?.devices.disks ?? [];
    const source = disks.find(({ alias }) => alias === SEED_ALIAS)?.source;
    if (source === undefined || !("path" in source)) return false;
    return source.path === (await volumes.pathOf(volume));
  } catch (thrown) {
    throw outcomeUnknown(toSocleError(thrown));
  }
}

/** The instance-id in the seed. */
async function instanceIn(context: WorkContext, vmId: string, seed: SeedNote | undefined): Promise<string> {
  return seed?.instanceId ?? instanceOf(vmId, (await readSpec(context, vmId)).socle);
}

/** The pool of the VM's seeds, also of one that is still to delete. Throws `invalid` SPEC_INVALID. */
function poolFor(
  spec: Vm["spec"],
  seed: SeedNote | undefined,
  chosen: string | undefined,
  otherwise?: string,
): string {
  const ofOthers = seed === undefined || seed.others.length === 0 ? undefined : seed.pool;
  const present = spec?.cloudInit?.pool ?? ofOthers;
  if (present !== undefined) {
    if (chosen === undefined || chosen === present) return present;
    throw invalidField(
      "SPEC_INVALID",
      "cloudInit.pool",
      `cannot be changed: the VM's seed is in pool ${present}`,
    );
  }
  const [ofDisk] = spec?.disks.flatMap(({ source }) => (source.kind === "new" ? [source.pool] : [])) ?? [];
  const found = chosen ?? otherwise ?? ofDisk;
  if (found !== undefined) return found;
  throw invalidField(
    "SPEC_INVALID",
    "cloudInit.pool",
    "must be given: the VM has no new disk, whose pool is the default",
  );
}

/** Throws `invalid` SPEC_INVALID for values that the mask does not name: they would have no effect. */
function requireNamed(given: Readonly<Record<string, unknown>>, asked: readonly string[]): void {
  for (const [name, part] of Object.entries(parts)) {
    const value = given[part];
    const isAbsent = value === undefined || value === "" || (Array.isArray(value) && value.length === 0);
    if (isAbsent || asked.includes(name)) continue;
    throw invalidField(
      "SPEC_INVALID",
      `cloudInit.${part}`,
      `is given, and update_mask does not name ${name}`,
    );
  }
}

function badMask(name: string): SocleError {
  const message = `update_mask names ${name}; the parts that can be changed are ${partNames.join(", ")}`;
  return new SocleError("invalid", "UPDATE_MASK_INVALID", message, {
    details: { fields: { update_mask: message } },
  });
}
