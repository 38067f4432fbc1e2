import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { libvirtdUnavailable } from "../support/libvirtd.ts";
import { program } from "../support/programs.ts";

/** A short run of a campaign as a test: no violation. */
export function shortRun(
  name: string,
  count: number,
  { part, timeoutMs = 900_000 }: { readonly part?: "simulated" | "real"; readonly timeoutMs?: number } = {},
): void {
  const title = `the ${name} campaign, ${count} tries${part === undefined ? "" : `, ${part}`}`;
  test(title, { skip: libvirtdUnavailable(), timeout: timeoutMs }, async (context) => {
    const { code, stdout, stderr } = await run([
      ...program(`test/faults/${name}.campaign.ts`),
      "--count",
      String(count),
      ...(part === undefined ? [] : [`--${part}`]),
    ]);
    const last = stdout.trim().split("\n").at(-1) ?? "";
    assert.match(last, /^{/, stderr);
    const result = JSON.parse(last) as Record<string, unknown>;
    context.diagnostic(JSON.stringify(result));
    if (result["violations"] !== 0) context.diagnostic(stderr);
    assert.equal(result["violations"], 0, stderr.slice(stderr.indexOf("VIOLATION: ")));
    assert.equal(result["campaign"], name);
    assert.equal(code, 0, stderr);
  });
}

function run(args: readonly string[]): Promise<{ code: number | null; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    const child = execFile(process.execPath, args, { maxBuffer: 2 ** 26 }, (_error, stdout, stderr) => {
      resolve({ code: child.exitCode, stdout, stderr });
    });
  });
}
