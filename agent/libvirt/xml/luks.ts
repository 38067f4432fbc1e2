import { node, type ElementRule, type XmlNode } from "./writer.ts";

/** `<encryption>` of a disk or a volume: LUKS, with the passphrase in a libvirt secret. */
export const luksRule: ElementRule = {
  attributes: { format: ["luks"] },
  children: { secret: { attributes: { type: ["passphrase"], uuid: "uuid" } } },
};

export function luksNode(secretUuid: string | undefined): XmlNode | undefined {
  if (secretUuid === undefined) return undefined;
  return node("encryption", { format: "luks" }, [node("secret", { type: "passphrase", uuid: secretUuid })]);
}
