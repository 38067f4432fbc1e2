import { procedure } from "../rpc/procedure.ts";
import { array, bool, int, opaque, string, uint, uuid } from "../rpc/xdr.ts";
import { secret } from "./objects.ts";

const read = { family: "secret", idempotent: true } as const;
const change = { family: "secret" } as const;

export const connectListAllSecrets = procedure(
  "CONNECT_LIST_ALL_SECRETS",
  287,
  { needResults: bool, flags: uint },
  { secrets: array(secret, 16384), ret: uint },
  read,
);
export const secretLookupByUuid = procedure("SECRET_LOOKUP_BY_UUID", 141, { uuid }, { secret }, read);
export const secretLookupByUsage = procedure(
  "SECRET_LOOKUP_BY_USAGE",
  147,
  { usageType: int, usageId: string() },
  { secret },
  read,
);
export const secretDefineXml = procedure(
  "SECRET_DEFINE_XML",
  142,
  { xml: string(), flags: uint },
  { secret },
  change,
);
export const secretGetXmlDesc = procedure(
  "SECRET_GET_XML_DESC",
  143,
  { secret, flags: uint },
  { xml: string() },
  read,
);
export const secretSetValue = procedure(
  "SECRET_SET_VALUE",
  144,
  { secret, value: opaque(65536), flags: uint },
  {},
  change,
);
export const secretGetValue = procedure(
  "SECRET_GET_VALUE",
  145,
  { secret, flags: uint },
  { value: opaque(65536) },
  read,
);
export const secretUndefine = procedure("SECRET_UNDEFINE", 146, { secret }, {}, change);
