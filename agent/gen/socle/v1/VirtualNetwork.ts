// Original file: proto/socle/v1/network.proto

import type { NetworkState as _socle_v1_NetworkState, NetworkState__Output as _socle_v1_NetworkState__Output } from '../../socle/v1/NetworkState.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';

export interface VirtualNetwork {
  'name'?: (string);
  'state'?: (_socle_v1_NetworkState);
  'observation'?: (_socle_v1_Observation | null);
  'networkId'?: (string);
  'bridge'?: (string);
  'forwardMode'?: (string);
  'autostart'?: (boolean);
  'persistent'?: (boolean);
  'dhcp'?: (boolean);
  'addresses'?: (string)[];
  'problem'?: (string);
  '_forwardMode'?: "forwardMode";
  '_autostart'?: "autostart";
  '_persistent'?: "persistent";
  '_dhcp'?: "dhcp";
}

export interface VirtualNetwork__Output {
  'name': (string);
  'state': (_socle_v1_NetworkState__Output);
  'observation': (_socle_v1_Observation__Output | null);
  'networkId': (string);
  'bridge': (string);
  'forwardMode'?: (string);
  'autostart'?: (boolean);
  'persistent'?: (boolean);
  'dhcp'?: (boolean);
  'addresses': (string)[];
  'problem': (string);
  '_forwardMode'?: "forwardMode";
  '_autostart'?: "autostart";
  '_persistent'?: "persistent";
  '_dhcp'?: "dhcp";
}
