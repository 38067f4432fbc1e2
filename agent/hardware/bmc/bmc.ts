import { stat } from "node:fs/promises";
import { join } from "node:path";
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
  readonly #device: string;
  readonly #privileged: Privileged;
  readonly #run: typeof runChild;
  readonly #children = new OneChild();
  readonly #log: BmcLog;

  /** `run` for tests alone. */
  constructor(access: BmcAccess, roots: Roots, memory?: LogMark<BmcLogSeen>, run = runChild) {
    this.#access = access;
    this.#run = run;
    this.#log = new BmcLog(memory);
    this.#device = join(roots.devRoot, "ipmi0");
    this.#privileged = new Privileged(roots);
  }

  /** Every sensor that the BMC describes. */
  sensors(signal: AbortSignal): Promise<Reading<readonly BmcSensor[]>> {
    return this.#reading(async () => parseSensors(await this.#ask("sensors", signal)));
  }

  /** Its event log: only what came since the last look is read. */
  events(signal: AbortSignal): Promise<Reading<BmcEvents>> {
    return this.#reading(() => this.#log.look((question) => this.#ask(question, signal)));
  }

  /** What the whole machine draws, in watts, where the BMC knows DCMI. */
  power(signal: AbortSignal): Promise<Reading<number>> {
    return this.#reading(async () => {
      const watts = parseDcmiPower(await this.#ask("power", signal));
      if (watts === undefined)
        throw new SocleError("unsupported", "NO_DCMI", "the BMC tells no power by DCMI");
      return watts;
    });
  }

  /** Whether the machine is on, by its controller's word, and what of it has failed. */
  chassis(signal: AbortSignal): Promise<Reading<Chassis>> {
    return this.#reading(async () => parseChassis(await this.#ask("chassis", signal)));
  }

  /** The version of its own firmware. */
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
      // Where the BMC was configured, it is wanted: not to have ipmitool, or the rights, is a fault then.
      if (kind !== "auto") return { kind: "failed", reason };
      if (cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED")
        return { kind: "failed", reason: "ipmitool is not installed", code: NOT_INSTALLED };
      const code = errorCode(cause);
      if (code === "EACCES" || code === "EPERM")
        return { kind: "failed", reason: `the agent may not open ${this.#device}`, code };
      return { kind: "failed", reason };
    }
  }

  /** By stat(2): access(2) is denied to a unit that may not open the device, even where it is only to be there. */
  #hasDevice(): Promise<boolean> {
    return stat(this.#device).then(
      () => true,
      () => false,
    );
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

  /** The password stays in its file. */
  #overLan(question: BmcQuestion, signal: AbortSignal): Child {
    const { address, port, user, passwordFile, cipherSuite, timeoutSeconds } = this.#access;
    if (passwordFile === null) {
      const message =
        "the BMC's password is not known: set bmc.passwordFile, or give the credential socle-bmc-password";
      throw new SocleError("invalid", "BMC_PASSWORD_MISSING", message);
    }
    const target = [
      "-I",
      "lanplus",
      "-H",
      address ?? "",
      "-p",
      String(port),
      "-U",
      user ?? "",
      "-f",
      passwordFile,
    ];
    const session = ["-C", String(cipherSuite), "-N", "2", "-R", "2"];
    const command = ipmitoolArguments(question) ?? [];
    return this.#run(["ipmitool", ...target, ...session, ...command], {
      timeoutMs: timeoutSeconds * 1000,
      maxOutputBytes: MAX_OUTPUT_BYTES,
      signal,
    });
  }
}
