import type { FilesystemSpace } from "../../hardware/storage/filesystem.ts";
import type { Reading } from "../../hardware/reading.ts";
import type { Verdicts } from "./conditions/condition.ts";
import { OF_LIBVIRT, type PoolFacts } from "../inventory/libvirt-facts.ts";
import { absent, bad, good, unknown, type Verdict } from "./trigger.ts";

/** A reading of all storage pools. `spaces`: filesystem space of directory pools. */
export function judgePools(pools: Reading<readonly PoolFacts[]>, spaces: Spaces): Verdict | Verdicts {
  if (pools.kind === "read") return poolVerdicts(pools.value, spaces);
  return (pools.kind === "failed" ? unknown : absent)(pools.reason);
}

type Spaces = ReadonlyMap<string, Reading<FilesystemSpace>>;

/** Verdicts by pool name. */
export const poolVerdicts = (pools: readonly PoolFacts[], spaces: Spaces): Verdicts =>
  new Map(pools.map((pool) => [pool.name, verdictOn(pool, spaces)]));

function verdictOn({ name, details }: PoolFacts, spaces: Spaces): Verdict {
  const evidence = `storage pool ${name}`;
  if (details.kind === "unsupported") return absent(`${evidence} cannot be queried: ${details.reason}`);
  if (details.kind === "failed") {
    const judge = OF_LIBVIRT.has(details.code) ? unknown : bad;
    return judge(`${evidence} does not answer: ${details.reason}`);
  }
  const { active, accessible, autostart, path } = details.value;
  if (!accessible) return bad(`${evidence} cannot be reached`);
  if (!active && autostart) return bad(`${evidence} is set to autostart but is not active`);
  if (!active) return good(`${evidence} is not in use`);
  const space = path === undefined ? undefined : spaces.get(path);
  if (space?.kind === "failed") return bad(`${evidence} does not answer: ${space.reason}`);
  return good(`${evidence} is well`);
}
