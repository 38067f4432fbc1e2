// Original file: proto/socle/v1/host.proto

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';

export interface HostIdentity {
  'hostId'?: (string);
  'hostname'?: (string);
  'agentVersion'?: (string);
  'vendor'?: (string);
  'model'?: (string);
  'serial'?: (string);
  'os'?: (string);
  'kernel'?: (string);
  'libvirtVersion'?: (string);
  'hypervisorVersion'?: (string);
  'bootedAt'?: (_google_protobuf_Timestamp | null);
  'agentStartedAt'?: (_google_protobuf_Timestamp | null);
  'labels'?: ({[key: string]: string});
}

export interface HostIdentity__Output {
  'hostId': (string);
  'hostname': (string);
  'agentVersion': (string);
  'vendor': (string);
  'model': (string);
  'serial': (string);
  'os': (string);
  'kernel': (string);
  'libvirtVersion': (string);
  'hypervisorVersion': (string);
  'bootedAt': (_google_protobuf_Timestamp__Output | null);
  'agentStartedAt': (_google_protobuf_Timestamp__Output | null);
  'labels': ({[key: string]: string});
}
