import { open } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { childOf, OneChild, runChild, type Child } from "./child.ts";
import { readEnergyCounters } from "./energy-counters.ts";
import { KernelLogTail } from "./kernel-log-tail.ts";
import { readText } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** Upper bounds of a child's run time; an agent with a shorter deadline disconnects, which aborts the child. */
const DISK_TIMEOUT_MS = 20_000;
const BMC_TIMEOUT_MS = 120_000;
const MAX_REPORT_BYTES = 1024 ** 2;
const MAX_BMC_BYTES = 4 * 1024 ** 2;

/** Queries of a BMC, local or over the network. */
export type BmcQuestion = "sensors" | "log-info" | `log ${number}` | "power" | "chassis" | "firmware";

/** ipmitool's arguments for a query, after those that select the BMC. Undefined for an unknown query. */
export function ipmitoolArguments(question: string): readonly string[] | undefined {
  if (question === "sensors") return ["-v", "-c", "sdr", "elist"];
  if (question === "log-info") return ["sel", "info"];
  if (question === "power") return ["dcmi", "power", "reading"];
  if (question === "chassis") return ["chassis", "status"];
  if (question === "firmware") return ["mc", "info"];
  const last = /^log ([1-9]\d{0,2})$/.exec(question)?.[1];
  return last === undefined ? undefined : ["-c", "sel", "elist", "last", last];
}

/**
 * All queries that need more rights than the agent has, each a line of text:
 *
 *     smart DISK            smartctl's report of nvme0, sda, ...; does not wake a sleeping disk
 *     bmc sensors           ipmitool's output over /dev/ipmi0; also: bmc log-info, log 16, power,
 *                           chassis, firmware
 *     energy                the CPUs' energy counters, as `readEnergyCounters`
 *     serial                the machine's serial number from its firmware
 *     kernel-log [NUMBER]   the kernel's log after this record, as `KernelLogTail`
 */
export type Question =
  | `smart ${string}`
  | `bmc ${BmcQuestion}`
  | "energy"
  | "serial"
  | "kernel-log"
  | `kernel-log ${number}`;

/** Answers queries. Of a query's text, only disk names and numbers reach a command line or a path. */
export class Answers {
  readonly #roots: Roots;
  readonly #log: KernelLogTail;
  readonly #run: typeof runChild;
  readonly #children = new OneChild();

  constructor(roots: Roots, run = runChild) {
    this.#roots = roots;
    this.#log = new KernelLogTail(roots);
    this.#run = run;
  }

  /** Rejects with `invalid` QUESTION_UNKNOWN, as `OneChild`, or with the system's error. */
  answer(question: string, signal: AbortSignal): Child {
    const [subject = "", ...words] = question.split(" ");
    const rest = words.join(" ");
    if (subject === "smart" && /^(nvme\d{1,4}|sd[a-z]{1,4})$/.test(rest)) return this.#smart(rest, signal);
    if (subject === "bmc") {
      const command = ipmitoolArguments(rest);
      if (command !== undefined) return this.#bmc(command, signal);
    }
    if (question === "energy")
      return this.#children.of(subject, () => withoutChild(readEnergyCounters(this.#roots)));
    if (question === "serial") {
      const file = join(this.#roots.sysRoot, "class/dmi/id/product_serial");
      return this.#children.of(subject, () => withoutChild(readText(file)));
    }
    if (/^kernel-log( \d{1,15})?$/.test(question)) {
      const after = rest === "" ? undefined : Number(rest);
      return this.#children.of(subject, () => withoutChild(this.#log.read(after)));
    }
    return withoutChild(Promise.reject(new SocleError("invalid", "QUESTION_UNKNOWN", "unknown query")));
  }

  async close(): Promise<void> {
    await this.#log.close();
  }

  #smart(disk: string, signal: AbortSignal): Child {
    const device = join(this.#roots.devRoot, disk);
    return this.#children.of(`smart ${disk}`, () =>
      this.#run(["smartctl", "--json", "-n", "standby", "-a", device], {
        timeoutMs: DISK_TIMEOUT_MS,
        maxOutputBytes: MAX_REPORT_BYTES,
        anyExitCode: true,
        signal,
      }),
    );
  }

  #bmc(command: readonly string[], signal: AbortSignal): Child {
    const device = join(this.#roots.devRoot, "ipmi0");
    return this.#children.of("bmc", () => {
      // Open the device first: ipmitool's own error names another device, and access(2) ignores the capabilities of a
      // non-root process.
      const child = openAndClose(device).then(() =>
        this.#run(["ipmitool", "-I", "open", ...command], {
          timeoutMs: BMC_TIMEOUT_MS,
          maxOutputBytes: MAX_BMC_BYTES,
          signal,
        }),
      );
      return {
        output: child.then(({ output }) => output),
        gone: child.then(
          ({ gone }) => gone,
          () => undefined,
        ),
      };
    });
  }
}

async function openAndClose(path: string): Promise<void> {
  await (await open(path, "r+")).close();
}

const withoutChild = (answer: Promise<string>): Child =>
  childOf(answer.then((stdout) => ({ stdout, stderr: "" })));
