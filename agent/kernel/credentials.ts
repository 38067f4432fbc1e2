import { existsSync } from "node:fs";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { SocleError } from "./errors.ts";
import { messageOf } from "./thrown.ts";

/** The secrets that systemd may pass to the agent, by their names in the unit's LoadCredentialEncrypted=. */
export type CredentialName =
  | "socle-agent-key"
  | "socle-enrollment-token"
  | "socle-bmc-password"
  | "socle-volume-key";
export type Environment = Readonly<Record<string, string | undefined>>;

/** systemd's limit for a credential. */
const MAX_BYTES = 1024 * 1024;

/**
 * The file of a credential (systemd.exec(5), CREDENTIALS_DIRECTORY): in memory that is never swapped, for this service
 * only. Undefined if the unit has none of that name. It does not change while the service runs.
 */
export function credentialPath(environment: Environment, name: CredentialName): string | undefined {
  const directory = environment["CREDENTIALS_DIRECTORY"];
  if (directory === undefined || directory === "") return undefined;
  const path = join(directory, name);
  return existsSync(path) ? path : undefined;
}

/** The raw bytes, a trailing newline included. Throws `invalid` CREDENTIAL_UNREADABLE, which never contains them. */
export async function readCredential(
  environment: Environment,
  name: CredentialName,
): Promise<Buffer | undefined> {
  const path = credentialPath(environment, name);
  if (path === undefined) return undefined;
  try {
    const file = await open(path, "r");
    try {
      const status = await file.stat();
      if (!status.isFile() || status.size > MAX_BYTES) throw new Error("not a regular file of at most 1 MiB");
      return await file.readFile();
    } finally {
      await file.close();
    }
  } catch (cause) {
    const why = messageOf(cause);
    const message = `the credential ${name} cannot be read: ${why}; see LoadCredentialEncrypted= of the unit`;
    throw new SocleError("invalid", "CREDENTIAL_UNREADABLE", message, { cause });
  }
}
