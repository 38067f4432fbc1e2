import { mkdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import * as z from "../kernel/zod.ts";
import { SocleError } from "../kernel/errors.ts";
import type { TrustTexts } from "./trust-set.ts";
import { defined } from "../kernel/defined.ts";
import { codeOf, messageOf } from "../kernel/thrown.ts";
import { refused } from "./revocation.ts";

/**
 * The files of a trust directory: key and certificate together, as enrollment writes them, or separate. The revocation list
 * may be missing.
 */
export const files = {
  pair: "agent.pem",
  certificate: "agent.crt",
  key: "agent.key",
  authorities: "ca.crt",
  revocations: "ca.crl",
} as const;

/** The last set in use, in one file: the files above can be partly written, or edited so that they do not match. */
const lastGoodFile = "last-good.json";

const lastGoodSchema = z.strictObject({
  version: z.literal(1),
  certificate: z.string(),
  /** null: it is elsewhere, as a credential of systemd. */
  key: z.string().nullable(),
  authorities: z.string(),
  revocations: z.string().nullable(),
  /** The set was accepted, and its files may be incomplete. */
  installing: z.boolean(),
});

/** Replaces a file as a whole and durably, mode 0600. */
export type ReplaceFile = (path: string, bytes: Buffer) => Promise<void>;

export class TrustFiles {
  readonly #directory: string;
  readonly #keyPath: string;
  readonly #replaceFile: ReplaceFile;

  /** `keyPath`: the key of a separate certificate; default: agent.key beside it. */
  constructor(directory: string, keyPath: string | undefined, replaceFile: ReplaceFile) {
    this.#directory = directory;
    this.#keyPath = keyPath ?? join(directory, files.key);
    this.#replaceFile = replaceFile;
  }

  /**
   * Throws `not_found` NOT_ENROLLED without a certificate, `invalid` TRUST_INVALID for a file that is missing, unreadable, or
   * holds a key that others can read.
   */
  async read(): Promise<TrustTexts> {
    return {
      ...(await this.#readPair()),
      authoritiesPem: await readNeeded(this.#path(files.authorities)),
      revocationsPem: await readIfThere(this.#path(files.revocations)),
    };
  }

  /** Undefined if absent. Throws as `read`. */
  async readLastGood(): Promise<{ readonly texts: TrustTexts; readonly installing: boolean } | undefined> {
    const path = this.#path(lastGoodFile);
    const text = await readIfThere(path);
    if (text === undefined) return undefined;
    await requirePrivate(path);
    let kept: z.output<typeof lastGoodSchema>;
    try {
      kept = lastGoodSchema.parse(JSON.parse(text));
    } catch (cause) {
      throw refused(`${path} is damaged or of another version: it is not used`, cause);
    }
    const { certificate, key, authorities, revocations, installing } = kept;
    const texts = defined<TrustTexts>({
      certificatePem: certificate,
      keyPem: key ?? (await readNeeded(this.#keyPath)),
      authoritiesPem: authorities,
      revocationsPem: revocations ?? undefined,
    });
    return { texts, installing };
  }

  /** Stores a set that `read` returned and that is in use. */
  async keepAsLastGood(texts: TrustTexts): Promise<void> {
    const isElsewhere =
      this.#keyPath !== this.#path(files.key) && (await readIfThere(this.#path(files.pair))) === undefined;
    await this.#writeLastGood(texts, { keepsKey: !isElsewhere, installing: false });
  }

  /** Resolves when the set survives any crash: by its files, or by `readLastGood` without all of them. */
  async install(texts: TrustTexts): Promise<void> {
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await this.#writeLastGood(texts, { keepsKey: true, installing: true });
    await this.finishInstall(texts);
  }

  async finishInstall(texts: TrustTexts): Promise<void> {
    const { certificatePem, keyPem, authoritiesPem, revocationsPem } = texts;
    const write = (name: string, text: string): Promise<void> =>
      this.#replaceFile(this.#path(name), Buffer.from(text));
    await write(files.authorities, authoritiesPem);
    if (revocationsPem !== undefined) await write(files.revocations, revocationsPem);
    await write(files.pair, `${keyPem.trim()}\n${certificatePem.trim()}\n`);
    await this.#writeLastGood(texts, { keepsKey: true, installing: false });
  }

  /** Changes when a file does. */
  async stamp(): Promise<string> {
    const stamps = Object.values(files).map(async (name) => {
      try {
        const { ino, mtimeMs, size } = await stat(this.#path(name));
        return `${ino} ${mtimeMs} ${size}`;
      } catch {
        return "";
      }
    });
    return (await Promise.all(stamps)).join("\n");
  }

  async #writeLastGood(
    { certificatePem, keyPem, authoritiesPem, revocationsPem }: TrustTexts,
    { keepsKey, installing }: { keepsKey: boolean; installing: boolean },
  ): Promise<void> {
    const kept: z.output<typeof lastGoodSchema> = {
      version: 1,
      certificate: certificatePem,
      key: keepsKey ? keyPem : null,
      authorities: authoritiesPem,
      revocations: revocationsPem ?? null,
      installing,
    };
    await this.#replaceFile(this.#path(lastGoodFile), Buffer.from(`${JSON.stringify(kept, undefined, 2)}\n`));
  }

  /** Throws `not_found` NOT_ENROLLED if there is neither. */
  async #readPair(): Promise<{ certificatePem: string; keyPem: string }> {
    const path = this.#path(files.pair);
    const pair = await readIfThere(path);
    if (pair !== undefined) {
      await requirePrivate(path);
      const blocks = (label: string): string =>
        (pair.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`, "g")) ?? []).join("\n");
      return { certificatePem: blocks("CERTIFICATE"), keyPem: blocks("(?:EC )?PRIVATE KEY") };
    }
    const certificatePem = await readIfThere(this.#path(files.certificate));
    if (certificatePem === undefined) {
      const message = `there is no ${files.pair} or ${files.certificate} in ${this.#directory}: enroll this host (socle enroll), or put its certificate there`;
      throw new SocleError("not_found", "NOT_ENROLLED", message);
    }
    const keyPem = await readNeeded(this.#keyPath);
    await requirePrivate(this.#keyPath);
    return { certificatePem, keyPem };
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }
}

async function requirePrivate(path: string): Promise<void> {
  const mode = (await stat(path)).mode & 0o777;
  if ((mode & 0o027) === 0) return;
  throw refused(`${path} has mode ${mode.toString(8)}: others must not reach it (chmod 600)`);
}

async function readNeeded(path: string): Promise<string> {
  const text = await readIfThere(path);
  if (text === undefined) throw refused(`${path} is missing`);
  return text;
}

async function readIfThere(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, "utf8");
  } catch (thrown) {
    if (codeOf(thrown) === "ENOENT") return undefined;
    const why = messageOf(thrown);
    throw refused(`${path} cannot be read: ${why}`, thrown);
  }
}
