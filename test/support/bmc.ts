import { execFile } from "node:child_process";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import type { BmcAccess } from "../../agent/hardware/bmc/bmc.ts";
import { spawnBound } from "./bound-child.ts";
import { eventually } from "./wait.ts";

/** Why no BMC can run here, or false: for a test's `skip` option. */
export function bmcUnavailable(): string | false {
  const missing = ["ipmi_sim", "ipmitool"].filter((program) => !existsSync(`/usr/bin/${program}`));
  return missing.length === 0 ? false : `${missing.join(" and ")} missing: run scripts/setup --tests`;
}

/** Raw values of the sensor's chip: the factor of its record converts them. */
const sensors = {
  inlet: { name: "Inlet Temp", entity: [7, 1], type: 1, unit: 1, factor: 1, value: 23, upper: [42, 47, 55] },
  fan1: { name: "Fan1 RPM", entity: [29, 1], type: 4, unit: 18, factor: 60, value: 90, lower: [30, 20, 10] },
  fan2: { name: "Fan2 RPM", entity: [29, 2], type: 4, unit: 18, factor: 60, value: 90, lower: [30, 20, 10] },
  voltage: { name: "PSU1 Voltage", entity: [10, 1], type: 2, unit: 4, factor: 1, value: 230 },
  power: { name: "System Power", entity: [7, 1], type: 11, unit: 6, factor: 2, value: 110 },
  current: { name: "PSU1 Current", entity: [10, 1], type: 3, unit: 5, factor: 1, value: 2 },
  psu1: { name: "PS1 Status", entity: [10, 1], type: 8, value: 1 },
  psu2: { name: "PS2 Status", entity: [10, 2], type: 8, value: 1 },
} as const satisfies Record<string, SensorRecord>;

interface SensorRecord {
  readonly name: string;
  readonly entity: readonly [id: number, instance: number];
  readonly type: number;
  /** Absent: it has states (bits of its value) and measures nothing. */
  readonly unit?: number;
  readonly factor?: number;
  readonly value: number;
  /** Non-critical, critical, non-recoverable. */
  readonly upper?: readonly [number, number, number];
  readonly lower?: readonly [number, number, number];
}

/** OpenIPMI's simulator: a BMC that answers RMCP+ on loopback, its sensors fed from files. */
export class SimulatedBmc {
  readonly access: BmcAccess;
  readonly #directory: string;
  readonly #process: ReturnType<typeof spawnBound>;

  private constructor(directory: string, access: BmcAccess) {
    this.access = access;
    this.#directory = directory;
    const [configuration, commands] = [join(directory, "lan.conf"), join(directory, "bmc.emu")];
    this.#process = spawnBound("ipmi_sim", ["-n", "-c", configuration, "-f", commands, "-s", directory]);
    this.#process.stderr.resume();
  }

  static async start(password = "sesame"): Promise<SimulatedBmc> {
    const directory = await mkdtemp(join(tmpdir(), "socle-bmc-"));
    const port = await freeUdpPort();
    const passwordFile = join(directory, "password");
    await writeFile(passwordFile, `${password}\n`, { mode: 0o600 });
    await writeFile(join(directory, "lan.conf"), lanConfiguration(port, password));
    for (const [key, { value }] of Object.entries(sensors))
      await writeFile(join(directory, key), `${value}\n`);
    await writeFile(join(directory, "bmc.emu"), commandsFor(directory));
    const address = { interface: "lanplus", address: "127.0.0.1", port } as const;
    const bmc = new SimulatedBmc(directory, {
      ...address,
      user: "socle",
      passwordFile,
      cipherSuite: 3,
      timeoutSeconds: 30,
    });
    let output = "";
    bmc.#process.stdout.on("data", (text: Buffer) => (output += text.toString()));
    await eventually(() => output.includes("Opened UDP port"), {
      what: `the BMC to listen; its output: ${output}`,
    });
    return bmc;
  }

