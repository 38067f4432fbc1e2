/** Each a list of names. */
type What = "reader" | "bondSlave" | "psu" | "fan" | "bmcFan" | "bmcTemperature" | "bmcAccess" | "kvm";

const MOST_NAMES = 1000;

/**
 * What this machine was seen to have since it booted, over restarts of the agent: what is gone is not the same as what
 * never was there.
 */
export class Seen {
  #all: Readonly<Record<string, readonly string[]>> = {};

  /** To be kept. The same object until something changes. */
  get all(): Readonly<Record<string, readonly string[]>> {
    return this.#all;
  }

  /** What an earlier agent of the same boot saw. */
  restore(all: Readonly<Record<string, readonly string[]>>): void {
    this.#all = all;
  }

  /** How the BMC is reached, by configuration. What was seen of it another way is not lost: the operator chose so. */
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
