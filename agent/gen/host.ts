import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { AcknowledgeConditionRequest as _socle_v1_AcknowledgeConditionRequest, AcknowledgeConditionRequest__Output as _socle_v1_AcknowledgeConditionRequest__Output } from './socle/v1/AcknowledgeConditionRequest.ts';
import type { CacheGroup as _socle_v1_CacheGroup, CacheGroup__Output as _socle_v1_CacheGroup__Output } from './socle/v1/CacheGroup.ts';
import type { Capacity as _socle_v1_Capacity, Capacity__Output as _socle_v1_Capacity__Output } from './socle/v1/Capacity.ts';
import type { CellCapacity as _socle_v1_CellCapacity, CellCapacity__Output as _socle_v1_CellCapacity__Output } from './socle/v1/CellCapacity.ts';
import type { Compatibility as _socle_v1_Compatibility, Compatibility__Output as _socle_v1_Compatibility__Output } from './socle/v1/Compatibility.ts';
import type { Condition as _socle_v1_Condition, Condition__Output as _socle_v1_Condition__Output } from './socle/v1/Condition.ts';
import type { CpuGroup as _socle_v1_CpuGroup, CpuGroup__Output as _socle_v1_CpuGroup__Output } from './socle/v1/CpuGroup.ts';
import type { CpuInventory as _socle_v1_CpuInventory, CpuInventory__Output as _socle_v1_CpuInventory__Output } from './socle/v1/CpuInventory.ts';
import type { DeviceCapacity as _socle_v1_DeviceCapacity, DeviceCapacity__Output as _socle_v1_DeviceCapacity__Output } from './socle/v1/DeviceCapacity.ts';
import type { GetHostRequest as _socle_v1_GetHostRequest, GetHostRequest__Output as _socle_v1_GetHostRequest__Output } from './socle/v1/GetHostRequest.ts';
import type { Health as _socle_v1_Health, Health__Output as _socle_v1_Health__Output } from './socle/v1/Health.ts';
import type { Host as _socle_v1_Host, Host__Output as _socle_v1_Host__Output } from './socle/v1/Host.ts';
import type { HostIdentity as _socle_v1_HostIdentity, HostIdentity__Output as _socle_v1_HostIdentity__Output } from './socle/v1/HostIdentity.ts';
import type { HostServiceClient as _socle_v1_HostServiceClient, HostServiceDefinition as _socle_v1_HostServiceDefinition } from './socle/v1/HostService.ts';
import type { HostUsage as _socle_v1_HostUsage, HostUsage__Output as _socle_v1_HostUsage__Output } from './socle/v1/HostUsage.ts';
import type { Inventory as _socle_v1_Inventory, Inventory__Output as _socle_v1_Inventory__Output } from './socle/v1/Inventory.ts';
import type { ListTenantsRequest as _socle_v1_ListTenantsRequest, ListTenantsRequest__Output as _socle_v1_ListTenantsRequest__Output } from './socle/v1/ListTenantsRequest.ts';
import type { ListTenantsResponse as _socle_v1_ListTenantsResponse, ListTenantsResponse__Output as _socle_v1_ListTenantsResponse__Output } from './socle/v1/ListTenantsResponse.ts';
import type { Network as _socle_v1_Network, Network__Output as _socle_v1_Network__Output } from './socle/v1/Network.ts';
import type { NumaCell as _socle_v1_NumaCell, NumaCell__Output as _socle_v1_NumaCell__Output } from './socle/v1/NumaCell.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from './socle/v1/Observation.ts';
import type { PageSize as _socle_v1_PageSize, PageSize__Output as _socle_v1_PageSize__Output } from './socle/v1/PageSize.ts';
import type { PciDevice as _socle_v1_PciDevice, PciDevice__Output as _socle_v1_PciDevice__Output } from './socle/v1/PciDevice.ts';
import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from './socle/v1/Position.ts';
import type { ResetControlEpochRequest as _socle_v1_ResetControlEpochRequest, ResetControlEpochRequest__Output as _socle_v1_ResetControlEpochRequest__Output } from './socle/v1/ResetControlEpochRequest.ts';
import type { ResetControlEpochResponse as _socle_v1_ResetControlEpochResponse, ResetControlEpochResponse__Output as _socle_v1_ResetControlEpochResponse__Output } from './socle/v1/ResetControlEpochResponse.ts';
import type { ResourceCapacity as _socle_v1_ResourceCapacity, ResourceCapacity__Output as _socle_v1_ResourceCapacity__Output } from './socle/v1/ResourceCapacity.ts';
import type { SetSchedulingStateRequest as _socle_v1_SetSchedulingStateRequest, SetSchedulingStateRequest__Output as _socle_v1_SetSchedulingStateRequest__Output } from './socle/v1/SetSchedulingStateRequest.ts';
import type { StoragePool as _socle_v1_StoragePool, StoragePool__Output as _socle_v1_StoragePool__Output } from './socle/v1/StoragePool.ts';
import type { TenantUsage as _socle_v1_TenantUsage, TenantUsage__Output as _socle_v1_TenantUsage__Output } from './socle/v1/TenantUsage.ts';
import type { VirtualFunctions as _socle_v1_VirtualFunctions, VirtualFunctions__Output as _socle_v1_VirtualFunctions__Output } from './socle/v1/VirtualFunctions.ts';
import type { VmCounts as _socle_v1_VmCounts, VmCounts__Output as _socle_v1_VmCounts__Output } from './socle/v1/VmCounts.ts';
import type { WatchHostRequest as _socle_v1_WatchHostRequest, WatchHostRequest__Output as _socle_v1_WatchHostRequest__Output } from './socle/v1/WatchHostRequest.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
  }
  socle: {
    v1: {
      AcknowledgeConditionRequest: MessageTypeDefinition<_socle_v1_AcknowledgeConditionRequest, _socle_v1_AcknowledgeConditionRequest__Output>
      CacheGroup: MessageTypeDefinition<_socle_v1_CacheGroup, _socle_v1_CacheGroup__Output>
      Capacity: MessageTypeDefinition<_socle_v1_Capacity, _socle_v1_Capacity__Output>
      CellCapacity: MessageTypeDefinition<_socle_v1_CellCapacity, _socle_v1_CellCapacity__Output>
      Compatibility: MessageTypeDefinition<_socle_v1_Compatibility, _socle_v1_Compatibility__Output>
      Condition: MessageTypeDefinition<_socle_v1_Condition, _socle_v1_Condition__Output>
      CpuGroup: MessageTypeDefinition<_socle_v1_CpuGroup, _socle_v1_CpuGroup__Output>
      CpuInventory: MessageTypeDefinition<_socle_v1_CpuInventory, _socle_v1_CpuInventory__Output>
      DeviceCapacity: MessageTypeDefinition<_socle_v1_DeviceCapacity, _socle_v1_DeviceCapacity__Output>
      DeviceState: EnumTypeDefinition
      Effect: EnumTypeDefinition
      GetHostRequest: MessageTypeDefinition<_socle_v1_GetHostRequest, _socle_v1_GetHostRequest__Output>
      Health: MessageTypeDefinition<_socle_v1_Health, _socle_v1_Health__Output>
      Host: MessageTypeDefinition<_socle_v1_Host, _socle_v1_Host__Output>
      HostIdentity: MessageTypeDefinition<_socle_v1_HostIdentity, _socle_v1_HostIdentity__Output>
      HostService: SubtypeConstructor<typeof grpc.Client, _socle_v1_HostServiceClient> & { service: _socle_v1_HostServiceDefinition }
      HostUsage: MessageTypeDefinition<_socle_v1_HostUsage, _socle_v1_HostUsage__Output>
      Inventory: MessageTypeDefinition<_socle_v1_Inventory, _socle_v1_Inventory__Output>
      LifecycleState: EnumTypeDefinition
      ListTenantsRequest: MessageTypeDefinition<_socle_v1_ListTenantsRequest, _socle_v1_ListTenantsRequest__Output>
      ListTenantsResponse: MessageTypeDefinition<_socle_v1_ListTenantsResponse, _socle_v1_ListTenantsResponse__Output>
      Network: MessageTypeDefinition<_socle_v1_Network, _socle_v1_Network__Output>
      NumaCell: MessageTypeDefinition<_socle_v1_NumaCell, _socle_v1_NumaCell__Output>
      Observation: MessageTypeDefinition<_socle_v1_Observation, _socle_v1_Observation__Output>
      PageSize: MessageTypeDefinition<_socle_v1_PageSize, _socle_v1_PageSize__Output>
      PciDevice: MessageTypeDefinition<_socle_v1_PciDevice, _socle_v1_PciDevice__Output>
      PciDeviceKind: EnumTypeDefinition
      Position: MessageTypeDefinition<_socle_v1_Position, _socle_v1_Position__Output>
      Presence: EnumTypeDefinition
      ResetControlEpochRequest: MessageTypeDefinition<_socle_v1_ResetControlEpochRequest, _socle_v1_ResetControlEpochRequest__Output>
      ResetControlEpochResponse: MessageTypeDefinition<_socle_v1_ResetControlEpochResponse, _socle_v1_ResetControlEpochResponse__Output>
      ResourceCapacity: MessageTypeDefinition<_socle_v1_ResourceCapacity, _socle_v1_ResourceCapacity__Output>
      SetSchedulingStateRequest: MessageTypeDefinition<_socle_v1_SetSchedulingStateRequest, _socle_v1_SetSchedulingStateRequest__Output>
      StoragePool: MessageTypeDefinition<_socle_v1_StoragePool, _socle_v1_StoragePool__Output>
      TenantUsage: MessageTypeDefinition<_socle_v1_TenantUsage, _socle_v1_TenantUsage__Output>
      Truth: EnumTypeDefinition
      VirtualFunctions: MessageTypeDefinition<_socle_v1_VirtualFunctions, _socle_v1_VirtualFunctions__Output>
      VmCounts: MessageTypeDefinition<_socle_v1_VmCounts, _socle_v1_VmCounts__Output>
      WatchHostRequest: MessageTypeDefinition<_socle_v1_WatchHostRequest, _socle_v1_WatchHostRequest__Output>
    }
  }
}

