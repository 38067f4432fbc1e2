#!/usr/bin/env node
// The `socle` command. Only this file reads the process's arguments and environment, handles its signals and ends it.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { runCli } from "./cli/index.ts";

/** Set by the build; when running from source, package.json has it. */
declare const SOCLE_VERSION: string | undefined;

const here = import.meta.dirname;
const bundled = typeof SOCLE_VERSION === "string";
const version = bundled ? SOCLE_VERSION : packageVersion();
const protoDirectory = bundled ? join(here, "proto") : join(here, "..", "proto");
const pageDirectory = join(here, bundled ? "page" : "page/browser");
const probePath = bundled
  ? join(here, "inventory-probe.js")
  : join(here, "hardware/system/inventory-probe.ts");

async function startAgent(configPath: string): Promise<number> {
  // Node would open its debugger to any process that sends it.
  process.on("SIGUSR1", () => undefined);
  const stop = new AbortController();
  for (const name of ["SIGTERM", "SIGINT"] as const) process.once(name, () => stop.abort());
  // Loaded only here: the other commands start much faster without it.
  const { runAgent } = await import("./agent.ts");
  return await runAgent({
    configPath,
    version,
    protoDirectory,
    pageDirectory,
    probePath,
    environment: process.env,
    signal: stop.signal,
    onReload: (reload) => process.on("SIGHUP", reload),
  });
}

function packageVersion(): string {
  const { version: text } = JSON.parse(readFileSync(join(here, "..", "package.json"), "utf8")) as {
    version: string;
  };
  return text;
}

process.exitCode = await runCli(process.argv.slice(2), {
  stdout: process.stdout,
  stderr: process.stderr,
  stdin: process.stdin,
  env: process.env,
  isTTY: process.stdout.isTTY,
  startAgent,
  protoDirectory,
  version,
});
