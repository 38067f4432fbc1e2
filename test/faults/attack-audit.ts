import { execFile } from "node:child_process";
import { createHash, generateKeyPairSync, randomInt, randomUUID, sign } from "node:crypto";
import { cp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { digestOf } from "../../agent/audit/chain.ts";
import { eventually } from "../support/wait.ts";
import type { Stage } from "./attack-stage.ts";
import type { Outcome, Theme, Try } from "./attack-runner.ts";

/** The length of the hash and the blank before each entry's JSON. */
const HASH_CHARS = 64;
const DAMAGES_OF_A_KIND = 5;

interface Verdict {
  readonly code: number | string | null;
  /** The first bad entry, as the command names it. */
  readonly sequence: number | undefined;
  readonly words: string;
}

/** An editable copy of the agent's audit log: its only segment, line by line. */
interface Copy {
  readonly directory: string;
  readonly segment: string;
  /** The header, then one line per entry. */
  readonly lines: readonly string[];
  readonly write: (lines: readonly string[]) => Promise<void>;
}

/** Edits of the audit log by an intruder with root's rights: the command names the first changed entry. */
export async function audit(stage: Stage): Promise<Theme> {
  const { host, run } = stage;
  const { bundle } = host;
  const original = join(host.agent.directory, "state/audit");
  const kept = await stage.temporary();
  const key = join(kept, "key.pub");
  const anchors = join(kept, "checkpoints.jsonl");
  const verify = (directory: string, ...options: readonly string[]): Promise<Verdict> =>
    verdict(bundle, ["audit", "verify", "--directory", directory, "--key", key, "--json", ...options]);
  const early = join(kept, "early");
  await cp(original, early, { recursive: true });
  const { reservationId } = await host.reserve(randomUUID());
  const { reservations } = host.client.contract;
  await host.client.ask(reservations.ReleaseReservation, { requestId: randomUUID(), reservationId });
  const before = await headOf(early);
  // The entries of the attacks so far are valid and signed to the end.
  await eventually(
    async () => {
      await rm(join(kept, "log"), { recursive: true, force: true });
      await cp(original, join(kept, "log"), { recursive: true });
      await cp(join(original, "key.pub"), key);
      if ((await headOf(join(kept, "log"))) <= before) return false;
      return (await verify(join(kept, "log"))).code === 0;
    },
    { what: "a good copy of the audit log", timeoutMs: 60_000, intervalMs: 500 },
  );
  const { stdout: checkpoint } = await socle(bundle, [
    "audit",
    "checkpoint",
    "--directory",
    join(kept, "log"),
  ]);
  await writeFile(anchors, checkpoint);
  const head = await headOf(join(kept, "log"));

  let copies = 0;
  const copy = async (): Promise<Copy> => {
    const directory = join(kept, `copy-${(copies += 1)}`);
    await cp(join(kept, "log"), directory, { recursive: true });
    const [segment = ""] = (await readdir(directory))
      .filter((name) => name.startsWith("audit-"))
      .sort()
      .slice(-1);
    const path = join(directory, segment);
    const lines = (await readFile(path, "utf8")).trimEnd().split("\n");
    const write = (all: readonly string[]): Promise<void> =>
      writeFile(path, all.map((line) => `${line}\n`).join(""));
    return { directory, segment, lines, write };
  };
  /** Detected at `first` or earlier; with `exact`, exactly there. */
  const seen = async (
    change: (copy: Copy) => Promise<{ first?: number; exact?: boolean }>,
    ...options: readonly string[]
  ): Promise<Outcome> => {
    const victim = await copy();
    const { first, exact = true } = await change(victim);
    const { code, sequence, words } = await verify(victim.directory, ...options);
    await rm(victim.directory, { recursive: true });
    if (code === 0) return { letThrough: "it is accepted as valid" };
    if (code !== 1) throw new Error(`the command exits with ${code}: ${words}`);
    if (first === undefined || sequence === first || (!exact && (sequence ?? Infinity) <= first))
      return "refused";
    return { letThrough: `entry ${sequence} is named, but ${first} is the first` };
  };
  const tries: Try[] = [];
  const add = (what: string, attack: () => Promise<Outcome>): void => void tries.push({ what, attack });
  /** An entry before a signed checkpoint. */
  const somewhere = (lines: readonly string[]): number => randomInt(2, lines.findLastIndex(isCheckpoint) - 1);
  const signed = (at: number, lines: readonly string[]): number => sequenceOf(lines[at]);

  for (let each = 1; each <= DAMAGES_OF_A_KIND; each += 1) {
    add(`an entry edited (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(lines.with(at, edited(lines[at])));
        return { first: signed(at, lines) };
      }),
    );
    add(`an entry edited, with matching hashes (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(chained(lines.with(at, edited(lines[at])), at));
        return { first: signed(at, lines), exact: false };
      }),
    );
    add(`an entry taken out (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(lines.toSpliced(at, 1));
        return { first: signed(at, lines) };
      }),
    );
    add(`an entry taken out, with matching hashes (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(chained(lines.toSpliced(at, 1), at));
        return { first: signed(at, lines) };
      }),
    );
    add(`two entries exchanged (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(lines.with(at, lines[at + 1] ?? "").with(at + 1, lines[at] ?? ""));
        return { first: signed(at, lines) };
      }),
    );
    add(`an entry stored twice (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(lines.toSpliced(at, 0, lines[at - 1] ?? ""));
        return { first: signed(at, lines) };
      }),
    );
    add(`an entry put in, with matching hashes (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(chained(lines.toSpliced(at, 0, lines[at] ?? ""), at));
        return { first: signed(at, lines) + 1, exact: false };
      }),
    );
    add(`the end cut off (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(lines.slice(0, at));
        return { first: signed(at, lines) };
      }),
    );
    add(`the end cut off in the middle of an entry (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = somewhere(lines);
        await write(lines.slice(0, at + 1).with(at, (lines[at] ?? "").slice(0, 90)));
        return { first: signed(at, lines), exact: false };
      }),
    );
    add(`one bit of a checkpoint's signature (${each})`, () =>
      seen(async ({ lines, write }) => {
        const at = lines.findIndex((line, index) => index >= somewhere(lines) && isCheckpoint(line));
        await write(chained(lines.with(at, otherSignature(lines[at] ?? "")), at));
        return { first: signed(at, lines), exact: false };
      }),
    );
  }
  add("the whole log removed", () =>
    seen(async ({ directory, segment }) => {
      await rm(join(directory, segment));
      return {};
    }),
  );
  add("its head gone", () =>
    seen(async ({ directory }) => {
      await rm(join(directory, "head.json"));
      return {};
    }),
  );
  add("an earlier head", () =>
    seen(async ({ directory }) => {
      const path = join(directory, "head.json");
      const stored = JSON.parse(await readFile(path, "utf8")) as { sequence: number };
      await writeFile(path, JSON.stringify({ ...stored, sequence: stored.sequence - 1 }));
      return {};
    }),
  );
  add("an earlier log, against a stored checkpoint", () =>
    seen(
      async ({ directory }) => {
        await rm(directory, { recursive: true });
        await cp(early, directory, { recursive: true });
        return {};
      },
      "--checkpoint",
      anchors,
    ),
  );
  add("the key and all signatures replaced", () =>
    seen(async (victim) => {
      await resigned(victim);
      return { first: head, exact: false };
    }),
  );
  const check = async (): Promise<void> => {
    // After all attacks the log itself is valid, except for entries that are not signed yet.
    await eventually(async () => (await verify(original)).code === 0, {
      what: "the agent's own audit log to be valid",
      timeoutMs: 60_000,
      intervalMs: 500,
    }).catch((thrown: unknown) => run.violation(`audit: ${String(thrown)}`));
  };
  return { name: "audit", tries, check };
}

