// Original file: proto/socle/v1/vm.proto

import type { VmState as _socle_v1_VmState, VmState__Output as _socle_v1_VmState__Output } from '../../socle/v1/VmState.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from '../../socle/v1/Observation.ts';
import type { VmSpec as _socle_v1_VmSpec, VmSpec__Output as _socle_v1_VmSpec__Output } from '../../socle/v1/VmSpec.ts';
import type { VmStats as _socle_v1_VmStats, VmStats__Output as _socle_v1_VmStats__Output } from '../../socle/v1/VmStats.ts';
import type { Accelerator as _socle_v1_Accelerator, Accelerator__Output as _socle_v1_Accelerator__Output } from '../../socle/v1/Accelerator.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from '../../google/protobuf/Timestamp.ts';
import type { NicStatus as _socle_v1_NicStatus, NicStatus__Output as _socle_v1_NicStatus__Output } from '../../socle/v1/NicStatus.ts';
import type { Rescue as _socle_v1_Rescue, Rescue__Output as _socle_v1_Rescue__Output } from '../../socle/v1/Rescue.ts';
import type { Long } from '@grpc/proto-loader';

export interface Vm {
  'vmId'?: (string);
  'name'?: (string);
  'state'?: (_socle_v1_VmState);
  'stateReason'?: (string);
  'managed'?: (boolean);
  'observation'?: (_socle_v1_Observation | null);
  'spec'?: (_socle_v1_VmSpec | null);
  'stats'?: (_socle_v1_VmStats | null);
  'vcpus'?: (number);
  'memoryBytes'?: (number | string | Long);
  'accelerator'?: (_socle_v1_Accelerator);
  'tenant'?: (string);
  'labels'?: ({[key: string]: string});
  'createdAt'?: (_google_protobuf_Timestamp | null);
  'placementEpoch'?: (number | string | Long);
  'etag'?: (string);
  'instance'?: (string);
  'unreadable'?: (string);
  'savedState'?: (boolean);
  'nics'?: (_socle_v1_NicStatus)[];
  'watchdogExpirations'?: (number);
  'watchdogExpiredAt'?: (_google_protobuf_Timestamp | null);
  'rescue'?: (_socle_v1_Rescue | null);
  '_savedState'?: "savedState";
}

export interface Vm__Output {
  'vmId': (string);
  'name': (string);
  'state': (_socle_v1_VmState__Output);
  'stateReason': (string);
  'managed': (boolean);
  'observation': (_socle_v1_Observation__Output | null);
  'spec': (_socle_v1_VmSpec__Output | null);
  'stats': (_socle_v1_VmStats__Output | null);
  'vcpus': (number);
  'memoryBytes': (number);
  'accelerator': (_socle_v1_Accelerator__Output);
  'tenant': (string);
  'labels': ({[key: string]: string});
  'createdAt': (_google_protobuf_Timestamp__Output | null);
  'placementEpoch': (number);
  'etag': (string);
  'instance': (string);
  'unreadable': (string);
  'savedState'?: (boolean);
  'nics': (_socle_v1_NicStatus__Output)[];
  'watchdogExpirations': (number);
  'watchdogExpiredAt': (_google_protobuf_Timestamp__Output | null);
  'rescue': (_socle_v1_Rescue__Output | null);
  '_savedState'?: "savedState";
}
