import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { readTextIfThere, reading, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { defined } from "../../kernel/defined.ts";

/** A hardware watchdog. Values that its driver does not report are absent. */
interface Watchdog {
  readonly name: string;
  /** Driver name, e.g. iTCO_wdt. */
  readonly identity: string;
  readonly active?: boolean;
  readonly timeoutSeconds?: number;
  readonly timeLeftSeconds?: number;
  /** This watchdog caused the last reset of the machine. */
  readonly causedLastBoot?: boolean;
}

/** WDIOF_CARDRESET of linux/watchdog.h: the watchdog caused the last reboot. */
const CARD_RESET = 0x20;

/** Unsupported on a kernel without the watchdog class; empty without a watchdog. */
export function readWatchdogs(roots: Roots): Promise<Reading<readonly Watchdog[]>> {
  const directory = join(roots.sysRoot, "class/watchdog");
  return reading(directory, async () => {
    const names = (await readdir(directory)).filter((name) => /^watchdog\d+$/.test(name)).sort();
    return Promise.all(names.map((name) => readWatchdog(name, join(directory, name))));
  });
}

async function readWatchdog(name: string, directory: string): Promise<Watchdog> {
  const text = (file: string): Promise<string | undefined> => readTextIfThere(join(directory, file));
  const number = async (file: string): Promise<number | undefined> => {
    const value = await text(file);
    return value === undefined || value === "" || !Number.isFinite(Number(value)) ? undefined : Number(value);
  };
  const [identity, state] = await Promise.all(["identity", "state"].map(text));
  const [timeoutSeconds, timeLeftSeconds, bootStatus] = await Promise.all(
    ["timeout", "timeleft", "bootstatus"].map(number),
  );
  return defined({
    name,
    identity: identity ?? "",
    active: state === undefined ? undefined : state === "active",
    timeoutSeconds,
    timeLeftSeconds,
    causedLastBoot: bootStatus === undefined ? undefined : (bootStatus & CARD_RESET) !== 0,
  });
}
