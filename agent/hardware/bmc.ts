import { access, constants } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "../kernel/errors.ts";
import { BmcLog, type BmcEvents } from "./bmc-log.ts";
import { parseDcmiPower, parseSensors, type BmcSensor } from "./bmc-text.ts";
import { runChild } from "./child.ts";
import { errorCode, NOT_INSTALLED, type Reading } from "./reading.ts";
import type { Roots } from "./roots.ts";

export interface BmcAccess {
  /** auto: the host's own device where there is one; off: the BMC is left alone. */
  readonly interface: "auto" | "open" | "lanplus" | "off";
  /** For lanplus. */
  readonly address: string | null;
  readonly port: number;
  readonly user: string | null;
  readonly passwordFile: string | null;
  readonly cipherSuite: number;
  /** Of one call of ipmitool. */
  readonly timeoutSeconds: number;
}

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** The machine's management controller, asked through ipmitool: one question at a time, each killed at its deadline. */
export class Bmc {
  readonly #access: BmcAccess;
  readonly #devRoot: string;
  readonly #run: typeof runChild;
  /** A process that outlived its kill: it sits in the driver, and a second one would sit beside it. */
  #alive: Promise<void> | undefined;
  readonly #log = new BmcLog();

  constructor(access: BmcAccess, roots: Roots, run = runChild) {
    this.#access = access;
    this.#run = run;
    this.#devRoot = roots.devRoot;
  }

  /** Every sensor that the BMC describes. */
  sensors(signal: AbortSignal): Promise<Reading<readonly BmcSensor[]>> {
    return this.#reading(async (connection) =>
      parseSensors(await this.#ask(connection, ["-v", "-c", "sdr", "elist"], signal)),
    );
  }

  /** Its event log: only what came since the last look is read. */
  events(signal: AbortSignal): Promise<Reading<BmcEvents>> {
    return this.#reading((connection) => this.#log.look((command) => this.#ask(connection, command, signal)));
  }

  /** What the whole machine draws, in watts, where the BMC knows DCMI. */
  power(signal: AbortSignal): Promise<Reading<number>> {
    return this.#reading(async (connection) => {
      const text = await this.#ask(connection, ["dcmi", "power", "reading"], signal);
      const watts = parseDcmiPower(text);
      if (watts === undefined)
        throw new SocleError("unsupported", "NO_DCMI", "the BMC tells no power by DCMI");
      return watts;
    });
  }

  async #reading<T>(read: (connection: readonly string[]) => Promise<T>): Promise<Reading<T>> {
    const connection = await this.#connection();
    if (connection === undefined)
      return { kind: "unsupported", reason: "no BMC: no /dev/ipmi0, none configured" };
    const denied = await this.#denial();
    if (denied !== undefined) return denied;
    try {
      return { kind: "read", value: await read(connection) };
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      const isMissing =
        cause instanceof SocleError && (cause.kind === "unsupported" || /Invalid command/.test(reason));
      if (isMissing) return { kind: "unsupported", reason };
      const isNotInstalled = cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED";
      // Where the BMC was configured, it is wanted: to be without ipmitool is a fault then.
      if (isNotInstalled && this.#access.interface === "auto")
        return { kind: "failed", reason: "ipmitool is not installed", code: NOT_INSTALLED };
      return { kind: "failed", reason };
    }
  }

  /** Of a BMC that is there without having been asked for. ipmitool's own words tell of another device than this one. */
  async #denial(): Promise<Reading<never> | undefined> {
    if (this.#access.interface !== "auto") return undefined;
    const device = join(this.#devRoot, "ipmi0");
    try {
      await access(device, constants.R_OK | constants.W_OK);
      return undefined;
    } catch (cause) {
      const denied = {
        kind: "failed",
        reason: `the agent may not open ${device}`,
        code: errorCode(cause),
      } as const;
      return denied.code === "EACCES" || denied.code === "EPERM" ? denied : undefined;
    }
  }

  /** ipmitool's arguments; undefined where there is no BMC to speak to. The password stays in its file. */
  async #connection(): Promise<readonly string[] | undefined> {
    const { interface: kind, address, port, user, passwordFile, cipherSuite } = this.#access;
    if (kind === "off") return undefined;
    if (kind !== "lanplus") {
      const device = await access(join(this.#devRoot, "ipmi0")).then(
        () => true,
        () => false,
      );
      return kind === "open" || device ? ["-I", "open"] : undefined;
    }
    const [host, name, file] = [address ?? "", user ?? "", passwordFile ?? ""];
    const target = ["-I", "lanplus", "-H", host, "-p", String(port), "-U", name, "-f", file];
    return [...target, "-C", String(cipherSuite), "-N", "2", "-R", "2"];
  }

  async #ask(
    connection: readonly string[],
    command: readonly string[],
    signal: AbortSignal,
  ): Promise<string> {
    if (this.#alive !== undefined) throw new Error("an earlier ipmitool cannot be ended");
    const child = this.#run(["ipmitool", ...connection, ...command], {
      timeoutMs: this.#access.timeoutSeconds * 1000,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      signal,
    });
    this.#alive = child.gone.then(() => (this.#alive = undefined));
    const { stdout } = await child.output;
    await this.#alive;
    return stdout;
  }
}
