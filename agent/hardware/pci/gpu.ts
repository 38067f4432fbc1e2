import { defined } from "../../kernel/defined.ts";
import { SocleError } from "../../kernel/errors.ts";
import { OneChild, runChild, type Child } from "../privileged/child.ts";
import type { Reading } from "../reading.ts";
import { messageOf } from "../../kernel/thrown.ts";

/** A GPU driven by the host; passed-through GPUs are not monitored. Values that the driver does not report are absent. */
interface Gpu {
  readonly uuid: string;
  readonly model: string;
  readonly pciAddress: string;
  readonly driver: string;
  readonly temperatureCelsius?: number;
  readonly powerWatts?: number;
  readonly utilizationRatio?: number;
  readonly memoryTotalBytes?: number;
  readonly memoryUsedBytes?: number;
  /** Memory errors since the driver was loaded; absent without ECC. */
  readonly uncorrectedErrors?: number;
}

const FIELDS = [
  "uuid",
  "name",
  "pci.bus_id",
  "driver_version",
  "temperature.gpu",
  "power.draw",
  "utilization.gpu",
  "memory.total",
  "memory.used",
  "ecc.errors.uncorrected.volatile.total",
];
const TIMEOUT_MS = 20_000;
const MIB = 1024 ** 2;

type NvidiaSmi = (argv: readonly [string, ...string[]], signal: AbortSignal) => Child;

const nvidiaSmi: NvidiaSmi = (argv, signal) =>
  runChild(argv, { timeoutMs: TIMEOUT_MS, maxOutputBytes: 256 * 1024, signal });

/** Queries NVIDIA's driver in a child, which may hang if the card fell off the bus. One child at a time. */
export class GpuProbe {
  readonly #run: NvidiaSmi;
  readonly #children = new OneChild();

  /** `run`: only for tests. */
  constructor(run: NvidiaSmi = nvidiaSmi) {
    this.#run = run;
  }

  /** Unsupported without nvidia-smi, or if it finds no driver or no card. */
  async read(signal: AbortSignal): Promise<Reading<readonly Gpu[]>> {
    const query = ["nvidia-smi", `--query-gpu=${FIELDS.join(",")}`, "--format=csv,noheader,nounits"] as const;
    const { output } = this.#children.of("nvidia-smi", () => this.#run(query, signal));
    try {
      const lines = (await output).stdout.split("\n").filter((line) => line.trim() !== "");
      return { kind: "read", value: lines.map(parseLine) };
    } catch (cause) {
      const reason = messageOf(cause);
      const isAbsent =
        (cause instanceof SocleError && cause.reason === "CHILD_NOT_STARTED") ||
        /No devices were found|couldn't communicate with the NVIDIA driver/.test(reason);
      return isAbsent ? { kind: "unsupported", reason } : { kind: "failed", reason };
    }
  }
}

function parseLine(line: string): Gpu {
  const columns = line.split(",").map((column) => column.trim());
  const [uuid, model, pciAddress, driver, temperature, power, utilization, total, used, errors] = columns;
  if (columns.length !== FIELDS.length || uuid === undefined || model === undefined)
    throw new Error(`unexpected output of nvidia-smi: ${JSON.stringify(line.slice(0, 200))}`);
  return defined({
    uuid,
    model,
    pciAddress: pciAddress ?? "",
    driver: driver ?? "",
    temperatureCelsius: number(temperature),
    powerWatts: number(power),
    utilizationRatio: number(utilization, 0.01),
    memoryTotalBytes: number(total, MIB),
    memoryUsedBytes: number(used, MIB),
    uncorrectedErrors: number(errors),
  });
}

/** "[N/A]", "[Not Supported]" and similar are not numbers. */
const number = (text = "", unit = 1): number | undefined =>
  /^-?[\d.]+$/.test(text) ? Number(text) * unit : undefined;
