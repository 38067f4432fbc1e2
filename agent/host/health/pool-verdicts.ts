import type { FilesystemSpace } from "../../hardware/storage/filesystem.ts";
import type { Reading } from "../../hardware/reading.ts";
import type { Verdicts } from "./conditions/condition.ts";
import { OF_LIBVIRT, type PoolFacts } from "../inventory/libvirt-facts.ts";
import type { Verdict } from "./trigger.ts";

/** A reading of all storage pools. */
export function judgePools({
  pools,
  spaces,
}: {
  readonly pools: Reading<readonly PoolFacts[]>;
  readonly spaces: Spaces;
}): Verdict | Verdicts {
  if (pools.kind === "read") return poolVerdicts(pools.value, spaces);
  return { kind: pools.kind === "failed" ? "unknown" : "absent", evidence: pools.reason };
}

type Spaces = ReadonlyMap<string, Reading<FilesystemSpace>>;

/** Verdicts by pool name. `spaces`: filesystem space of directory pools. */
export const poolVerdicts = (pools: readonly PoolFacts[], spaces: Spaces): Verdicts =>
  new Map(pools.map((pool) => [pool.name, verdictOn(pool, spaces)]));

function verdictOn({ name, details }: PoolFacts, spaces: Spaces): Verdict {
  const say = (kind: Verdict["kind"], what: string): Verdict => ({
    kind,
    evidence: `storage pool ${name} ${what}`,
  });
  if (details.kind === "unsupported") return say("absent", `cannot be queried: ${details.reason}`);
  if (details.kind === "failed")
    return say(OF_LIBVIRT.has(details.code) ? "unknown" : "bad", `does not answer: ${details.reason}`);
  const { active, accessible, autostart, path } = details.value;
  if (!accessible) return say("bad", "cannot be reached");
  if (!active)
    return autostart ? say("bad", "is set to autostart but is not active") : say("good", "is not in use");
  const space = path === undefined ? undefined : spaces.get(path);
  return space?.kind === "failed" ? say("bad", `does not answer: ${space.reason}`) : say("good", "is well");
}
