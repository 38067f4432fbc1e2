// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { int, text, typedParameters, uint, uuid } from "../rpc/xdr.ts";
import { network, networkPort } from "./structs.ts";

export const networkPortLookupByUuid = /* @__PURE__ */ procedure(
  "NETWORK_PORT_LOOKUP_BY_UUID",
  405,
  { network, uuid },
  { port: networkPort },
  { since: "5.5.0", family: "network", onlyReads: true },
);
export const networkPortCreateXml = /* @__PURE__ */ procedure(
  "NETWORK_PORT_CREATE_XML",
  406,
  { network, xml: text, flags: uint },
  { port: networkPort },
  { since: "5.5.0", family: "network" },
);
export const networkPortGetParameters = /* @__PURE__ */ procedure(
  "NETWORK_PORT_GET_PARAMETERS",
  407,
  { port: networkPort, nparams: int, flags: uint },
  { params: /* @__PURE__ */ typedParameters(16), nparams: int },
  { since: "5.5.0", family: "network", onlyReads: true },
);
export const networkPortSetParameters = /* @__PURE__ */ procedure(
  "NETWORK_PORT_SET_PARAMETERS",
  408,
  { port: networkPort, params: /* @__PURE__ */ typedParameters(16), flags: uint },
  {},
  { since: "5.5.0", family: "network" },
);
export const networkPortGetXmlDesc = /* @__PURE__ */ procedure(
  "NETWORK_PORT_GET_XML_DESC",
  409,
  { port: networkPort, flags: uint },
  { xml: text },
  { since: "5.5.0", family: "network", onlyReads: true },
);
export const networkPortDelete = /* @__PURE__ */ procedure(
  "NETWORK_PORT_DELETE",
  410,
  { port: networkPort, flags: uint },
  {},
  { since: "5.5.0", family: "network" },
);