/** The newest entry with a signature. */
async function headOf(directory: string): Promise<number> {
  return (JSON.parse(await readFile(join(directory, "head.json"), "utf8")) as { sequence: number }).sequence;
}

const isCheckpoint = (line: string): boolean => line.includes('"act":"checkpoint"');

const sequenceOf = (line = ""): number =>
  (JSON.parse(line.slice(HASH_CHARS + 1)) as { sequence: number }).sequence;

/** Names another caller. */
function edited(line = ""): string {
  const changed = line.replace(/("act":")([a-z_]+)"/, '$1$2x"');
  return changed === line ? `${line} ` : changed;
}

function otherSignature(line: string): string {
  return line.replace(
    /("signature":")(.)/,
    (_all, before: string, letter: string) => before + (letter === "A" ? "B" : "A"),
  );
}

/** Recomputes the hashes from `from` on, as an attacker who knows the format does. */
function chained(lines: readonly string[], from: number): string[] {
  const out = lines.slice(0, from);
  for (const line of lines.slice(from)) {
    const json = line.slice(HASH_CHARS + 1);
    const last = out.at(-1) ?? "";
    const before = last.startsWith("{")
      ? (JSON.parse(last) as { previous: string }).previous
      : last.slice(0, HASH_CHARS);
    const digest = digestOf(json);
    const hash = createHash("sha256")
      .update(Buffer.from(before + digest, "hex"))
      .digest("hex");
    out.push(`${hash} ${json}`);
  }
  return out;
}

/** An attack with root's rights: a new key, and every checkpoint signed with it. */
async function resigned({ directory, lines, write }: Copy): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  await writeFile(join(directory, "key.pub"), publicKey.export({ type: "spki", format: "pem" }));
  const path = join(directory, "head.json");
  const head = JSON.parse(await readFile(path, "utf8")) as Record<string, unknown>;
  const signature = sign(null, Buffer.from(JSON.stringify(head)), privateKey).toString("base64");
  await writeFile(path, JSON.stringify({ ...head, signature }));
  await write(lines.map((line) => line.replace(/"signature":"[^"]+"/, `"signature":"${signature}"`)));
}

async function verdict(bundle: string, args: readonly string[]): Promise<Verdict> {
  const { code, stdout, words } = await socle(bundle, args);
  const report = stdout.startsWith("{") ? (JSON.parse(stdout) as { problem?: { sequence: number } }) : {};
  return { code, sequence: report.problem?.sequence, words };
}

/** The command as it is installed. */
function socle(
  bundle: string,
  args: readonly string[],
): Promise<{ code: number | string | null; stdout: string; words: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [bundle, ...args], { maxBuffer: 2 ** 26 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : (error.code ?? null), stdout, words: `${stderr}${stdout}` });
    });
  });
}
