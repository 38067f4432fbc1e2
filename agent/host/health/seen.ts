/** Lists of names by kind. */
type What = "reader" | "bondSlave" | "psu" | "fan" | "bmcFan" | "bmcTemperature" | "bmcAccess" | "kvm";

const MOST_NAMES = 1000;

/**
 * Hardware seen since boot, kept over restarts of the agent: it distinguishes removed hardware from hardware that was
 * never present.
 */
export class SeenHardware {
  #all: Readonly<Record<string, readonly string[]>> = {};

  /** The state to keep. The same object until a change. */
  get all(): Readonly<Record<string, readonly string[]>> {
    return this.#all;
  }

  /** Restores the state of an earlier agent of the same boot. */
  restore(all: Readonly<Record<string, readonly string[]>>): void {
    this.#all = all;
  }

  /** The configured path to the BMC. A change of it clears what was seen over another path. */
  reachBmcBy(access: string): void {
    if (this.has("bmcAccess", access)) return;
    this.remove("reader", "bmc");
    for (const what of ["psu", "bmcFan", "bmcTemperature"] as const) this.replace(what, []);
    this.replace("bmcAccess", [access]);
  }

  names(what: What): readonly string[] {
    return this.#all[what] ?? [];
  }

  has(what: What, name: string): boolean {
    return this.names(what).includes(name);
  }

  add(what: What, name: string): void {
    if (!this.has(what, name)) this.replace(what, [...this.names(what), name]);
  }

  remove(what: What, name: string): void {
    this.replace(
      what,
      this.names(what).filter((other) => other !== name),
    );
  }

  replace(what: What, names: readonly string[]): void {
    const before = this.names(what);
    const kept = names.slice(0, MOST_NAMES);
    const isSame = kept.length === before.length && kept.every((name, index) => name === before[index]);
    if (!isSame) this.#all = { ...this.#all, [what]: kept };
  }
}
