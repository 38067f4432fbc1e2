// Original file: proto/socle/v1/host.proto

import type { HostIdentity as _socle_v1_HostIdentity, HostIdentity__Output as _socle_v1_HostIdentity__Output } from '../../socle/v1/HostIdentity.ts';
import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from '../../socle/v1/Position.ts';
import type { Inventory as _socle_v1_Inventory, Inventory__Output as _socle_v1_Inventory__Output } from '../../socle/v1/Inventory.ts';
import type { Capacity as _socle_v1_Capacity, Capacity__Output as _socle_v1_Capacity__Output } from '../../socle/v1/Capacity.ts';
import type { Health as _socle_v1_Health, Health__Output as _socle_v1_Health__Output } from '../../socle/v1/Health.ts';
import type { VmCounts as _socle_v1_VmCounts, VmCounts__Output as _socle_v1_VmCounts__Output } from '../../socle/v1/VmCounts.ts';
import type { LifecycleState as _socle_v1_LifecycleState, LifecycleState__Output as _socle_v1_LifecycleState__Output } from '../../socle/v1/LifecycleState.ts';
import type { HostUsage as _socle_v1_HostUsage, HostUsage__Output as _socle_v1_HostUsage__Output } from '../../socle/v1/HostUsage.ts';
import type { Long } from '@grpc/proto-loader';

export interface Host {
  'identity'?: (_socle_v1_HostIdentity | null);
  'position'?: (_socle_v1_Position | null);
  'inventory'?: (_socle_v1_Inventory | null);
  'capacity'?: (_socle_v1_Capacity | null);
  'health'?: (_socle_v1_Health | null);
  'vms'?: (_socle_v1_VmCounts | null);
  'schedulingState'?: (_socle_v1_LifecycleState);
  'schedulingReason'?: (string);
  'etag'?: (string);
  'usage'?: (_socle_v1_HostUsage | null);
  'controlEpoch'?: (number | string | Long);
  '_controlEpoch'?: "controlEpoch";
}

export interface Host__Output {
  'identity': (_socle_v1_HostIdentity__Output | null);
  'position': (_socle_v1_Position__Output | null);
  'inventory': (_socle_v1_Inventory__Output | null);
  'capacity': (_socle_v1_Capacity__Output | null);
  'health': (_socle_v1_Health__Output | null);
  'vms': (_socle_v1_VmCounts__Output | null);
  'schedulingState': (_socle_v1_LifecycleState__Output);
  'schedulingReason': (string);
  'etag': (string);
  'usage': (_socle_v1_HostUsage__Output | null);
  'controlEpoch'?: (number);
  '_controlEpoch'?: "controlEpoch";
}
