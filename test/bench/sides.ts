import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { build } from "esbuild";
import { within } from "../support/wait.ts";
import type { Run } from "./bench.ts";

/** A compared program: reads commands from stdin, one per line, and replies on stdout. */
export interface Side {
  readonly pid: number;
  /** Sends a line, and returns the first line of stdout that matches. */
  ask(line: string, answer?: RegExp): Promise<string>;
}

export function startSide(run: Run, command: string, args: readonly string[]): Side {
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  run.cleanUp(() => child.kill());
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  if (child.pid === undefined) throw new Error(`${command} does not start`);
  const ask = async (asked: string, answer = /./): Promise<string> => {
    child.stdin.write(`${asked}\n`);
    for (;;) {
      const line = await within(lines.next(), 60_000, `${command} to answer`);
      if (line.done === true) throw new Error(`${command} ended; its output is above`);
      if (answer.test(line.value)) return line.value;
    }
  };
  return { pid: child.pid, ask };
}

/** Bundles a program of this directory like the shipped agent, into `directory`. Returns the bundle's path. */
export async function bundledSide(program: string, directory: string): Promise<string> {
  const outfile = join(directory, `${program}.mjs`);
  // CommonJS modules in the bundle need `require`, as in scripts/build.mjs.
  const banner = {
    js: 'import { createRequire } from "node:module"; const require = createRequire(import.meta.url);',
  };
  await build({
    entryPoints: [join(import.meta.dirname, `${program}.ts`)],
    outfile,
    bundle: true,
    platform: "node",
    target: "node20",
    format: "esm",
    keepNames: true,
    banner,
  });
  return outfile;
}
