// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
import { event, procedure } from "../rpc/procedure.ts";
import { int, optional } from "../rpc/xdr.ts";
import { domain, network, storagePool, nodeDevice, secret } from "./structs.ts";

export const connectDomainEventRegister = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_EVENT_REGISTER",
  105,
  {},
  { cbRegistered: int },
  { since: "0.5.0" },
);
export const connectDomainEventDeregister = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_EVENT_DEREGISTER",
  106,
  {},
  { cbRegistered: int },
  { since: "0.5.0" },
);
export const connectDomainEventRegisterAny = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_EVENT_REGISTER_ANY",
  167,
  { eventId: int },
  {},
  { since: "0.8.0" },
);
export const connectDomainEventDeregisterAny = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_EVENT_DEREGISTER_ANY",
  168,
  { eventId: int },
  {},
  { since: "0.8.0" },
);
export const connectNetworkEventRegisterAny = /* @__PURE__ */ procedure(
  "CONNECT_NETWORK_EVENT_REGISTER_ANY",
  313,
  { eventId: int, net: /* @__PURE__ */ optional(network) },
  { callbackId: int },
  { since: "1.2.1", family: "network" },
);
export const connectNetworkEventDeregisterAny = /* @__PURE__ */ procedure(
  "CONNECT_NETWORK_EVENT_DEREGISTER_ANY",
  314,
  { callbackId: int },
  {},
  { since: "1.2.1", family: "network" },
);
export const connectDomainEventCallbackRegisterAny = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY",
  316,
  { eventId: int, dom: /* @__PURE__ */ optional(domain) },
  { callbackId: int },
  { since: "1.2.1" },
);
export const connectDomainEventCallbackDeregisterAny = /* @__PURE__ */ procedure(
  "CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY",
  317,
  { callbackId: int },
  {},
  { since: "1.2.1" },
);
export const connectRegisterCloseCallback = /* @__PURE__ */ procedure(
  "CONNECT_REGISTER_CLOSE_CALLBACK",
  360,
  {},
  {},
  { since: "0.10.0" },
);
export const connectUnregisterCloseCallback = /* @__PURE__ */ procedure(
  "CONNECT_UNREGISTER_CLOSE_CALLBACK",
  361,
  {},
  {},
  { since: "0.10.0" },
);
export const connectEventConnectionClosed = /* @__PURE__ */ event(
  "CONNECT_EVENT_CONNECTION_CLOSED",
  362,
  { reason: int },
  { since: "1.2.19" },
);
export const connectStoragePoolEventRegisterAny = /* @__PURE__ */ procedure(
  "CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY",
  368,
  { eventId: int, pool: /* @__PURE__ */ optional(storagePool) },
  { callbackId: int },
  { since: "2.0.0", family: "storage" },
);
export const connectStoragePoolEventDeregisterAny = /* @__PURE__ */ procedure(
  "CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY",
  369,
  { callbackId: int },
  {},
  { since: "2.0.0", family: "storage" },
);
export const connectNodeDeviceEventRegisterAny = /* @__PURE__ */ procedure(
  "CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY",
  374,
  { eventId: int, dev: /* @__PURE__ */ optional(nodeDevice) },
  { callbackId: int },
  { since: "2.2.0", family: "nodedev" },
);
export const connectNodeDeviceEventDeregisterAny = /* @__PURE__ */ procedure(
  "CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY",
  375,
  { callbackId: int },
  {},
  { since: "2.2.0", family: "nodedev" },
);
export const connectSecretEventRegisterAny = /* @__PURE__ */ procedure(
  "CONNECT_SECRET_EVENT_REGISTER_ANY",
  380,
  { eventId: int, secret: /* @__PURE__ */ optional(secret) },
  { callbackId: int },
  { since: "3.0.0", family: "secret" },
);
export const connectSecretEventDeregisterAny = /* @__PURE__ */ procedure(
  "CONNECT_SECRET_EVENT_DEREGISTER_ANY",
  381,
  { callbackId: int },
  {},
  { since: "3.0.0", family: "secret" },
);
