import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { cp, mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";

const repository = join(import.meta.dirname, "../..");
const TIMEOUT_MS = 300_000;
const MOST_PLACES = 6;

interface Place {
  readonly file: string;
  readonly blocks: readonly string[];
}

/** The numbered places of agent/README.md, "How to add an operation", with their code. */
function placesIn(readme: string): Place[] {
  const section = /^## How to add an operation\n(.*?)^## /ms.exec(readme)?.[1] ?? "";
  return section
    .split(/^\d+\. /m)
    .slice(1)
    .map((item) => ({
      file: /^`([^`]+)`/.exec(item)?.[1] ?? "",
      blocks: [...item.matchAll(/^ {3}```\w+\n(.*?)^ {3}```$/gms)].map(([, code = ""]) =>
        code.replaceAll(/^ {3}/gm, ""),
      ),
    }));
}

/** Inserts each block after ResumeVm's last line of its kind, as the page describes. */
async function follow({ file, blocks }: Place, directory: string): Promise<void> {
  const path = join(directory, file);
  let text = await readFile(path, "utf8").catch(() => "");
  for (const block of blocks) {
    const anchor = block.startsWith("message ")
      ? /^message ResumeVmRequest \{[^}]*\}\n/m
      : block.startsWith("import ") && text !== ""
        ? /^import \{ resumeVm \}.*\n/m
        : /^.*(?:\brpc ResumeVm|VmService\/ResumeVm|\bResumeVm:|"ResumeVm").*\n/m;
    if (text === "") text = block;
    else {
      assert.match(text, anchor, `${file} has ResumeVm's line`);
      text = text.replace(anchor, (line) => `${line}${block}`);
    }
  }
  if (file.endsWith("registry.ts")) text = text.replace(/^(const definitions = \[)/m, "$1nudgeVm, ");
  await writeFile(path, text);
}

/** Runs in the changed copy: the operation is admitted over gRPC, audited and executed; the command exists. */
const program = `
import assert from "node:assert/strict";
import { test } from "node:test";
import { buildProgram } from "../agent/cli/program.ts";
import { definitionOf, intentOf, operationKinds } from "../agent/vm/operations/registry.ts";
import { ApiClient, protos } from "./support/api/client.ts";
import { startApi } from "./support/api/harness.ts";

test("the made-up operation is registered", async (t) => {
  const api = await startApi(t);
  const client = new ApiClient(t, \`unix:\${api.socket}\`);
  const begun = await client.call(protos.vms.NudgeVm, { requestId: "r", vm: "v", twice: true });
  assert.equal(begun.kind, "NUDGE_VM");
  assert.deepEqual(api.audited.find(({ method }) => method?.endsWith("/NudgeVm"))?.arguments, { twice: true });
  assert.ok(operationKinds.includes("NUDGE_VM"));
  const stored = { id: "o", kind: "NUDGE_VM", intent: { kind: "NUDGE_VM", twice: true } };
  assert.deepEqual(intentOf(stored), { kind: "NUDGE_VM", twice: true });
  assert.equal(definitionOf("NUDGE_VM").lane, "command");
  const vm = buildProgram("0", () => () => Promise.resolve()).commands.find((command) => command.name() === "vm");
  assert.ok(vm?.commands.some((command) => command.name() === "nudge"));
});
`;

test("an operation, its RPC and its command take six places, as agent/README.md lists them", async (t) => {
  const places = placesIn(await readFile(join(repository, "agent/README.md"), "utf8"));
  assert.ok(places.length > 0 && places.length <= MOST_PLACES, `${places.length} places`);
  const directory = await mkdtemp(join(tmpdir(), "socle-new-operation-"));
  t.after(() => rm(directory, { recursive: true }));
  for (const part of ["agent", "proto", "scripts", "test", "package.json", "tsconfig.json", ".oxlintrc.json"])
    await cp(join(repository, part), join(directory, part), { recursive: true });
  await symlink(join(repository, "node_modules"), join(directory, "node_modules"));
  for (const place of places) await follow(place, directory);
  await writeFile(join(directory, "test/made-up.test.ts"), program);

  const run = async (command: string, ...args: string[]): Promise<void> => {
    const running = promisify(execFile)(command, args, {
      cwd: directory,
      timeout: TIMEOUT_MS,
      env: { ...process.env, NODE_TEST_CONTEXT: undefined },
    });
    await running.catch((failed: unknown) => {
      const printed = failed instanceof Error && "stdout" in failed ? String(failed.stdout) : "";
      throw new Error(`${command} failed:\n${printed}`, { cause: failed });
    });
  };
  await run("bash", "scripts/gen-proto");
  await writeFile(
    join(directory, "tsconfig.json"),
    JSON.stringify({
      extends: join(repository, "tsconfig.json"),
      include: ["agent", "test/made-up.test.ts"],
    }),
  );
  await run("node_modules/.bin/oxlint", "--type-check", "--deny-warnings", "agent", "test/made-up.test.ts");
  await run(process.execPath, "--import", "tsx", "--test", "test/made-up.test.ts");
});