  /** The sensor's raw value from now on; the simulator reads it every 50 ms. */
  async set(sensor: keyof typeof sensors, value: number): Promise<void> {
    const path = join(this.#directory, sensor);
    // Atomically: the simulator may read it during the write.
    await writeFile(`${path}.next`, `${value}\n`);
    await rename(`${path}.next`, path);
  }

  /** Runs an ipmitool command on it, as its administrator would. */
  async ipmitool(...command: string[]): Promise<string> {
    const { address, port, user, passwordFile, cipherSuite } = this.access;
    const target = [
      "-I",
      "lanplus",
      "-H",
      address,
      "-p",
      port,
      "-U",
      user,
      "-f",
      passwordFile,
      "-C",
      cipherSuite,
    ];
    const { stdout } = await promisify(execFile)("ipmitool", [...target.map(String), ...command], {
      timeout: 60_000,
    });
    return stdout;
  }

  /** It keeps its port and answers no more. */
  hang(): void {
    this.#process.kill("SIGSTOP");
  }

  async stop(): Promise<void> {
    const gone = once(this.#process, "exit");
    this.#process.kill("SIGKILL");
    await gone;
    await rm(this.#directory, { recursive: true, force: true });
  }
}

async function freeUdpPort(): Promise<number> {
  const socket = createSocket("udp4").bind(0, "127.0.0.1");
  await once(socket, "listening");
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(() => resolve()));
  return port;
}

const lanConfiguration = (port: number, password: string): string => `
name "socle"
set_working_mc 0x20
  startlan 1
    addr 127.0.0.1 ${port}
    priv_limit admin
    allowed_auths_admin none md2 md5 straight
    guid a123456789abcdefa123456789abcdef
  endlan
  user 2 true "socle" "${password}" admin 10 none md2 md5 straight
`;

/**
 * ipmi_sim_cmd(5). The LAN opens with the last line; an error in any line before ends the simulator without a
 * message.
 */
function commandsFor(directory: string): string {
  const bits = (width: number): string => "1".repeat(width).padStart(15, "0");
  const lines = Object.entries<SensorRecord>(sensors).flatMap(([key, sensor], index) => {
    const at = `0x20 0 ${index + 1}`;
    const isAnalog = sensor.unit !== undefined;
    const mask = Array<string>(4)
      .fill(bits(isAnalog ? 12 : 4))
      .join(" ");
    const poll = `poll 50 file "${join(directory, key)}"`;
    return [
      `sensor_add ${at} ${sensor.type} ${isAnalog ? 1 : 0x6f} ${poll}`,
      ...(isAnalog
        ? [`sensor_set_threshold ${at} settable ${thresholdMask(sensor)} ${thresholds(sensor).join(" ")}`]
        : []),
      `sensor_set_event_support ${at} enable scanning per-state ${mask}`,
      `main_sdr_add 0x20 ${sensorRecord(index + 1, sensor).join(" ")}`,
    ];
  });
  return [
    "mc_setbmc 0x20",
    "mc_add 0x20 0 no-device-sdrs 0x23 9 8 0x9f 0x1291 0xf02",
    "sel_enable 0x20 1000 0x0a",
    "sensor_add 0x20 0 0 35 0x6f event-only",
    ...lines,
    "mc_enable 0x20",
    "",
  ].join("\n");
}

/** Upper non-recoverable first, lower non-critical last. */
const thresholds = ({ upper = [0, 0, 0], lower = [0, 0, 0] }: SensorRecord): number[] => [
  ...[...upper].reverse(),
  ...[...lower].reverse(),
];
const thresholdMask = ({ upper, lower }: SensorRecord): string =>
  `${upper === undefined ? "000" : "111"}${lower === undefined ? "000" : "111"}`;

/** A full sensor record of the IPMI specification 2.0, section 43.1. */
function sensorRecord(number: number, sensor: SensorRecord): number[] {
  const isAnalog = sensor.unit !== undefined;
  const body = [
    ...[0x20, 0, number, ...sensor.entity, 0x7f, isAnalog ? 0x68 : 0x40, sensor.type, isAnalog ? 1 : 0x6f],
    ...(isAnalog ? [0, 0x70, 0, 0x70, 0x3f, 0x3f] : [0, 0, 0, 0, 0xff, 1]),
    ...[isAnalog ? 0 : 0xc0, sensor.unit ?? 0, 0, 0, sensor.factor ?? 1, 0, 0, 0, 0, 0],
    ...[0, 0, 0, 0, 255, 0, ...thresholds(sensor), 0, 0, 0, 0, 0],
    ...[0xc0 | sensor.name.length, ...Buffer.from(sensor.name)],
  ];
  return [number, 0, 0x51, 1, body.length, ...body];
}
