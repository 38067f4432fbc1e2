import type { XmlElement } from "../element.ts";
import { present } from "../present.ts";
import { type ElementRule, node, textNode, type XmlNode } from "../writer.ts";

/** Owner, group and mode of a file that libvirt's storage drivers make. */
export interface Permissions {
  /** The file mode, e.g. 0o600. */
  readonly mode?: number;
  readonly ownerId?: number;
  readonly groupId?: number;
}

export const permissionsRule: ElementRule = {
  children: { mode: { text: "octal" }, owner: { text: "integer" }, group: { text: "integer" } },
};

/** libvirt writes owner and group 4294967295 (-1) for "as it comes". */
export function readPermissions(element: XmlElement | undefined): Permissions | undefined {
  if (element === undefined) return undefined;
  const mode = element.textAt("mode");
  const id = (name: string) => {
    const value = element.integerAt(name);
    return value === undefined || value < 0 || value === 0xffff_ffff ? undefined : value;
  };
  return present<Permissions>({
    mode: mode !== undefined && /^[0-7]{1,6}$/.test(mode) ? parseInt(mode, 8) : undefined,
    ownerId: id("owner"),
    groupId: id("group"),
  });
}

export function permissionsNode(permissions: Permissions | undefined): XmlNode | undefined {
  if (permissions === undefined) return undefined;
  const { mode } = permissions;
  return node("permissions", {}, [
    textNode("mode", mode === undefined ? undefined : `0${mode.toString(8)}`),
    textNode("owner", permissions.ownerId),
    textNode("group", permissions.groupId),
  ]);
}
