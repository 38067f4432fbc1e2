import { createHash, randomBytes } from "node:crypto";
import type { Clock } from "../../kernel/clock.ts";
import { ifPresent, toSocleError } from "../../kernel/errors.ts";
import { uuidOf } from "../../kernel/text/uuid.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildSecret, parseSecret } from "../../libvirt/xml/index.ts";
import { Certainty, type LibvirtCalls } from "../hypervisor/certainty.ts";
import { NO_SECRET } from "../hypervisor/unique-secret.ts";
import type { KeyWrap } from "./key-wrap.ts";
import type { SealedKeys } from "../model/sealed-keys.ts";

const PASSPHRASE_BYTES = 32;

/**
 * The passphrases of guests' encrypted disks and TPMs. libvirt gets each as a secret, which it keeps only in memory and
 * gives only to QEMU. On disk there is only the sealed form (key-wrap.ts), in the domain's metadata.
 */
export class GuestKeys {
  readonly #libvirt: LibvirtCalls;
  readonly #certainty: Certainty;
  readonly #wrap: KeyWrap;

  constructor(calls: LibvirtCalls, clock: Clock, wrap: KeyWrap) {
    this.#libvirt = calls;
    this.#certainty = new Certainty(calls, clock);
    this.#wrap = wrap;
  }

  /** Throws as `KeyWrap.check`: without a volume key no encryption is possible here. */
  async check(): Promise<void> {
    await this.#wrap.check();
  }

  /** Seals a text; undefined without a volume key. Throws `unavailable` VOLUME_KEY_UNUSABLE. */
  async seal(text: string, purpose: string): Promise<string | undefined> {
    return await this.#wrap.wrap(text, purpose).catch((thrown: unknown) => {
      if (toSocleError(thrown).reason === "VOLUME_KEY_MISSING") return undefined;
      throw thrown;
    });
  }

  /** Throws as `KeyWrap.unwrap`. */
  async unseal(sealed: string, purpose: string): Promise<string> {
    return await this.#wrap.unwrap(sealed, purpose);
  }

  /** Makes a passphrase; libvirt has it when this resolves. Returns its sealed form. */
  async make(vmId: string, part: string): Promise<string> {
    // Text, since QEMU takes passphrases only in UTF-8.
    const passphrase = randomBytes(PASSPHRASE_BYTES).toString("base64url");
    const sealed = await this.#wrap.wrap(passphrase, purposeOf(vmId, part));
    await this.#give(vmId, part, passphrase);
    return sealed;
  }

  /** For what the agent itself encrypts. Throws as `KeyWrap.unwrap`. */
  async passphrase(vmId: string, part: string, sealed: string): Promise<string> {
    return await this.#wrap.unwrap(sealed, purposeOf(vmId, part));
  }

  /** Gives them to libvirt again, which forgets them at a restart. Throws as `KeyWrap.unwrap`. */
  async restore(vmId: string, keys: SealedKeys): Promise<void> {
    for (const [part, sealed] of Object.entries(keys))
      await this.#give(vmId, part, await this.passphrase(vmId, part, sealed));
  }

  /** Removes it from libvirt. Also succeeds if libvirt does not have it. */
  async forget(vmId: string, part: string): Promise<void> {
    const uuid = secretUuid(vmId, part);
    await this.#certainty.ensure(() =>
      ifPresent(NO_SECRET, async () => {
        const { secret } = await this.#libvirt.call(libvirt.secretLookupByUuid, { uuid });
        await this.#libvirt.call(libvirt.secretUndefine, { secret });
      }),
    );
  }

  /** As `forget`, for a VM whose parts are not known: removes all secrets made for it. */
  async forgetAll(vmId: string): Promise<void> {
    const all = { needResults: true, flags: 0 };
    const { secrets } = await this.#libvirt
      .call(libvirt.connectListAllSecrets, all)
      .catch((thrown: unknown) => {
        // A libvirt without a secret driver has no secrets.
        if (toSocleError(thrown).kind === "unsupported") return { secrets: [] };
        throw thrown;
      });
    for (const secret of secrets) {
      // Guests' secrets have UUIDs of version 8: others are skipped.
      if (secret.uuid[14] !== "8") continue;
      const part = await this.#partOf(vmId, secret);
      if (part !== undefined) await this.forget(vmId, part);
    }
  }

  /** From the description, if it matches the UUID: other clients can put any description on a secret. */
  async #partOf(vmId: string, secret: libvirt.Secret): Promise<string | undefined> {
    return await ifPresent(NO_SECRET, async () => {
      const { xml } = await this.#libvirt.call(libvirt.secretGetXmlDesc, { secret, flags: 0 });
      const { description = "" } = parseSecret(xml);
      const part = description.slice("Socle: ".length, -` of VM ${vmId}`.length);
      return descriptionOf(vmId, part) === description && secretUuid(vmId, part) === secret.uuid
        ? part
        : undefined;
    });
  }

  async #give(vmId: string, part: string, passphrase: string): Promise<void> {
    const description = descriptionOf(vmId, part);
    const xml = buildSecret({ uuid: secretUuid(vmId, part), ephemeral: true, private: true, description });
    const value = Buffer.from(passphrase);
    // Both may be repeated, so the outcome of a lost reply does not matter.
    await this.#certainty.ensure(async () => {
      const { secret } = await this.#libvirt.call(libvirt.secretDefineXml, { xml, flags: 0 });
      await this.#libvirt.call(libvirt.secretSetValue, { secret, value, flags: 0 });
    });
  }
}

/** Bound to the VM and the part: a sealed key that is copied to another VM's metadata opens nothing. */
const purposeOf = (vmId: string, part: string): string => `socle guest key 1 ${vmId} ${part}`;

const descriptionOf = (vmId: string, part: string): string => `Socle: ${part} of VM ${vmId}`;

/** The UUID of the libvirt secret, the same at any time and on any host. */
export const secretUuid = (vmId: string, part: string): string =>
  uuidOf(createHash("sha256").update(purposeOf(vmId, part)).digest(), 8);
