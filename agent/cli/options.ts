import { Option, type Command as Cli } from "commander";
import { usageError } from "./errors.ts";
import { parseBytes, parseDuration } from "./format.ts";

export const defaultConfigPath = "/etc/socle/agent.yaml";

export const addPlacementOptions = (command: Cli): Cli =>
  command
    .option("--dedicated-cpus", "Each vCPU on a CPU of its own, out of the host's dedicated pool.")
    .option("--isolate-emulator", "With --dedicated-cpus: one more for QEMU's own threads.")
    .option("--strict", "CPUs, memory and devices of one NUMA cell, or not at all.")
    .option("--cell <number>", "Of this NUMA cell, or not at all.", whole("--cell", 0))
    .option(
      "--page-size <size>",
      "Of the pages behind its memory: 4KiB, 2MiB or 1GiB; default: 4KiB.",
      size("--page-size"),
    )
    .option("--device <device>", "A device of the host, by PCI address or alias; may be repeated.", collect);

export const addMutationOptions = (command: Cli): Cli =>
  command.addOption(requestIdOption()).addOption(noWaitOption()).addOption(timeoutOption());

export const noWaitOption = (): Option =>
  new Option("--no-wait", "Do not wait for the end; print the operation's id.");

export const quiesceOption = (): Option =>
  new Option("--quiesce", "Freeze the guest's file systems meanwhile, through its agent.");

export const requestIdOption = (): Option =>
  new Option("--request-id <id>", "Repeating a command with the same id does it once; default: a new one.");

export const timeoutOption = (): Option =>
  new Option("--timeout <duration>", "Wait no longer than this; the operation goes on.").argParser(
    duration("--timeout"),
  );

export const configOption = (): Option =>
  new Option("--config <file>", "The configuration file.").default(defaultConfigPath);

export const collect = (value: string, before: string[] = []): string[] => [...before, value];

export const whole =
  (option: string, least: number) =>
  (text: string): number => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least)
      throw usageError(`${option} takes a whole number from ${least}, not '${text}'`);
    return value;
  };

/** What metadata can carry. */
export const shortText =
  (option: string) =>
  (text: string): string => {
    if (/^[!-~]([ -~]{0,126}[!-~])?$/.test(text)) return text;
    throw usageError(`${option} takes 1 to 128 characters of printable ASCII`);
  };

export const hostPort =
  (option: string) =>
  (text: string): string => {
    const port = Number(/^(?:\[[0-9a-f:.]+\]|[\w.-]+):(\d{1,5})$/i.exec(text)?.[1] ?? 0);
    if (port >= 1 && port <= 65535) return text;
    throw usageError(`${option} takes HOST:PORT, not '${text}'`);
  };

export const size =
  (option: string) =>
  (text: string): number => {
    const bytes = parseBytes(text);
    if (bytes === undefined) throw usageError(`${option} takes a size like 512MiB or 2GiB, not '${text}'`);
    return bytes;
  };

/** In milliseconds. */
export const duration =
  (option: string) =>
  (text: string): number => {
    const ms = parseDuration(text);
    if (ms === undefined) throw usageError(`${option} takes a duration like 90s or 5m, not '${text}'`);
    return ms;
  };
