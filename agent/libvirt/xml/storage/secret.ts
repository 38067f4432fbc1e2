import { parseDocument } from "../document.ts";
import { oneOf, present } from "../present.ts";
import { type DocumentRules, node, textNode, write, yes, yesNo } from "../writer.ts";

/** What a secret is for; its value never stands in XML. */
export interface Secret {
  readonly uuid?: string;
  /** Kept in memory alone. */
  readonly ephemeral?: boolean;
  /** Not given out to any caller, only to the host's own drivers. */
  readonly private?: boolean;
  readonly description?: string;
  /** A volume's path, or a name: unique among the secrets of its type. */
  readonly usage?: { readonly type: SecretUsage; readonly id: string };
}

export type SecretUsage = keyof typeof usageElements;

/** The element that holds the id of each type of usage (libvirt's secret.rng). */
const usageElements = {
  volume: "volume",
  ceph: "name",
  iscsi: "target",
  tls: "name",
  vtpm: "name",
} as const;

const usageTypes = ["volume", "ceph", "iscsi", "tls", "vtpm"] as const;

const rules: DocumentRules = {
  root: "secret",
  rule: {
    attributes: { ephemeral: yesNo, private: yesNo },
    children: {
      uuid: { text: "uuid" },
      description: { text: "text" },
      usage: {
        attributes: { type: usageTypes },
        children: { volume: { text: "path" }, name: { text: "name" }, target: { text: "name" } },
      },
    },
  },
};

export function parseSecret(xml: string): Secret {
  const root = parseDocument(xml, "secret");
  const usage = root.child("usage");
  const type = oneOf(usage?.attr("type"), usageTypes);
  return present<Secret>({
    uuid: root.textAt("uuid")?.toLowerCase(),
    ephemeral: root.flagAttr("ephemeral"),
    private: root.flagAttr("private"),
    description: root.textAt("description"),
    usage:
      usage === undefined || type === undefined
        ? undefined
        : { type, id: usage.requireText(usageElements[type]) },
  });
}

/** For `virSecretDefineXML`. */
export function buildSecret(secret: Secret): string {
  const { usage } = secret;
  return write(
    rules,
    node("secret", { ephemeral: yes(secret.ephemeral), private: yes(secret.private) }, [
      textNode("uuid", secret.uuid),
      textNode("description", secret.description),
      usage && node("usage", { type: usage.type }, [textNode(usageElements[usage.type], usage.id)]),
    ]),
  );
}
