import { open } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "../../kernel/errors.ts";
import { OneChild, runChild, type Child, type ChildOutput } from "./child.ts";
import { readEnergyCounters } from "./energy-counters.ts";
import { KernelLogTail } from "./kernel-log-tail.ts";
import { readText } from "../reading.ts";
import type { Roots } from "../roots.ts";

/** Deadlines: what an agent gives one question it says by leaving; these end what nobody waits for. */
const DISK_TIMEOUT_MS = 20_000;
const BMC_TIMEOUT_MS = 120_000;
const MAX_REPORT_BYTES = 1024 ** 2;
const MAX_BMC_BYTES = 4 * 1024 ** 2;

/** What is asked of a BMC, whichever way leads there. */
export type BmcQuestion = "sensors" | "log-info" | `log ${number}` | "power" | "chassis" | "firmware";

/** ipmitool's arguments for it, behind those that say which BMC. Undefined: it is no such question. */
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
 * All that the agent asks of this machine with more rights than its own, each a line of text:
 *
 *     smart DISK            smartctl's report of nvme0, sda, ...; one that sleeps is not woken
 *     bmc sensors           what ipmitool says over /dev/ipmi0; also: bmc log-info, log 16, power,
 *                           chassis, firmware
 *     energy                the CPUs' energy counters, as `readEnergyCounters`
 *     serial                the machine's serial number, as its firmware has it
 *     kernel-log [NUMBER]   the kernel's log behind the record of this number, as `KernelLogTail`
 */
export type Question =
  `smart ${string}` | `bmc ${BmcQuestion}` | "energy" | "serial" | "kernel-log" | `kernel-log ${number}`;

/** Answers them. Nothing that is asked becomes a program, an option or a path but a disk's name, and numbers. */
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
    if (question === "energy") return this.#children.of(subject, () => told(readEnergyCounters(this.#roots)));
    if (question === "serial") {
      const file = join(this.#roots.sysRoot, "class/dmi/id/product_serial");
      return this.#children.of(subject, () => told(readText(file)));
    }
    if (/^kernel-log( \d{1,15})?$/.test(question)) {
      const after = rest === "" ? undefined : Number(rest);
      return this.#children.of(subject, () => told(this.#log.read(after)));
    }
    return told(Promise.reject(new SocleError("invalid", "QUESTION_UNKNOWN", "there is no such question")));
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
      // Tried first: ipmitool's own words tell of another device than this one. By opening it, since access(2) knows
      // nothing of the capabilities of who is not root.
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

function told(answer: Promise<string>): Child {
  const output = answer.then((stdout): ChildOutput => ({ stdout, stderr: "" }));
  const gone = output.then(
    () => undefined,
    () => undefined,
  );
  return { output, gone };
}
