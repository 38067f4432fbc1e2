import type * as z from "../../kernel/zod.ts";
import { ifPresent } from "../../kernel/errors.ts";
import { parseJson } from "../../kernel/text/json.ts";
import * as libvirt from "../../libvirt/index.ts";
import { buildSecret, parseSecret } from "../../libvirt/xml/index.ts";
import type { LibvirtCalls } from "./certainty.ts";

export interface Found<T> {
  readonly secret: libvirt.Secret;
  /** Undefined if it does not match the schema. */
  readonly record: T | undefined;
}

const CALL_MS = 10_000;
export const NO_SECRET = "LIBVIRT_NO_SECRET";

/**
 * A record that libvirt stores once: in the description of a secret without a value. Only one secret can have its
 * usage.
 */
export class UniqueSecret<S extends z.ZodType> {
  readonly #libvirt: Pick<LibvirtCalls, "call">;
  readonly #usage: string;
  readonly #schema: S;
  /** As last read: it is found again every few seconds, and seldom changed. */
  #last: { readonly xml: string; readonly record: z.output<S> | undefined } | undefined;

  constructor(calls: Pick<LibvirtCalls, "call">, usage: string, schema: S) {
    this.#libvirt = calls;
    this.#usage = usage;
    this.#schema = schema;
  }

  async find(): Promise<Found<z.output<S>> | undefined> {
    const usageType = libvirt.SecretUsageType.TLS;
    return await ifPresent(NO_SECRET, async () => {
      const { secret } = await this.#call(libvirt.secretLookupByUsage, { usageType, usageId: this.#usage });
      const { xml } = await this.#call(libvirt.secretGetXmlDesc, { secret, flags: 0 });
      if (this.#last?.xml !== xml) {
        const { description = "" } = parseSecret(xml);
        this.#last = { xml, record: this.#schema.safeParse(parseJson(description)).data };
      }
      return { secret, record: this.#last.record };
    });
  }

  /** Replaces the secret of this uuid. libvirt refuses it if a secret of another uuid has the usage. */
  async define(uuid: string, record: z.output<S>, timeoutMs?: number): Promise<void> {
    const usage = { type: "tls", id: this.#usage } as const;
    const xml = buildSecret({ uuid, private: true, description: JSON.stringify(record), usage });
    await this.#call(libvirt.secretDefineXml, { xml, flags: 0 }, timeoutMs);
  }

  /** Removes only this secret: another agent may have its own by now. */
  async remove(secret: libvirt.Secret): Promise<void> {
    await ifPresent(NO_SECRET, () => this.#call(libvirt.secretUndefine, { secret }));
  }

  #call<A, R>(procedure: libvirt.Procedure<A, R>, args: A, timeoutMs = CALL_MS): Promise<R> {
    return this.#libvirt.call(procedure, args, { timeoutMs });
  }
}
