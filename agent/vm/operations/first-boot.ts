import * as z from "../../kernel/zod.ts";
import { seedSecrets, type SeedSecrets } from "../../contract/spec-cloud-init.ts";
import type { Immutable } from "../../kernel/immutable.ts";
import type { VmSpec } from "../../contract/spec.ts";
import type { GuestKeys } from "../keys/guest-keys.ts";
import { SEED_BYTES, seedVolume } from "../model/volume-names.ts";
import { macOf } from "../observation/domain-document.ts";
import { hostnameOf, seedImage } from "../storage/seed.ts";
import { SEED } from "./creation-rollback.ts";
import type { WorkContext, WorkRun } from "./work.ts";

/**
 * The secret parts of a seed in the intent of its VM's creation, as JSON: nothing else has them until the volume exists.
 * Sealed with the host's volume key. A host without that key cannot encrypt: there the journal, which only the agent's
 * user can read, has the plain text. An ended operation has no intent; the journal loses its bytes when it is compacted.
 */
export const heldSeed = z.object({ form: z.enum(["sealed", "plain"]), text: z.string() });
export type HeldSeed = Immutable<z.output<typeof heldSeed>>;

/** Undefined: no part is secret. Throws `unavailable` VOLUME_KEY_UNUSABLE. */
export async function holdSeed(
  keys: GuestKeys,
  vmId: string,
  secrets: SeedSecrets,
): Promise<HeldSeed | undefined> {
  if (Object.keys(secrets).length === 0) return undefined;
  const text = JSON.stringify(secrets);
  const sealed = await keys.seal(text, purposeOf(vmId));
  return sealed === undefined ? { form: "plain", text } : { form: "sealed", text: sealed };
}

export async function secretsOf(
  keys: GuestKeys,
  vmId: string,
  { form, text }: HeldSeed = { form: "plain", text: "{}" },
): Promise<SeedSecrets> {
  const plain = form === "sealed" ? await keys.unseal(text, purposeOf(vmId)) : text;
  return seedSecrets.parse(JSON.parse(plain));
}

const purposeOf = (vmId: string): string => `socle seed 1 ${vmId}`;

interface SeedMaking {
  readonly spec: VmSpec;
  readonly seed?: HeldSeed;
  readonly instance: string;
  /** An earlier run may have made it. */
  readonly mayBeThere: boolean;
  /** Called once this operation has made it. */
  readonly made: () => void;
}

/** Makes the seed volume of a VM and returns its path; undefined for a VM without one. Repeating it writes the same bytes. */
export async function makeSeed(
  { volumes, keys }: WorkContext,
  { step, signal }: WorkRun,
  { spec, seed, instance, mayBeThere, made }: SeedMaking,
): Promise<string | undefined> {
  const volume = seedVolume(spec);
  if (volume === undefined) return undefined;
  const { id, name, nics, cloudInit: { hostname = hostnameOf(name), sshKeys = [] } = {} } = spec;
  return await step(
    SEED,
    async () => {
      const macs = nics.map((nic) => macOf(id, nic));
      const secrets = await secretsOf(keys, id, seed);
      const image = seedImage({ instance, hostname, sshKeys, macs, ...secrets });
      const { pool, volume: volumeName } = volume;
      const toMake = {
        pool,
        name: volumeName,
        format: "raw",
        capacityBytes: SEED_BYTES,
        isOfHost: true,
      } as const;
      const { path } = await volumes.make(toMake, mayBeThere, made);
      await volumes.write(volume, image, signal);
      return path;
    },
    0.1,
  );
}
