import { stat } from "node:fs/promises";
import { join } from "node:path";
import { succeeds } from "../../kernel/thrown.ts";
import { SocleError } from "../../kernel/errors.ts";
import { ipmitoolArguments, type BmcQuestion } from "../privileged/answers.ts";
import { BmcLog, type BmcEvents, type BmcLogSeen } from "./bmc-log.ts";
import {
  parseBmcFirmware,
  parseChassis,
  parseDcmiPower,
  parseSensors,
  type BmcSensor,
  type Chassis,
} from "./bmc-text.ts";
import { OneChild, runChild, type Child } from "../privileged/child.ts";
import type { LogMark } from "../log-mark.ts";
import { Privileged } from "../privileged/privileged.ts";
import { errorCode, NOT_INSTALLED, type Reading } from "../reading.ts";
import type { Roots } from "../roots.ts";
import { messageOf } from "../../kernel/thrown.ts";

export interface BmcAccess {
  /** auto: the host's own device, if any; off: the BMC is not used. */
  readonly interface: "auto" | "open" | "lanplus" | "off";
  /** For lanplus. */
  readonly address: string | null;
  readonly port: number;
  readonly user: string | null;
  readonly passwordFile: string | null;
  readonly cipherSuite: number;
  /** Deadline of one ipmitool call. */
  readonly timeoutSeconds: number;
}

const MAX_OUTPUT_BYTES = 4 * 1024 * 1024;

/** Queries the BMC through ipmitool: one call at a time, each killed at its deadline. */
export class Bmc {
  readonly #access: BmcAccess;
  readonly #device: string;
  readonly #privileged: Privileged;
  readonly #run: typeof runChild;
  readonly #children = new OneChild();
  readonly #log: BmcLog;

  /** `run`: only for tests. */
  constructor(access: BmcAccess, roots: Roots, memory?: LogMark<BmcLogSeen>, run = runChild) {
    this.#access = access;
    this.#run = run;
    this.#log = new BmcLog(memory);
    this.#device = join(roots.devRoot, "ipmi0");
    this.#privileged = new Privileged(roots);
  }

  /** All sensors of the BMC. */
  sensors(signal: AbortSignal): Promise<Reading<readonly BmcSensor[]>> {
    return this.#reading(async () => parseSensors(await this.#ask("sensors", signal)));
  }

  /** The event log; reads only entries added since the last call. */
  events(signal: AbortSignal): Promise<Reading<BmcEvents>> {
    return this.#reading(() => this.#log.look((question) => this.#ask(question, signal)));
  }

  /** Power of the whole machine in watts, if the BMC supports DCMI. */
  power(signal: AbortSignal): Promise<Reading<number>> {
    return this.#reading(async () => {
      const watts = parseDcmiPower(await this.#ask("power", signal));
      if (watts === undefined)
        throw new SocleError("unsupported", "NO_DCMI", "the BMC reports no power over DCMI");
      return watts;
    });
  }

  /** Power state and chassis faults, as reported by the BMC. */
  chassis(signal: AbortSignal): Promise<Reading<Chassis>> {
    return this.#reading(async () => parseChassis(await this.#ask("chassis", signal)));
  }

  /** The BMC's firmware version. */
  firmware(signal: AbortSignal): Promise<Reading<string>> {
    return this.#reading(async () => parseBmcFirmware(await this.#ask("firmware", signal)));
  }

  async #reading<T>(read: () => Promise<T>): Promise<Reading<T>> {
    const { interface: kind } = this.#access;
    if (kind === "off" || (kind === "auto" && !(await this.#hasDevice())))
      return { kind: "unsupported", reason: "no BMC: no /dev/ipmi0, none configured" };
    try {
      return { kind: "read", value: await read() };
    } catch (cause) {
      const reason = messageOf(cause);
      const isMissing =
        cause instanceof SocleError && (cause.kind === "unsupported" || /Invalid command/.test(reason));
      if (isMissing) return { kind: "unsupported", reason };
      // With a configured BMC, missing ipmitool or missing rights are faults.
      if (kind !== "auto") return { kind: "failed", reason };
      if (cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED")
        return { kind: "failed", reason: "ipmitool is not installed", code: NOT_INSTALLED };
      const code = errorCode(cause);
      if (code === "EACCES" || code === "EPERM")
        return { kind: "failed", reason: `the agent may not open ${this.#device}`, code };
      return { kind: "failed", reason };
    }
  }

  /** By stat(2): access(2) fails for a unit that may not open the device, even if it exists. */
  #hasDevice(): Promise<boolean> {
    return succeeds(stat(this.#device));
  }

  async #ask(question: BmcQuestion, signal: AbortSignal): Promise<string> {
    const { interface: kind, timeoutSeconds } = this.#access;
    const deadline = AbortSignal.timeout(timeoutSeconds * 1000);
    const over = AbortSignal.any([signal, deadline]);
    const { output } = this.#children.of("the BMC", () =>
      kind === "lanplus" ? this.#overLan(question, over) : this.#privileged.ask(`bmc ${question}`, over),
    );
    try {
      return (await output).stdout;
    } catch (cause) {
      if (!deadline.aborted) throw cause;
      const message = `ipmitool did not end within ${timeoutSeconds * 1000} ms`;
      throw new SocleError("timeout", "CHILD_TIMEOUT", message, { cause });
    }
  }

  /** ipmitool reads the password from its file. */
  #overLan(question: BmcQuestion, signal: AbortSignal): Child {
    const { address, port, user, passwordFile, cipherSuite, timeoutSeconds } = this.#access;
    if (passwordFile === null) {
      const message =
        "the BMC's password is missing: set bmc.passwordFile, or provide the credential socle-bmc-password";
      throw new SocleError("invalid", "BMC_PASSWORD_MISSING", message);
    }
    const target = ["-I", "lanplus", "-H", address ?? "", "-p", String(port)];
    const login = ["-U", user ?? "", "-f", passwordFile, "-C", String(cipherSuite)];
    const retries = ["-N", "2", "-R", "2"];
    const command = ipmitoolArguments(question) ?? [];
    return this.#run(["ipmitool", ...target, ...login, ...retries, ...command], {
      timeoutMs: timeoutSeconds * 1000,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      signal,
    });
  }
}
