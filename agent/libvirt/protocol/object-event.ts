/** Events of networks, pools, host devices and secrets. */
import { event, procedure } from "../rpc/procedure.ts";
import { int, optional, string } from "../rpc/xdr.ts";
import { network, nodeDevice, secret, storagePool } from "./objects.ts";

export const connectNetworkEventRegisterAny = procedure(
  "CONNECT_NETWORK_EVENT_REGISTER_ANY",
  313,
  { eventId: int, net: optional(network) },
  { callbackId: int },
  { family: "network" },
);
export const connectNetworkEventDeregisterAny = procedure(
  "CONNECT_NETWORK_EVENT_DEREGISTER_ANY",
  314,
  { callbackId: int },
  {},
  { family: "network" },
);

export const connectStoragePoolEventRegisterAny = procedure(
  "CONNECT_STORAGE_POOL_EVENT_REGISTER_ANY",
  368,
  { eventId: int, pool: optional(storagePool) },
  { callbackId: int },
  { family: "storage" },
);
export const connectStoragePoolEventDeregisterAny = procedure(
  "CONNECT_STORAGE_POOL_EVENT_DEREGISTER_ANY",
  369,
  { callbackId: int },
  {},
  { family: "storage" },
);

export const connectNodeDeviceEventRegisterAny = procedure(
  "CONNECT_NODE_DEVICE_EVENT_REGISTER_ANY",
  374,
  { eventId: int, dev: optional(nodeDevice) },
  { callbackId: int },
  { family: "nodedev" },
);
export const connectNodeDeviceEventDeregisterAny = procedure(
  "CONNECT_NODE_DEVICE_EVENT_DEREGISTER_ANY",
  375,
  { callbackId: int },
  {},
  { family: "nodedev" },
);

export const connectSecretEventRegisterAny = procedure(
  "CONNECT_SECRET_EVENT_REGISTER_ANY",
  380,
  { eventId: int, secret: optional(secret) },
  { callbackId: int },
  { family: "secret" },
);
export const connectSecretEventDeregisterAny = procedure(
  "CONNECT_SECRET_EVENT_DEREGISTER_ANY",
  381,
  { callbackId: int },
  {},
  { family: "secret" },
);

export const networkEventLifecycle = event("NETWORK_EVENT_LIFECYCLE", 315, {
  callbackId: int,
  net: network,
  event: int,
  detail: int,
});
export const networkEventMetadataChange = event("NETWORK_EVENT_CALLBACK_METADATA_CHANGE", 446, {
  callbackId: int,
  net: network,
  type: int,
  nsuri: optional(string()),
});
export const storagePoolEventLifecycle = event("STORAGE_POOL_EVENT_LIFECYCLE", 370, {
  callbackId: int,
  pool: storagePool,
  event: int,
  detail: int,
});
export const storagePoolEventRefresh = event("STORAGE_POOL_EVENT_REFRESH", 373, {
  callbackId: int,
  pool: storagePool,
});
export const nodeDeviceEventLifecycle = event("NODE_DEVICE_EVENT_LIFECYCLE", 376, {
  callbackId: int,
  dev: nodeDevice,
  event: int,
  detail: int,
});
export const nodeDeviceEventUpdate = event("NODE_DEVICE_EVENT_UPDATE", 377, {
  callbackId: int,
  dev: nodeDevice,
});
export const secretEventLifecycle = event("SECRET_EVENT_LIFECYCLE", 382, {
  callbackId: int,
  secret,
  event: int,
  detail: int,
});
export const secretEventValueChanged = event("SECRET_EVENT_VALUE_CHANGED", 383, { callbackId: int, secret });
export const connectEventConnectionClosed = event("CONNECT_EVENT_CONNECTION_CLOSED", 362, { reason: int });

/** Registered for like `domainEvents`, each with the procedure of its kind. */
export const networkEvents = {
  lifecycle: { eventId: 0, event: networkEventLifecycle },
  metadataChange: { eventId: 1, event: networkEventMetadataChange },
} as const;
export const storagePoolEvents = {
  lifecycle: { eventId: 0, event: storagePoolEventLifecycle },
  refresh: { eventId: 1, event: storagePoolEventRefresh },
} as const;
export const nodeDeviceEvents = {
  lifecycle: { eventId: 0, event: nodeDeviceEventLifecycle },
  update: { eventId: 1, event: nodeDeviceEventUpdate },
} as const;
export const secretEvents = {
  lifecycle: { eventId: 0, event: secretEventLifecycle },
  valueChanged: { eventId: 1, event: secretEventValueChanged },
} as const;
