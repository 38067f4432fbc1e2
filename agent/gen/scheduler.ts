import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from './google/protobuf/Any.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.ts';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from './google/protobuf/FieldMask.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Status as _google_rpc_Status, Status__Output as _google_rpc_Status__Output } from './google/rpc/Status.ts';
import type { Ack as _socle_v1_Ack, Ack__Output as _socle_v1_Ack__Output } from './socle/v1/Ack.ts';
import type { AcknowledgeConditionRequest as _socle_v1_AcknowledgeConditionRequest, AcknowledgeConditionRequest__Output as _socle_v1_AcknowledgeConditionRequest__Output } from './socle/v1/AcknowledgeConditionRequest.ts';
import type { AgentMessage as _socle_v1_AgentMessage, AgentMessage__Output as _socle_v1_AgentMessage__Output } from './socle/v1/AgentMessage.ts';
import type { AttachDiskRequest as _socle_v1_AttachDiskRequest, AttachDiskRequest__Output as _socle_v1_AttachDiskRequest__Output } from './socle/v1/AttachDiskRequest.ts';
import type { AttachNicRequest as _socle_v1_AttachNicRequest, AttachNicRequest__Output as _socle_v1_AttachNicRequest__Output } from './socle/v1/AttachNicRequest.ts';
import type { AttachPciDeviceRequest as _socle_v1_AttachPciDeviceRequest, AttachPciDeviceRequest__Output as _socle_v1_AttachPciDeviceRequest__Output } from './socle/v1/AttachPciDeviceRequest.ts';
import type { CacheGroup as _socle_v1_CacheGroup, CacheGroup__Output as _socle_v1_CacheGroup__Output } from './socle/v1/CacheGroup.ts';
import type { CancelOperationRequest as _socle_v1_CancelOperationRequest, CancelOperationRequest__Output as _socle_v1_CancelOperationRequest__Output } from './socle/v1/CancelOperationRequest.ts';
import type { Capacity as _socle_v1_Capacity, Capacity__Output as _socle_v1_Capacity__Output } from './socle/v1/Capacity.ts';
import type { CdromDrive as _socle_v1_CdromDrive, CdromDrive__Output as _socle_v1_CdromDrive__Output } from './socle/v1/CdromDrive.ts';
import type { CellCapacity as _socle_v1_CellCapacity, CellCapacity__Output as _socle_v1_CellCapacity__Output } from './socle/v1/CellCapacity.ts';
import type { ChangeMediaRequest as _socle_v1_ChangeMediaRequest, ChangeMediaRequest__Output as _socle_v1_ChangeMediaRequest__Output } from './socle/v1/ChangeMediaRequest.ts';
import type { ChangeSeedRequest as _socle_v1_ChangeSeedRequest, ChangeSeedRequest__Output as _socle_v1_ChangeSeedRequest__Output } from './socle/v1/ChangeSeedRequest.ts';
import type { CloudInit as _socle_v1_CloudInit, CloudInit__Output as _socle_v1_CloudInit__Output } from './socle/v1/CloudInit.ts';
import type { Compatibility as _socle_v1_Compatibility, Compatibility__Output as _socle_v1_Compatibility__Output } from './socle/v1/Compatibility.ts';
import type { Condition as _socle_v1_Condition, Condition__Output as _socle_v1_Condition__Output } from './socle/v1/Condition.ts';
import type { ConsoleRequest as _socle_v1_ConsoleRequest, ConsoleRequest__Output as _socle_v1_ConsoleRequest__Output } from './socle/v1/ConsoleRequest.ts';
import type { ConsoleResponse as _socle_v1_ConsoleResponse, ConsoleResponse__Output as _socle_v1_ConsoleResponse__Output } from './socle/v1/ConsoleResponse.ts';
import type { CpuGroup as _socle_v1_CpuGroup, CpuGroup__Output as _socle_v1_CpuGroup__Output } from './socle/v1/CpuGroup.ts';
import type { CpuInventory as _socle_v1_CpuInventory, CpuInventory__Output as _socle_v1_CpuInventory__Output } from './socle/v1/CpuInventory.ts';
import type { CpuTopology as _socle_v1_CpuTopology, CpuTopology__Output as _socle_v1_CpuTopology__Output } from './socle/v1/CpuTopology.ts';
import type { CreateVmRequest as _socle_v1_CreateVmRequest, CreateVmRequest__Output as _socle_v1_CreateVmRequest__Output } from './socle/v1/CreateVmRequest.ts';
import type { DeleteVmRequest as _socle_v1_DeleteVmRequest, DeleteVmRequest__Output as _socle_v1_DeleteVmRequest__Output } from './socle/v1/DeleteVmRequest.ts';
import type { Delta as _socle_v1_Delta, Delta__Output as _socle_v1_Delta__Output } from './socle/v1/Delta.ts';
import type { DetachDiskRequest as _socle_v1_DetachDiskRequest, DetachDiskRequest__Output as _socle_v1_DetachDiskRequest__Output } from './socle/v1/DetachDiskRequest.ts';
import type { DetachNicRequest as _socle_v1_DetachNicRequest, DetachNicRequest__Output as _socle_v1_DetachNicRequest__Output } from './socle/v1/DetachNicRequest.ts';
import type { DetachPciDeviceRequest as _socle_v1_DetachPciDeviceRequest, DetachPciDeviceRequest__Output as _socle_v1_DetachPciDeviceRequest__Output } from './socle/v1/DetachPciDeviceRequest.ts';
import type { DeviceCapacity as _socle_v1_DeviceCapacity, DeviceCapacity__Output as _socle_v1_DeviceCapacity__Output } from './socle/v1/DeviceCapacity.ts';
import type { DiscardSavedStateRequest as _socle_v1_DiscardSavedStateRequest, DiscardSavedStateRequest__Output as _socle_v1_DiscardSavedStateRequest__Output } from './socle/v1/DiscardSavedStateRequest.ts';
import type { Disk as _socle_v1_Disk, Disk__Output as _socle_v1_Disk__Output } from './socle/v1/Disk.ts';
import type { DiskLimits as _socle_v1_DiskLimits, DiskLimits__Output as _socle_v1_DiskLimits__Output } from './socle/v1/DiskLimits.ts';
import type { DumpMemoryRequest as _socle_v1_DumpMemoryRequest, DumpMemoryRequest__Output as _socle_v1_DumpMemoryRequest__Output } from './socle/v1/DumpMemoryRequest.ts';
import type { Event as _socle_v1_Event, Event__Output as _socle_v1_Event__Output } from './socle/v1/Event.ts';
import type { EventServiceClient as _socle_v1_EventServiceClient, EventServiceDefinition as _socle_v1_EventServiceDefinition } from './socle/v1/EventService.ts';
import type { GetHostRequest as _socle_v1_GetHostRequest, GetHostRequest__Output as _socle_v1_GetHostRequest__Output } from './socle/v1/GetHostRequest.ts';
import type { GetOperationRequest as _socle_v1_GetOperationRequest, GetOperationRequest__Output as _socle_v1_GetOperationRequest__Output } from './socle/v1/GetOperationRequest.ts';
import type { GetVmRequest as _socle_v1_GetVmRequest, GetVmRequest__Output as _socle_v1_GetVmRequest__Output } from './socle/v1/GetVmRequest.ts';
import type { Goodbye as _socle_v1_Goodbye, Goodbye__Output as _socle_v1_Goodbye__Output } from './socle/v1/Goodbye.ts';
import type { Health as _socle_v1_Health, Health__Output as _socle_v1_Health__Output } from './socle/v1/Health.ts';
import type { Heartbeat as _socle_v1_Heartbeat, Heartbeat__Output as _socle_v1_Heartbeat__Output } from './socle/v1/Heartbeat.ts';
import type { Hello as _socle_v1_Hello, Hello__Output as _socle_v1_Hello__Output } from './socle/v1/Hello.ts';
import type { Host as _socle_v1_Host, Host__Output as _socle_v1_Host__Output } from './socle/v1/Host.ts';
import type { HostIdentity as _socle_v1_HostIdentity, HostIdentity__Output as _socle_v1_HostIdentity__Output } from './socle/v1/HostIdentity.ts';
import type { HostServiceClient as _socle_v1_HostServiceClient, HostServiceDefinition as _socle_v1_HostServiceDefinition } from './socle/v1/HostService.ts';
import type { HostUsage as _socle_v1_HostUsage, HostUsage__Output as _socle_v1_HostUsage__Output } from './socle/v1/HostUsage.ts';
import type { InjectNmiRequest as _socle_v1_InjectNmiRequest, InjectNmiRequest__Output as _socle_v1_InjectNmiRequest__Output } from './socle/v1/InjectNmiRequest.ts';
import type { Inventory as _socle_v1_Inventory, Inventory__Output as _socle_v1_Inventory__Output } from './socle/v1/Inventory.ts';
import type { KernelBoot as _socle_v1_KernelBoot, KernelBoot__Output as _socle_v1_KernelBoot__Output } from './socle/v1/KernelBoot.ts';
import type { LifecycleEvents as _socle_v1_LifecycleEvents, LifecycleEvents__Output as _socle_v1_LifecycleEvents__Output } from './socle/v1/LifecycleEvents.ts';
import type { ListOperationsRequest as _socle_v1_ListOperationsRequest, ListOperationsRequest__Output as _socle_v1_ListOperationsRequest__Output } from './socle/v1/ListOperationsRequest.ts';
import type { ListOperationsResponse as _socle_v1_ListOperationsResponse, ListOperationsResponse__Output as _socle_v1_ListOperationsResponse__Output } from './socle/v1/ListOperationsResponse.ts';
import type { ListTenantsRequest as _socle_v1_ListTenantsRequest, ListTenantsRequest__Output as _socle_v1_ListTenantsRequest__Output } from './socle/v1/ListTenantsRequest.ts';
import type { ListTenantsResponse as _socle_v1_ListTenantsResponse, ListTenantsResponse__Output as _socle_v1_ListTenantsResponse__Output } from './socle/v1/ListTenantsResponse.ts';
import type { ListVmsRequest as _socle_v1_ListVmsRequest, ListVmsRequest__Output as _socle_v1_ListVmsRequest__Output } from './socle/v1/ListVmsRequest.ts';
import type { ListVmsResponse as _socle_v1_ListVmsResponse, ListVmsResponse__Output as _socle_v1_ListVmsResponse__Output } from './socle/v1/ListVmsResponse.ts';
import type { MoveDiskRequest as _socle_v1_MoveDiskRequest, MoveDiskRequest__Output as _socle_v1_MoveDiskRequest__Output } from './socle/v1/MoveDiskRequest.ts';
import type { Network as _socle_v1_Network, Network__Output as _socle_v1_Network__Output } from './socle/v1/Network.ts';
import type { NewDumpVolume as _socle_v1_NewDumpVolume, NewDumpVolume__Output as _socle_v1_NewDumpVolume__Output } from './socle/v1/NewDumpVolume.ts';
import type { NewVolume as _socle_v1_NewVolume, NewVolume__Output as _socle_v1_NewVolume__Output } from './socle/v1/NewVolume.ts';
import type { Nic as _socle_v1_Nic, Nic__Output as _socle_v1_Nic__Output } from './socle/v1/Nic.ts';
import type { NicAddress as _socle_v1_NicAddress, NicAddress__Output as _socle_v1_NicAddress__Output } from './socle/v1/NicAddress.ts';
import type { NicLimits as _socle_v1_NicLimits, NicLimits__Output as _socle_v1_NicLimits__Output } from './socle/v1/NicLimits.ts';
import type { NicStatus as _socle_v1_NicStatus, NicStatus__Output as _socle_v1_NicStatus__Output } from './socle/v1/NicStatus.ts';
import type { NumaCell as _socle_v1_NumaCell, NumaCell__Output as _socle_v1_NumaCell__Output } from './socle/v1/NumaCell.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from './socle/v1/Observation.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from './socle/v1/Operation.ts';
import type { OperationServiceClient as _socle_v1_OperationServiceClient, OperationServiceDefinition as _socle_v1_OperationServiceDefinition } from './socle/v1/OperationService.ts';
import type { PageSize as _socle_v1_PageSize, PageSize__Output as _socle_v1_PageSize__Output } from './socle/v1/PageSize.ts';
import type { PauseVmRequest as _socle_v1_PauseVmRequest, PauseVmRequest__Output as _socle_v1_PauseVmRequest__Output } from './socle/v1/PauseVmRequest.ts';
import type { PciDevice as _socle_v1_PciDevice, PciDevice__Output as _socle_v1_PciDevice__Output } from './socle/v1/PciDevice.ts';
import type { Placement as _socle_v1_Placement, Placement__Output as _socle_v1_Placement__Output } from './socle/v1/Placement.ts';
import type { PlacementRequest as _socle_v1_PlacementRequest, PlacementRequest__Output as _socle_v1_PlacementRequest__Output } from './socle/v1/PlacementRequest.ts';
import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from './socle/v1/Position.ts';
import type { RebootVmRequest as _socle_v1_RebootVmRequest, RebootVmRequest__Output as _socle_v1_RebootVmRequest__Output } from './socle/v1/RebootVmRequest.ts';
import type { Reconnect as _socle_v1_Reconnect, Reconnect__Output as _socle_v1_Reconnect__Output } from './socle/v1/Reconnect.ts';
import type { ReportPart as _socle_v1_ReportPart, ReportPart__Output as _socle_v1_ReportPart__Output } from './socle/v1/ReportPart.ts';
import type { ReportResponse as _socle_v1_ReportResponse, ReportResponse__Output as _socle_v1_ReportResponse__Output } from './socle/v1/ReportResponse.ts';
import type { Rescue as _socle_v1_Rescue, Rescue__Output as _socle_v1_Rescue__Output } from './socle/v1/Rescue.ts';
import type { RescueVmRequest as _socle_v1_RescueVmRequest, RescueVmRequest__Output as _socle_v1_RescueVmRequest__Output } from './socle/v1/RescueVmRequest.ts';
import type { ResetControlEpochRequest as _socle_v1_ResetControlEpochRequest, ResetControlEpochRequest__Output as _socle_v1_ResetControlEpochRequest__Output } from './socle/v1/ResetControlEpochRequest.ts';
import type { ResetControlEpochResponse as _socle_v1_ResetControlEpochResponse, ResetControlEpochResponse__Output as _socle_v1_ResetControlEpochResponse__Output } from './socle/v1/ResetControlEpochResponse.ts';
import type { ResizeDiskRequest as _socle_v1_ResizeDiskRequest, ResizeDiskRequest__Output as _socle_v1_ResizeDiskRequest__Output } from './socle/v1/ResizeDiskRequest.ts';
import type { ResourceCapacity as _socle_v1_ResourceCapacity, ResourceCapacity__Output as _socle_v1_ResourceCapacity__Output } from './socle/v1/ResourceCapacity.ts';
import type { ResumeVmRequest as _socle_v1_ResumeVmRequest, ResumeVmRequest__Output as _socle_v1_ResumeVmRequest__Output } from './socle/v1/ResumeVmRequest.ts';
import type { Resync as _socle_v1_Resync, Resync__Output as _socle_v1_Resync__Output } from './socle/v1/Resync.ts';
import type { SchedulerMessage as _socle_v1_SchedulerMessage, SchedulerMessage__Output as _socle_v1_SchedulerMessage__Output } from './socle/v1/SchedulerMessage.ts';
import type { SchedulerServiceClient as _socle_v1_SchedulerServiceClient, SchedulerServiceDefinition as _socle_v1_SchedulerServiceDefinition } from './socle/v1/SchedulerService.ts';
import type { SetSchedulingStateRequest as _socle_v1_SetSchedulingStateRequest, SetSchedulingStateRequest__Output as _socle_v1_SetSchedulingStateRequest__Output } from './socle/v1/SetSchedulingStateRequest.ts';
import type { SettleOperationRequest as _socle_v1_SettleOperationRequest, SettleOperationRequest__Output as _socle_v1_SettleOperationRequest__Output } from './socle/v1/SettleOperationRequest.ts';
import type { StartVmRequest as _socle_v1_StartVmRequest, StartVmRequest__Output as _socle_v1_StartVmRequest__Output } from './socle/v1/StartVmRequest.ts';
import type { StopVmRequest as _socle_v1_StopVmRequest, StopVmRequest__Output as _socle_v1_StopVmRequest__Output } from './socle/v1/StopVmRequest.ts';
import type { StoragePool as _socle_v1_StoragePool, StoragePool__Output as _socle_v1_StoragePool__Output } from './socle/v1/StoragePool.ts';
import type { SubscribeRequest as _socle_v1_SubscribeRequest, SubscribeRequest__Output as _socle_v1_SubscribeRequest__Output } from './socle/v1/SubscribeRequest.ts';
import type { SuspendVmRequest as _socle_v1_SuspendVmRequest, SuspendVmRequest__Output as _socle_v1_SuspendVmRequest__Output } from './socle/v1/SuspendVmRequest.ts';
import type { TenantUsage as _socle_v1_TenantUsage, TenantUsage__Output as _socle_v1_TenantUsage__Output } from './socle/v1/TenantUsage.ts';
import type { UnrescueVmRequest as _socle_v1_UnrescueVmRequest, UnrescueVmRequest__Output as _socle_v1_UnrescueVmRequest__Output } from './socle/v1/UnrescueVmRequest.ts';
import type { UpdateDiskRequest as _socle_v1_UpdateDiskRequest, UpdateDiskRequest__Output as _socle_v1_UpdateDiskRequest__Output } from './socle/v1/UpdateDiskRequest.ts';
import type { UpdateNicRequest as _socle_v1_UpdateNicRequest, UpdateNicRequest__Output as _socle_v1_UpdateNicRequest__Output } from './socle/v1/UpdateNicRequest.ts';
import type { UpdateVmRequest as _socle_v1_UpdateVmRequest, UpdateVmRequest__Output as _socle_v1_UpdateVmRequest__Output } from './socle/v1/UpdateVmRequest.ts';
import type { VirtualFunctions as _socle_v1_VirtualFunctions, VirtualFunctions__Output as _socle_v1_VirtualFunctions__Output } from './socle/v1/VirtualFunctions.ts';
import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from './socle/v1/Vm.ts';
import type { VmCounts as _socle_v1_VmCounts, VmCounts__Output as _socle_v1_VmCounts__Output } from './socle/v1/VmCounts.ts';
import type { VmFilter as _socle_v1_VmFilter, VmFilter__Output as _socle_v1_VmFilter__Output } from './socle/v1/VmFilter.ts';
import type { VmRates as _socle_v1_VmRates, VmRates__Output as _socle_v1_VmRates__Output } from './socle/v1/VmRates.ts';
import type { VmServiceClient as _socle_v1_VmServiceClient, VmServiceDefinition as _socle_v1_VmServiceDefinition } from './socle/v1/VmService.ts';
import type { VmSpec as _socle_v1_VmSpec, VmSpec__Output as _socle_v1_VmSpec__Output } from './socle/v1/VmSpec.ts';
import type { VmStats as _socle_v1_VmStats, VmStats__Output as _socle_v1_VmStats__Output } from './socle/v1/VmStats.ts';
import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from './socle/v1/VolumeReference.ts';
import type { WaitOperationRequest as _socle_v1_WaitOperationRequest, WaitOperationRequest__Output as _socle_v1_WaitOperationRequest__Output } from './socle/v1/WaitOperationRequest.ts';
import type { WatchHostRequest as _socle_v1_WatchHostRequest, WatchHostRequest__Output as _socle_v1_WatchHostRequest__Output } from './socle/v1/WatchHostRequest.ts';
import type { WatchOperationsRequest as _socle_v1_WatchOperationsRequest, WatchOperationsRequest__Output as _socle_v1_WatchOperationsRequest__Output } from './socle/v1/WatchOperationsRequest.ts';
import type { WatchVmsRequest as _socle_v1_WatchVmsRequest, WatchVmsRequest__Output as _socle_v1_WatchVmsRequest__Output } from './socle/v1/WatchVmsRequest.ts';
import type { WatchVmsResponse as _socle_v1_WatchVmsResponse, WatchVmsResponse__Output as _socle_v1_WatchVmsResponse__Output } from './socle/v1/WatchVmsResponse.ts';
import type { Watchdog as _socle_v1_Watchdog, Watchdog__Output as _socle_v1_Watchdog__Output } from './socle/v1/Watchdog.ts';
import type { Welcome as _socle_v1_Welcome, Welcome__Output as _socle_v1_Welcome__Output } from './socle/v1/Welcome.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  google: {
    protobuf: {
      Any: MessageTypeDefinition<_google_protobuf_Any, _google_protobuf_Any__Output>
      Duration: MessageTypeDefinition<_google_protobuf_Duration, _google_protobuf_Duration__Output>
      FieldMask: MessageTypeDefinition<_google_protobuf_FieldMask, _google_protobuf_FieldMask__Output>
      Timestamp: MessageTypeDefinition<_google_protobuf_Timestamp, _google_protobuf_Timestamp__Output>
    }
    rpc: {
      Status: MessageTypeDefinition<_google_rpc_Status, _google_rpc_Status__Output>
    }
  }
  socle: {
    v1: {
      Accelerator: EnumTypeDefinition
      Ack: MessageTypeDefinition<_socle_v1_Ack, _socle_v1_Ack__Output>
      AcknowledgeConditionRequest: MessageTypeDefinition<_socle_v1_AcknowledgeConditionRequest, _socle_v1_AcknowledgeConditionRequest__Output>
      AgentMessage: MessageTypeDefinition<_socle_v1_AgentMessage, _socle_v1_AgentMessage__Output>
      AttachDiskRequest: MessageTypeDefinition<_socle_v1_AttachDiskRequest, _socle_v1_AttachDiskRequest__Output>
      AttachNicRequest: MessageTypeDefinition<_socle_v1_AttachNicRequest, _socle_v1_AttachNicRequest__Output>
      AttachPciDeviceRequest: MessageTypeDefinition<_socle_v1_AttachPciDeviceRequest, _socle_v1_AttachPciDeviceRequest__Output>
      CacheGroup: MessageTypeDefinition<_socle_v1_CacheGroup, _socle_v1_CacheGroup__Output>
      CancelOperationRequest: MessageTypeDefinition<_socle_v1_CancelOperationRequest, _socle_v1_CancelOperationRequest__Output>
      Capacity: MessageTypeDefinition<_socle_v1_Capacity, _socle_v1_Capacity__Output>
      CdromDrive: MessageTypeDefinition<_socle_v1_CdromDrive, _socle_v1_CdromDrive__Output>
      CellCapacity: MessageTypeDefinition<_socle_v1_CellCapacity, _socle_v1_CellCapacity__Output>
      CellPolicy: EnumTypeDefinition
      ChangeMediaRequest: MessageTypeDefinition<_socle_v1_ChangeMediaRequest, _socle_v1_ChangeMediaRequest__Output>
      ChangeSeedRequest: MessageTypeDefinition<_socle_v1_ChangeSeedRequest, _socle_v1_ChangeSeedRequest__Output>
      CloudInit: MessageTypeDefinition<_socle_v1_CloudInit, _socle_v1_CloudInit__Output>
      Compatibility: MessageTypeDefinition<_socle_v1_Compatibility, _socle_v1_Compatibility__Output>
      Condition: MessageTypeDefinition<_socle_v1_Condition, _socle_v1_Condition__Output>
      ConsoleRequest: MessageTypeDefinition<_socle_v1_ConsoleRequest, _socle_v1_ConsoleRequest__Output>
      ConsoleResponse: MessageTypeDefinition<_socle_v1_ConsoleResponse, _socle_v1_ConsoleResponse__Output>
      CpuGroup: MessageTypeDefinition<_socle_v1_CpuGroup, _socle_v1_CpuGroup__Output>
      CpuInventory: MessageTypeDefinition<_socle_v1_CpuInventory, _socle_v1_CpuInventory__Output>
      CpuMode: EnumTypeDefinition
      CpuTopology: MessageTypeDefinition<_socle_v1_CpuTopology, _socle_v1_CpuTopology__Output>
      CrashPolicy: EnumTypeDefinition
      CreateVmRequest: MessageTypeDefinition<_socle_v1_CreateVmRequest, _socle_v1_CreateVmRequest__Output>
      DeleteVmRequest: MessageTypeDefinition<_socle_v1_DeleteVmRequest, _socle_v1_DeleteVmRequest__Output>
      Delta: MessageTypeDefinition<_socle_v1_Delta, _socle_v1_Delta__Output>
      DetachDiskRequest: MessageTypeDefinition<_socle_v1_DetachDiskRequest, _socle_v1_DetachDiskRequest__Output>
      DetachNicRequest: MessageTypeDefinition<_socle_v1_DetachNicRequest, _socle_v1_DetachNicRequest__Output>
      DetachPciDeviceRequest: MessageTypeDefinition<_socle_v1_DetachPciDeviceRequest, _socle_v1_DetachPciDeviceRequest__Output>
      DeviceCapacity: MessageTypeDefinition<_socle_v1_DeviceCapacity, _socle_v1_DeviceCapacity__Output>
      DeviceState: EnumTypeDefinition
      DiscardSavedStateRequest: MessageTypeDefinition<_socle_v1_DiscardSavedStateRequest, _socle_v1_DiscardSavedStateRequest__Output>
      Disk: MessageTypeDefinition<_socle_v1_Disk, _socle_v1_Disk__Output>
      DiskFormat: EnumTypeDefinition
      DiskLimits: MessageTypeDefinition<_socle_v1_DiskLimits, _socle_v1_DiskLimits__Output>
      DumpFormat: EnumTypeDefinition
      DumpMemoryRequest: MessageTypeDefinition<_socle_v1_DumpMemoryRequest, _socle_v1_DumpMemoryRequest__Output>
      Effect: EnumTypeDefinition
      Event: MessageTypeDefinition<_socle_v1_Event, _socle_v1_Event__Output>
      EventKind: EnumTypeDefinition
      EventService: SubtypeConstructor<typeof grpc.Client, _socle_v1_EventServiceClient> & { service: _socle_v1_EventServiceDefinition }
      Firmware: EnumTypeDefinition
      GetHostRequest: MessageTypeDefinition<_socle_v1_GetHostRequest, _socle_v1_GetHostRequest__Output>
      GetOperationRequest: MessageTypeDefinition<_socle_v1_GetOperationRequest, _socle_v1_GetOperationRequest__Output>
      GetVmRequest: MessageTypeDefinition<_socle_v1_GetVmRequest, _socle_v1_GetVmRequest__Output>
      Goodbye: MessageTypeDefinition<_socle_v1_Goodbye, _socle_v1_Goodbye__Output>
      Graphics: EnumTypeDefinition
      Health: MessageTypeDefinition<_socle_v1_Health, _socle_v1_Health__Output>
      Heartbeat: MessageTypeDefinition<_socle_v1_Heartbeat, _socle_v1_Heartbeat__Output>
      Hello: MessageTypeDefinition<_socle_v1_Hello, _socle_v1_Hello__Output>
      Host: MessageTypeDefinition<_socle_v1_Host, _socle_v1_Host__Output>
      HostIdentity: MessageTypeDefinition<_socle_v1_HostIdentity, _socle_v1_HostIdentity__Output>
      HostService: SubtypeConstructor<typeof grpc.Client, _socle_v1_HostServiceClient> & { service: _socle_v1_HostServiceDefinition }
      HostUsage: MessageTypeDefinition<_socle_v1_HostUsage, _socle_v1_HostUsage__Output>
      InjectNmiRequest: MessageTypeDefinition<_socle_v1_InjectNmiRequest, _socle_v1_InjectNmiRequest__Output>
      Inventory: MessageTypeDefinition<_socle_v1_Inventory, _socle_v1_Inventory__Output>
      KernelBoot: MessageTypeDefinition<_socle_v1_KernelBoot, _socle_v1_KernelBoot__Output>
      LaunchSecurity: EnumTypeDefinition
      LifecycleEvents: MessageTypeDefinition<_socle_v1_LifecycleEvents, _socle_v1_LifecycleEvents__Output>
      LifecycleState: EnumTypeDefinition
      ListOperationsRequest: MessageTypeDefinition<_socle_v1_ListOperationsRequest, _socle_v1_ListOperationsRequest__Output>
      ListOperationsResponse: MessageTypeDefinition<_socle_v1_ListOperationsResponse, _socle_v1_ListOperationsResponse__Output>
      ListTenantsRequest: MessageTypeDefinition<_socle_v1_ListTenantsRequest, _socle_v1_ListTenantsRequest__Output>
      ListTenantsResponse: MessageTypeDefinition<_socle_v1_ListTenantsResponse, _socle_v1_ListTenantsResponse__Output>
      ListVmsRequest: MessageTypeDefinition<_socle_v1_ListVmsRequest, _socle_v1_ListVmsRequest__Output>
      ListVmsResponse: MessageTypeDefinition<_socle_v1_ListVmsResponse, _socle_v1_ListVmsResponse__Output>
      ManagedFilter: EnumTypeDefinition
      MoveDiskRequest: MessageTypeDefinition<_socle_v1_MoveDiskRequest, _socle_v1_MoveDiskRequest__Output>
      Network: MessageTypeDefinition<_socle_v1_Network, _socle_v1_Network__Output>
      NewDumpVolume: MessageTypeDefinition<_socle_v1_NewDumpVolume, _socle_v1_NewDumpVolume__Output>
      NewVolume: MessageTypeDefinition<_socle_v1_NewVolume, _socle_v1_NewVolume__Output>
      Nic: MessageTypeDefinition<_socle_v1_Nic, _socle_v1_Nic__Output>
      NicAddress: MessageTypeDefinition<_socle_v1_NicAddress, _socle_v1_NicAddress__Output>
      NicAddressSource: EnumTypeDefinition
      NicLimits: MessageTypeDefinition<_socle_v1_NicLimits, _socle_v1_NicLimits__Output>
      NicLink: EnumTypeDefinition
      NicStatus: MessageTypeDefinition<_socle_v1_NicStatus, _socle_v1_NicStatus__Output>
      NumaCell: MessageTypeDefinition<_socle_v1_NumaCell, _socle_v1_NumaCell__Output>
      Observation: MessageTypeDefinition<_socle_v1_Observation, _socle_v1_Observation__Output>
      Operation: MessageTypeDefinition<_socle_v1_Operation, _socle_v1_Operation__Output>
      OperationService: SubtypeConstructor<typeof grpc.Client, _socle_v1_OperationServiceClient> & { service: _socle_v1_OperationServiceDefinition }
      PageSize: MessageTypeDefinition<_socle_v1_PageSize, _socle_v1_PageSize__Output>
      PauseVmRequest: MessageTypeDefinition<_socle_v1_PauseVmRequest, _socle_v1_PauseVmRequest__Output>
      PciDevice: MessageTypeDefinition<_socle_v1_PciDevice, _socle_v1_PciDevice__Output>
      PciDeviceKind: EnumTypeDefinition
      Placement: MessageTypeDefinition<_socle_v1_Placement, _socle_v1_Placement__Output>
      PlacementRequest: MessageTypeDefinition<_socle_v1_PlacementRequest, _socle_v1_PlacementRequest__Output>
      Position: MessageTypeDefinition<_socle_v1_Position, _socle_v1_Position__Output>
      Presence: EnumTypeDefinition
      RebootVmRequest: MessageTypeDefinition<_socle_v1_RebootVmRequest, _socle_v1_RebootVmRequest__Output>
      Reconnect: MessageTypeDefinition<_socle_v1_Reconnect, _socle_v1_Reconnect__Output>
      ReportPart: MessageTypeDefinition<_socle_v1_ReportPart, _socle_v1_ReportPart__Output>
      ReportResponse: MessageTypeDefinition<_socle_v1_ReportResponse, _socle_v1_ReportResponse__Output>
      Rescue: MessageTypeDefinition<_socle_v1_Rescue, _socle_v1_Rescue__Output>
      RescueVmRequest: MessageTypeDefinition<_socle_v1_RescueVmRequest, _socle_v1_RescueVmRequest__Output>
      ResetControlEpochRequest: MessageTypeDefinition<_socle_v1_ResetControlEpochRequest, _socle_v1_ResetControlEpochRequest__Output>
      ResetControlEpochResponse: MessageTypeDefinition<_socle_v1_ResetControlEpochResponse, _socle_v1_ResetControlEpochResponse__Output>
      ResizeDiskRequest: MessageTypeDefinition<_socle_v1_ResizeDiskRequest, _socle_v1_ResizeDiskRequest__Output>
      ResourceCapacity: MessageTypeDefinition<_socle_v1_ResourceCapacity, _socle_v1_ResourceCapacity__Output>
      ResumeVmRequest: MessageTypeDefinition<_socle_v1_ResumeVmRequest, _socle_v1_ResumeVmRequest__Output>
      Resync: MessageTypeDefinition<_socle_v1_Resync, _socle_v1_Resync__Output>
      SchedulerMessage: MessageTypeDefinition<_socle_v1_SchedulerMessage, _socle_v1_SchedulerMessage__Output>
      SchedulerService: SubtypeConstructor<typeof grpc.Client, _socle_v1_SchedulerServiceClient> & { service: _socle_v1_SchedulerServiceDefinition }
      SetSchedulingStateRequest: MessageTypeDefinition<_socle_v1_SetSchedulingStateRequest, _socle_v1_SetSchedulingStateRequest__Output>
      SettleOperationRequest: MessageTypeDefinition<_socle_v1_SettleOperationRequest, _socle_v1_SettleOperationRequest__Output>
      StartVmRequest: MessageTypeDefinition<_socle_v1_StartVmRequest, _socle_v1_StartVmRequest__Output>
      StopVmRequest: MessageTypeDefinition<_socle_v1_StopVmRequest, _socle_v1_StopVmRequest__Output>
      StoragePool: MessageTypeDefinition<_socle_v1_StoragePool, _socle_v1_StoragePool__Output>
      SubscribeRequest: MessageTypeDefinition<_socle_v1_SubscribeRequest, _socle_v1_SubscribeRequest__Output>
      SuspendVmRequest: MessageTypeDefinition<_socle_v1_SuspendVmRequest, _socle_v1_SuspendVmRequest__Output>
      TenantUsage: MessageTypeDefinition<_socle_v1_TenantUsage, _socle_v1_TenantUsage__Output>
      Truth: EnumTypeDefinition
      UnrescueVmRequest: MessageTypeDefinition<_socle_v1_UnrescueVmRequest, _socle_v1_UnrescueVmRequest__Output>
      UpdateDiskRequest: MessageTypeDefinition<_socle_v1_UpdateDiskRequest, _socle_v1_UpdateDiskRequest__Output>
      UpdateNicRequest: MessageTypeDefinition<_socle_v1_UpdateNicRequest, _socle_v1_UpdateNicRequest__Output>
      UpdateVmRequest: MessageTypeDefinition<_socle_v1_UpdateVmRequest, _socle_v1_UpdateVmRequest__Output>
      VirtualFunctions: MessageTypeDefinition<_socle_v1_VirtualFunctions, _socle_v1_VirtualFunctions__Output>
      Vm: MessageTypeDefinition<_socle_v1_Vm, _socle_v1_Vm__Output>
      VmCounts: MessageTypeDefinition<_socle_v1_VmCounts, _socle_v1_VmCounts__Output>
      VmFilter: MessageTypeDefinition<_socle_v1_VmFilter, _socle_v1_VmFilter__Output>
      VmRates: MessageTypeDefinition<_socle_v1_VmRates, _socle_v1_VmRates__Output>
      VmService: SubtypeConstructor<typeof grpc.Client, _socle_v1_VmServiceClient> & { service: _socle_v1_VmServiceDefinition }
      VmSpec: MessageTypeDefinition<_socle_v1_VmSpec, _socle_v1_VmSpec__Output>
      VmState: EnumTypeDefinition
      VmStats: MessageTypeDefinition<_socle_v1_VmStats, _socle_v1_VmStats__Output>
      VolumeEncryption: EnumTypeDefinition
      VolumeReference: MessageTypeDefinition<_socle_v1_VolumeReference, _socle_v1_VolumeReference__Output>
      WaitOperationRequest: MessageTypeDefinition<_socle_v1_WaitOperationRequest, _socle_v1_WaitOperationRequest__Output>
      WatchHostRequest: MessageTypeDefinition<_socle_v1_WatchHostRequest, _socle_v1_WatchHostRequest__Output>
      WatchOperationsRequest: MessageTypeDefinition<_socle_v1_WatchOperationsRequest, _socle_v1_WatchOperationsRequest__Output>
      WatchVmsRequest: MessageTypeDefinition<_socle_v1_WatchVmsRequest, _socle_v1_WatchVmsRequest__Output>
      WatchVmsResponse: MessageTypeDefinition<_socle_v1_WatchVmsResponse, _socle_v1_WatchVmsResponse__Output>
      Watchdog: MessageTypeDefinition<_socle_v1_Watchdog, _socle_v1_Watchdog__Output>
      WatchdogAction: EnumTypeDefinition
      WatchdogModel: EnumTypeDefinition
      Welcome: MessageTypeDefinition<_socle_v1_Welcome, _socle_v1_Welcome__Output>
    }
  }
}

