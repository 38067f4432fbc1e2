import { createCipheriv, createDecipheriv, createHash, randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { credentialPath, type CredentialName, type Environment } from "../../kernel/credentials.ts";
import { SocleError } from "../../kernel/errors.ts";
import { codeOf } from "../../kernel/thrown.ts";

const KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const CREDENTIAL: CredentialName = "socle-volume-key";

export interface KeySource {
  /** Holds the volume key; null: systemd's credential does. */
  readonly file: string | null;
  readonly environment: Environment;
}

/**
 * Keeps small secrets sealed under this host's volume key: AES-256-GCM (NIST SP 800-38D), a random nonce each, bound to
 * what the secret is for. The key itself is read whenever it is needed and held no longer.
 */
export class KeyWrap {
  readonly #source: KeySource;

  constructor(source: KeySource) {
    this.#source = source;
  }

  /** Throws `unavailable` VOLUME_KEY_MISSING or VOLUME_KEY_UNUSABLE, saying what to do. */
  async check(): Promise<void> {
    (await this.#key()).fill(0);
  }

  /** What tells this host's key from others. Throws as `check`. */
  async id(): Promise<string> {
    const key = await this.#key();
    try {
      return idOf(key);
    } finally {
      key.fill(0);
    }
  }

  /** `purpose`: what it is for, in words that never change. The answer holds no secret. Throws as `check`. */
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
   * Throws as `check`, `unavailable` VOLUME_KEY_OTHER where another volume key sealed it, and `invalid`
   * WRAPPED_KEY_DAMAGED where it was changed, or sealed for another purpose.
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
    // One byte more than it should have shows that it is too long.
    const found = Buffer.alloc(KEY_BYTES + 1);
    try {
      const handle = await open(path, "r");
      try {
        // A credential has systemd's access list, which shows in its mode as a group's.
        if (file !== null && ((await handle.stat()).mode & 0o077) !== 0)
          throw unusable(`${path} can be read by others than its owner: chmod 600`);
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

/** Tells keys apart, and nothing of them. */
const idOf = (key: Buffer): string =>
  createHash("sha256").update("socle volume key id 1\n").update(key).digest("hex").slice(0, 16);

const WHAT_TO_DO = `give the agent one as systemd's credential ${CREDENTIAL}, or name its file in vm.volumeKeyFile`;

const missing = (path?: string): SocleError =>
  new SocleError(
    "unavailable",
    "VOLUME_KEY_MISSING",
    `this host has no volume key${path === undefined ? "" : ` (${path} is not there)`}: ${WHAT_TO_DO}`,
  );

const unusable = (why: string, cause?: unknown): SocleError =>
  new SocleError("unavailable", "VOLUME_KEY_UNUSABLE", `the volume key cannot be used: ${why}`, { cause });

const otherKey = (sealedBy: string, own: string): SocleError =>
  new SocleError(
    "unavailable",
    "VOLUME_KEY_OTHER",
    `it was sealed by the volume key ${sealedBy}, and this host has ${own}: bring back the one before`,
  );

const damaged = (purpose: string): SocleError =>
  new SocleError(
    "invalid",
    "WRAPPED_KEY_DAMAGED",
    `what is kept as the sealed key of ${purpose} is not what was sealed for it`,
  );
