import type { FilesystemSpace } from "../hardware/filesystem.ts";
import type { Reading } from "../hardware/reading.ts";
import type { Health } from "./health.ts";
import type { PoolFacts } from "./libvirt-facts.ts";
import type { Moment, Verdict } from "./trigger.ts";

/** Tells the health of a look at all storage pools. */
export function judgePools(
  health: Pick<Health, "observe" | "observeEach">,
  { pools, spaces }: { readonly pools: Reading<readonly PoolFacts[]>; readonly spaces: Spaces },
  at: Moment,
): void {
  if (pools.kind === "read") health.observeEach("StoragePool", "pool", poolVerdicts(pools.value, spaces), at);
  else if (pools.kind === "failed")
    health.observe("StoragePool", "pool", { kind: "unknown", evidence: pools.reason }, at);
  else health.observe("StoragePool", "pool", { kind: "good", evidence: pools.reason }, at);
}

type Spaces = ReadonlyMap<string, Reading<FilesystemSpace>>;

/** How each storage pool is, by name. `spaces`: those asked for, of pools that lie in a filesystem. */
export function poolVerdicts(pools: readonly PoolFacts[], spaces: Spaces): ReadonlyMap<string, Verdict> {
  return new Map(pools.map((pool) => [pool.name, verdictOn(pool, spaces)]));
}

function verdictOn({ name, details }: PoolFacts, spaces: Spaces): Verdict {
  const say = (kind: Verdict["kind"], what: string): Verdict => ({
    kind,
    evidence: `storage pool ${name} ${what}`,
  });
  if (details.kind === "unsupported") return say("good", `cannot be asked: ${details.reason}`);
  if (details.kind === "failed") {
    // libvirt itself is away: that says nothing about the pool.
    const isLibvirt = details.code === "unavailable";
    return say(isLibvirt ? "unknown" : "bad", `does not answer: ${details.reason}`);
  }
  const { active, accessible, autostart, path } = details.value;
  if (!accessible) return say("bad", "cannot be reached");
  if (!active)
    return autostart
      ? say("bad", "is to start with the host and is not active")
      : say("good", "is not in use");
  const space = path === undefined ? undefined : spaces.get(path);
  return space?.kind === "failed" ? say("bad", `does not answer: ${space.reason}`) : say("good", "is well");
}
