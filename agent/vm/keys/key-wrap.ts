import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { credentialPath, type CredentialName, type Environment } from "../../kernel/credentials.ts";
import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CREDENTIAL: CredentialName = "socle-volume-key";

interface KeySource {
  /** The file with the volume key; null: systemd's credential. */
  readonly file: string | null;
  readonly environment: Environment;
}

/**
 * Seals small secrets with this host's volume key: AES-256-GCM (NIST SP 800-38D) with a random nonce each, bound to the
 * purpose of the secret. The key is read for each use and not kept.
 */
export class KeyWrap {
  readonly #source: KeySource;

  constructor(source: KeySource) {
    this.#source = source;
  }

  /** Throws `unavailable` VOLUME_KEY_MISSING or VOLUME_KEY_UNUSABLE, with advice. */
  async check(): Promise<void> {
    (await this.#key()).fill(0);
  }

  /** Identifies this host's key. Throws as `check`. */
  async id(): Promise<string> {
    const key = await this.#key();
    try {
      return idOf(key);
    } finally {
      key.fill(0);
    }
  }

  /** `purpose`: a text that never changes. The result reveals no secret. Throws as `check`. */
  async wrap(secret: string, purpose: string): Promise<string> {
    const key = await this.#key();
    const nonce = randomBytes(NONCE_BYTES);
    const cipher = createCipheriv("aes-256-gcm", key, nonce).setAAD(Buffer.from(purpose));
    const sealed = Buffer.concat([nonce, cipher.update(secret, "utf8"), cipher.final(), cipher.getAuthTag()]);
    const id = idOf(key);
    key.fill(0);
    return `v1.${id}.${sealed.toString("base64url")}`;
  }

  /**
   * Throws as `check`. `unavailable` VOLUME_KEY_MISMATCH: another volume key sealed it. `invalid` SEALED_KEY_DAMAGED: it
   * was changed, or sealed for another purpose.
   */
  async unwrap(wrapped: string, purpose: string): Promise<string> {
    const [version, id, text, ...rest] = wrapped.split(".");
    const sealed = Buffer.from(text ?? "", "base64url");
    if (version !== "v1" || rest.length > 0 || sealed.length < NONCE_BYTES + TAG_BYTES)
      throw damaged(purpose);
    const key = await this.#key();
    try {
      if (idOf(key) !== id) throw otherKey(id ?? "", idOf(key));
      const decipher = createDecipheriv("aes-256-gcm", key, sealed.subarray(0, NONCE_BYTES), {
        authTagLength: TAG_BYTES,
      });
      decipher.setAAD(Buffer.from(purpose)).setAuthTag(sealed.subarray(-TAG_BYTES));
      const secret = decipher.update(sealed.subarray(NONCE_BYTES, -TAG_BYTES), undefined, "utf8");
      return secret + decipher.final("utf8");
    } catch (thrown) {
      throw thrown instanceof SocleError ? thrown : damaged(purpose);
    } finally {
      key.fill(0);
    }
  }

  async #key(): Promise<Buffer> {
    const { file, environment } = this.#source;
    const path = file ?? credentialPath(environment, CREDENTIAL);
    if (path === undefined) throw missing();
    // One extra byte, to detect a key that is too long.
    const found = Buffer.alloc(KEY_BYTES + 1);
    try {
      const handle = await open(path, "r");
      try {
        // A credential has systemd's access list, which its mode shows as group access.
        if (file !== null && ((await handle.stat()).mode & 0o077) !== 0)
          throw unusable(`${path} is readable by users other than its owner: chmod 600`);
        const { bytesRead } = await handle.read(found, 0, found.length, 0);
        if (bytesRead !== KEY_BYTES)
          throw unusable(
            `${path} must hold exactly ${KEY_BYTES} random bytes (openssl rand -out FILE ${KEY_BYTES})`,
          );
      } finally {
        await handle.close();
      }
    } catch (thrown) {
      found.fill(0);
      if (thrown instanceof SocleError) throw thrown;
      const code = codeOf(thrown) ?? "";
      throw code === "ENOENT" ? missing(path) : unusable(`${path} cannot be read (${code})`, thrown);
    }
    return found.subarray(0, KEY_BYTES);
  }
}

/** Identifies a key without revealing it. */
const idOf = (key: Buffer): string =>
  createHash("sha256").update("socle volume key id 1\n").update(key).digest("hex").slice(0, 16);

const WHAT_TO_DO = `give the agent one as systemd's credential ${CREDENTIAL}, or name its file in vm.volumeKeyFile`;

const missing = (path?: string): SocleError =>
  new SocleError(
    "unavailable",
    "VOLUME_KEY_MISSING",
    `this host has no volume key${path === undefined ? "" : ` (${path} does not exist)`}: ${WHAT_TO_DO}`,
  );

const unusable = (why: string, cause?: unknown): SocleError =>
  new SocleError("unavailable", "VOLUME_KEY_UNUSABLE", `the volume key cannot be used: ${why}`, { cause });

const otherKey = (sealedBy: string, own: string): SocleError =>
  new SocleError(
    "unavailable",
    "VOLUME_KEY_MISMATCH",
    `it was sealed by the volume key ${sealedBy}, and this host has ${own}: restore the previous key`,
  );

const damaged = (purpose: string): SocleError =>
  new SocleError(
    "invalid",
    "SEALED_KEY_DAMAGED",
    `the stored sealed key of ${purpose} was changed, or sealed for another purpose`,
  );
