import { procedure } from "../rpc/procedure.ts";
import { array, bool, string, uint, uuid } from "../rpc/xdr.ts";
import { nwfilter, nwfilterBinding } from "./objects.ts";

const read = { family: "nwfilter", idempotent: true } as const;
const change = { family: "nwfilter" } as const;

export const connectListAllNwfilters = procedure(
  "CONNECT_LIST_ALL_NWFILTERS",
  286,
  { needResults: bool, flags: uint },
  { filters: array(nwfilter, 16384), ret: uint },
  read,
);
export const nwfilterLookupByName = procedure(
  "NWFILTER_LOOKUP_BY_NAME",
  175,
  { name: string() },
  { nwfilter },
  read,
);
export const nwfilterLookupByUuid = procedure("NWFILTER_LOOKUP_BY_UUID", 176, { uuid }, { nwfilter }, read);
export const nwfilterDefineXml = procedure(
  "NWFILTER_DEFINE_XML",
  180,
  { xml: string() },
  { nwfilter },
  change,
);
export const nwfilterDefineXmlFlags = procedure(
  "NWFILTER_DEFINE_XML_FLAGS",
  431,
  { xml: string(), flags: uint },
  { nwfilter },
  change,
);
export const nwfilterGetXmlDesc = procedure(
  "NWFILTER_GET_XML_DESC",
  177,
  { nwfilter, flags: uint },
  { xml: string() },
  read,
);
export const nwfilterUndefine = procedure("NWFILTER_UNDEFINE", 181, { nwfilter }, {}, change);

// A binding is a filter at work on a tap device.
export const connectListAllNwfilterBindings = procedure(
  "CONNECT_LIST_ALL_NWFILTER_BINDINGS",
  401,
  { needResults: bool, flags: uint },
  { bindings: array(nwfilterBinding, 16384), ret: uint },
  read,
);
export const nwfilterBindingLookupByPortDev = procedure(
  "NWFILTER_BINDING_LOOKUP_BY_PORT_DEV",
  397,
  { name: string() },
  { nwfilter: nwfilterBinding },
  read,
);
export const nwfilterBindingGetXmlDesc = procedure(
  "NWFILTER_BINDING_GET_XML_DESC",
  398,
  { nwfilter: nwfilterBinding, flags: uint },
  { xml: string() },
  read,
);
export const nwfilterBindingCreateXml = procedure(
  "NWFILTER_BINDING_CREATE_XML",
  399,
  { xml: string(), flags: uint },
  { nwfilter: nwfilterBinding },
  change,
);
export const nwfilterBindingDelete = procedure(
  "NWFILTER_BINDING_DELETE",
  400,
  { nwfilter: nwfilterBinding },
  {},
  change,
);
