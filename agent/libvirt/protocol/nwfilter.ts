// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { procedure } from "../rpc/procedure.ts";
import { text, uint, uuid } from "../rpc/xdr.ts";
import { nwfilter, nwfilterBinding } from "./structs.ts";

export const nwfilterLookupByName = /* @__PURE__ */ procedure(
  "NWFILTER_LOOKUP_BY_NAME",
  175,
  { name: text },
  { nwfilter },
  { since: "0.8.0", family: "nwfilter", onlyReads: true },
);
export const nwfilterLookupByUuid = /* @__PURE__ */ procedure(
  "NWFILTER_LOOKUP_BY_UUID",
  176,
  { uuid },
  { nwfilter },
  { since: "0.8.0", family: "nwfilter", onlyReads: true },
);
export const nwfilterGetXmlDesc = /* @__PURE__ */ procedure(
  "NWFILTER_GET_XML_DESC",
  177,
  { nwfilter, flags: uint },
  { xml: text },
  { since: "0.8.0", family: "nwfilter", onlyReads: true },
);
export const nwfilterDefineXml = /* @__PURE__ */ procedure(
  "NWFILTER_DEFINE_XML",
  180,
  { xml: text },
  { nwfilter },
  { since: "0.8.0", family: "nwfilter" },
);
export const nwfilterUndefine = /* @__PURE__ */ procedure(
  "NWFILTER_UNDEFINE",
  181,
  { nwfilter },
  {},
  { since: "0.8.0", family: "nwfilter" },
);
export const nwfilterBindingLookupByPortDev = /* @__PURE__ */ procedure(
  "NWFILTER_BINDING_LOOKUP_BY_PORT_DEV",
  397,
  { name: text },
  { nwfilter: nwfilterBinding },
  { since: "4.5.0", family: "nwfilter", onlyReads: true },
);
export const nwfilterBindingGetXmlDesc = /* @__PURE__ */ procedure(
  "NWFILTER_BINDING_GET_XML_DESC",
  398,
  { nwfilter: nwfilterBinding, flags: uint },
  { xml: text },
  { since: "4.5.0", family: "nwfilter", onlyReads: true },
);
export const nwfilterBindingCreateXml = /* @__PURE__ */ procedure(
  "NWFILTER_BINDING_CREATE_XML",
  399,
  { xml: text, flags: uint },
  { nwfilter: nwfilterBinding },
  { since: "4.5.0", family: "nwfilter" },
);
export const nwfilterBindingDelete = /* @__PURE__ */ procedure(
  "NWFILTER_BINDING_DELETE",
  400,
  { nwfilter: nwfilterBinding },
  {},
  { since: "4.5.0", family: "nwfilter" },
);
export const nwfilterDefineXmlFlags = /* @__PURE__ */ procedure(
  "NWFILTER_DEFINE_XML_FLAGS",
  431,
  { xml: text, flags: uint },
  { nwfilter },
  { since: "7.7.0", family: "nwfilter" },
);
