// Generated from libvirt 11.3.0 by scripts/gen-libvirt; do not edit.
export const NetworkXMLFlags = { INACTIVE: 1 } as const;
export const ConnectListAllNetworksFlags = {
  INACTIVE: 1,
  ACTIVE: 2,
  PERSISTENT: 4,
  TRANSIENT: 8,
  AUTOSTART: 16,
  NO_AUTOSTART: 32,
} as const;
export const NetworkCreateFlags = { VALIDATE: 1 } as const;
export const NetworkDefineFlags = { VALIDATE: 1 } as const;
export const NetworkUpdateCommand = { NONE: 0, MODIFY: 1, DELETE: 2, ADD_LAST: 3, ADD_FIRST: 4 } as const;
export const NetworkUpdateSection = {
  NONE: 0,
  BRIDGE: 1,
  DOMAIN: 2,
  IP: 3,
  IP_DHCP_HOST: 4,
  IP_DHCP_RANGE: 5,
  FORWARD: 6,
  FORWARD_INTERFACE: 7,
  FORWARD_PF: 8,
  PORTGROUP: 9,
  DNS_HOST: 10,
  DNS_TXT: 11,
  DNS_SRV: 12,
} as const;
export const NetworkUpdateFlags = { CURRENT: 0, LIVE: 1, CONFIG: 2 } as const;
export const NetworkEventLifecycleType = { DEFINED: 0, UNDEFINED: 1, STARTED: 2, STOPPED: 3 } as const;
export const NetworkEventID = { LIFECYCLE: 0, METADATA_CHANGE: 1 } as const;
export const IPAddrType = { IPV4: 0, IPV6: 1 } as const;
export const NetworkPortCreateFlags = { RECLAIM: 1, VALIDATE: 2 } as const;
export const NetworkMetadataType = { DESCRIPTION: 0, TITLE: 1, ELEMENT: 2 } as const;
export const VIR_NETWORK_PORT_BANDWIDTH_IN_AVERAGE = "inbound.average";
export const VIR_NETWORK_PORT_BANDWIDTH_IN_PEAK = "inbound.peak";
export const VIR_NETWORK_PORT_BANDWIDTH_IN_BURST = "inbound.burst";
export const VIR_NETWORK_PORT_BANDWIDTH_IN_FLOOR = "inbound.floor";
export const VIR_NETWORK_PORT_BANDWIDTH_OUT_AVERAGE = "outbound.average";
export const VIR_NETWORK_PORT_BANDWIDTH_OUT_PEAK = "outbound.peak";
export const VIR_NETWORK_PORT_BANDWIDTH_OUT_BURST = "outbound.burst";
