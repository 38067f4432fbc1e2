import type * as grpc from '@grpc/grpc-js';
import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Any as _google_protobuf_Any, Any__Output as _google_protobuf_Any__Output } from './google/protobuf/Any.ts';
import type { Duration as _google_protobuf_Duration, Duration__Output as _google_protobuf_Duration__Output } from './google/protobuf/Duration.ts';
import type { FieldMask as _google_protobuf_FieldMask, FieldMask__Output as _google_protobuf_FieldMask__Output } from './google/protobuf/FieldMask.ts';
import type { Timestamp as _google_protobuf_Timestamp, Timestamp__Output as _google_protobuf_Timestamp__Output } from './google/protobuf/Timestamp.ts';
import type { Status as _google_rpc_Status, Status__Output as _google_rpc_Status__Output } from './google/rpc/Status.ts';
import type { AttachDiskRequest as _socle_v1_AttachDiskRequest, AttachDiskRequest__Output as _socle_v1_AttachDiskRequest__Output } from './socle/v1/AttachDiskRequest.ts';
import type { AttachNicRequest as _socle_v1_AttachNicRequest, AttachNicRequest__Output as _socle_v1_AttachNicRequest__Output } from './socle/v1/AttachNicRequest.ts';
import type { AttachPciDeviceRequest as _socle_v1_AttachPciDeviceRequest, AttachPciDeviceRequest__Output as _socle_v1_AttachPciDeviceRequest__Output } from './socle/v1/AttachPciDeviceRequest.ts';
import type { CancelOperationRequest as _socle_v1_CancelOperationRequest, CancelOperationRequest__Output as _socle_v1_CancelOperationRequest__Output } from './socle/v1/CancelOperationRequest.ts';
import type { CdromDrive as _socle_v1_CdromDrive, CdromDrive__Output as _socle_v1_CdromDrive__Output } from './socle/v1/CdromDrive.ts';
import type { ChangeMediaRequest as _socle_v1_ChangeMediaRequest, ChangeMediaRequest__Output as _socle_v1_ChangeMediaRequest__Output } from './socle/v1/ChangeMediaRequest.ts';
import type { ChangeSeedRequest as _socle_v1_ChangeSeedRequest, ChangeSeedRequest__Output as _socle_v1_ChangeSeedRequest__Output } from './socle/v1/ChangeSeedRequest.ts';
import type { CloudInit as _socle_v1_CloudInit, CloudInit__Output as _socle_v1_CloudInit__Output } from './socle/v1/CloudInit.ts';
import type { ConsoleRequest as _socle_v1_ConsoleRequest, ConsoleRequest__Output as _socle_v1_ConsoleRequest__Output } from './socle/v1/ConsoleRequest.ts';
import type { ConsoleResponse as _socle_v1_ConsoleResponse, ConsoleResponse__Output as _socle_v1_ConsoleResponse__Output } from './socle/v1/ConsoleResponse.ts';
import type { CpuTopology as _socle_v1_CpuTopology, CpuTopology__Output as _socle_v1_CpuTopology__Output } from './socle/v1/CpuTopology.ts';
import type { CreateVmRequest as _socle_v1_CreateVmRequest, CreateVmRequest__Output as _socle_v1_CreateVmRequest__Output } from './socle/v1/CreateVmRequest.ts';
import type { DeleteVmRequest as _socle_v1_DeleteVmRequest, DeleteVmRequest__Output as _socle_v1_DeleteVmRequest__Output } from './socle/v1/DeleteVmRequest.ts';
import type { DetachDiskRequest as _socle_v1_DetachDiskRequest, DetachDiskRequest__Output as _socle_v1_DetachDiskRequest__Output } from './socle/v1/DetachDiskRequest.ts';
import type { DetachNicRequest as _socle_v1_DetachNicRequest, DetachNicRequest__Output as _socle_v1_DetachNicRequest__Output } from './socle/v1/DetachNicRequest.ts';
import type { DetachPciDeviceRequest as _socle_v1_DetachPciDeviceRequest, DetachPciDeviceRequest__Output as _socle_v1_DetachPciDeviceRequest__Output } from './socle/v1/DetachPciDeviceRequest.ts';
import type { DiscardSavedStateRequest as _socle_v1_DiscardSavedStateRequest, DiscardSavedStateRequest__Output as _socle_v1_DiscardSavedStateRequest__Output } from './socle/v1/DiscardSavedStateRequest.ts';
import type { Disk as _socle_v1_Disk, Disk__Output as _socle_v1_Disk__Output } from './socle/v1/Disk.ts';
import type { DiskLimits as _socle_v1_DiskLimits, DiskLimits__Output as _socle_v1_DiskLimits__Output } from './socle/v1/DiskLimits.ts';
import type { DumpMemoryRequest as _socle_v1_DumpMemoryRequest, DumpMemoryRequest__Output as _socle_v1_DumpMemoryRequest__Output } from './socle/v1/DumpMemoryRequest.ts';
import type { GetOperationRequest as _socle_v1_GetOperationRequest, GetOperationRequest__Output as _socle_v1_GetOperationRequest__Output } from './socle/v1/GetOperationRequest.ts';
import type { GetVmRequest as _socle_v1_GetVmRequest, GetVmRequest__Output as _socle_v1_GetVmRequest__Output } from './socle/v1/GetVmRequest.ts';
import type { InjectNmiRequest as _socle_v1_InjectNmiRequest, InjectNmiRequest__Output as _socle_v1_InjectNmiRequest__Output } from './socle/v1/InjectNmiRequest.ts';
import type { KernelBoot as _socle_v1_KernelBoot, KernelBoot__Output as _socle_v1_KernelBoot__Output } from './socle/v1/KernelBoot.ts';
import type { ListOperationsRequest as _socle_v1_ListOperationsRequest, ListOperationsRequest__Output as _socle_v1_ListOperationsRequest__Output } from './socle/v1/ListOperationsRequest.ts';
import type { ListOperationsResponse as _socle_v1_ListOperationsResponse, ListOperationsResponse__Output as _socle_v1_ListOperationsResponse__Output } from './socle/v1/ListOperationsResponse.ts';
import type { ListVmsRequest as _socle_v1_ListVmsRequest, ListVmsRequest__Output as _socle_v1_ListVmsRequest__Output } from './socle/v1/ListVmsRequest.ts';
import type { ListVmsResponse as _socle_v1_ListVmsResponse, ListVmsResponse__Output as _socle_v1_ListVmsResponse__Output } from './socle/v1/ListVmsResponse.ts';
import type { MoveDiskRequest as _socle_v1_MoveDiskRequest, MoveDiskRequest__Output as _socle_v1_MoveDiskRequest__Output } from './socle/v1/MoveDiskRequest.ts';
import type { NewDumpVolume as _socle_v1_NewDumpVolume, NewDumpVolume__Output as _socle_v1_NewDumpVolume__Output } from './socle/v1/NewDumpVolume.ts';
import type { NewVolume as _socle_v1_NewVolume, NewVolume__Output as _socle_v1_NewVolume__Output } from './socle/v1/NewVolume.ts';
import type { Nic as _socle_v1_Nic, Nic__Output as _socle_v1_Nic__Output } from './socle/v1/Nic.ts';
import type { NicAddress as _socle_v1_NicAddress, NicAddress__Output as _socle_v1_NicAddress__Output } from './socle/v1/NicAddress.ts';
import type { NicLimits as _socle_v1_NicLimits, NicLimits__Output as _socle_v1_NicLimits__Output } from './socle/v1/NicLimits.ts';
import type { NicStatus as _socle_v1_NicStatus, NicStatus__Output as _socle_v1_NicStatus__Output } from './socle/v1/NicStatus.ts';
import type { Observation as _socle_v1_Observation, Observation__Output as _socle_v1_Observation__Output } from './socle/v1/Observation.ts';
import type { Operation as _socle_v1_Operation, Operation__Output as _socle_v1_Operation__Output } from './socle/v1/Operation.ts';
import type { OperationServiceClient as _socle_v1_OperationServiceClient, OperationServiceDefinition as _socle_v1_OperationServiceDefinition } from './socle/v1/OperationService.ts';
import type { PauseVmRequest as _socle_v1_PauseVmRequest, PauseVmRequest__Output as _socle_v1_PauseVmRequest__Output } from './socle/v1/PauseVmRequest.ts';
import type { Placement as _socle_v1_Placement, Placement__Output as _socle_v1_Placement__Output } from './socle/v1/Placement.ts';
import type { PlacementRequest as _socle_v1_PlacementRequest, PlacementRequest__Output as _socle_v1_PlacementRequest__Output } from './socle/v1/PlacementRequest.ts';
import type { Position as _socle_v1_Position, Position__Output as _socle_v1_Position__Output } from './socle/v1/Position.ts';
import type { RebootVmRequest as _socle_v1_RebootVmRequest, RebootVmRequest__Output as _socle_v1_RebootVmRequest__Output } from './socle/v1/RebootVmRequest.ts';
import type { Rescue as _socle_v1_Rescue, Rescue__Output as _socle_v1_Rescue__Output } from './socle/v1/Rescue.ts';
import type { RescueVmRequest as _socle_v1_RescueVmRequest, RescueVmRequest__Output as _socle_v1_RescueVmRequest__Output } from './socle/v1/RescueVmRequest.ts';
import type { ResizeDiskRequest as _socle_v1_ResizeDiskRequest, ResizeDiskRequest__Output as _socle_v1_ResizeDiskRequest__Output } from './socle/v1/ResizeDiskRequest.ts';
import type { ResumeVmRequest as _socle_v1_ResumeVmRequest, ResumeVmRequest__Output as _socle_v1_ResumeVmRequest__Output } from './socle/v1/ResumeVmRequest.ts';
import type { SettleOperationRequest as _socle_v1_SettleOperationRequest, SettleOperationRequest__Output as _socle_v1_SettleOperationRequest__Output } from './socle/v1/SettleOperationRequest.ts';
import type { StartVmRequest as _socle_v1_StartVmRequest, StartVmRequest__Output as _socle_v1_StartVmRequest__Output } from './socle/v1/StartVmRequest.ts';
import type { StopVmRequest as _socle_v1_StopVmRequest, StopVmRequest__Output as _socle_v1_StopVmRequest__Output } from './socle/v1/StopVmRequest.ts';
import type { SuspendVmRequest as _socle_v1_SuspendVmRequest, SuspendVmRequest__Output as _socle_v1_SuspendVmRequest__Output } from './socle/v1/SuspendVmRequest.ts';
import type { UnrescueVmRequest as _socle_v1_UnrescueVmRequest, UnrescueVmRequest__Output as _socle_v1_UnrescueVmRequest__Output } from './socle/v1/UnrescueVmRequest.ts';
import type { UpdateDiskRequest as _socle_v1_UpdateDiskRequest, UpdateDiskRequest__Output as _socle_v1_UpdateDiskRequest__Output } from './socle/v1/UpdateDiskRequest.ts';
import type { UpdateNicRequest as _socle_v1_UpdateNicRequest, UpdateNicRequest__Output as _socle_v1_UpdateNicRequest__Output } from './socle/v1/UpdateNicRequest.ts';
import type { UpdateVmRequest as _socle_v1_UpdateVmRequest, UpdateVmRequest__Output as _socle_v1_UpdateVmRequest__Output } from './socle/v1/UpdateVmRequest.ts';
import type { Vm as _socle_v1_Vm, Vm__Output as _socle_v1_Vm__Output } from './socle/v1/Vm.ts';
import type { VmFilter as _socle_v1_VmFilter, VmFilter__Output as _socle_v1_VmFilter__Output } from './socle/v1/VmFilter.ts';
import type { VmRates as _socle_v1_VmRates, VmRates__Output as _socle_v1_VmRates__Output } from './socle/v1/VmRates.ts';
import type { VmServiceClient as _socle_v1_VmServiceClient, VmServiceDefinition as _socle_v1_VmServiceDefinition } from './socle/v1/VmService.ts';
import type { VmSpec as _socle_v1_VmSpec, VmSpec__Output as _socle_v1_VmSpec__Output } from './socle/v1/VmSpec.ts';
import type { VmStats as _socle_v1_VmStats, VmStats__Output as _socle_v1_VmStats__Output } from './socle/v1/VmStats.ts';
import type { VolumeReference as _socle_v1_VolumeReference, VolumeReference__Output as _socle_v1_VolumeReference__Output } from './socle/v1/VolumeReference.ts';
import type { WaitOperationRequest as _socle_v1_WaitOperationRequest, WaitOperationRequest__Output as _socle_v1_WaitOperationRequest__Output } from './socle/v1/WaitOperationRequest.ts';
import type { WatchOperationsRequest as _socle_v1_WatchOperationsRequest, WatchOperationsRequest__Output as _socle_v1_WatchOperationsRequest__Output } from './socle/v1/WatchOperationsRequest.ts';
import type { WatchVmsRequest as _socle_v1_WatchVmsRequest, WatchVmsRequest__Output as _socle_v1_WatchVmsRequest__Output } from './socle/v1/WatchVmsRequest.ts';
import type { WatchVmsResponse as _socle_v1_WatchVmsResponse, WatchVmsResponse__Output as _socle_v1_WatchVmsResponse__Output } from './socle/v1/WatchVmsResponse.ts';
import type { Watchdog as _socle_v1_Watchdog, Watchdog__Output as _socle_v1_Watchdog__Output } from './socle/v1/Watchdog.ts';

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
      AttachDiskRequest: MessageTypeDefinition<_socle_v1_AttachDiskRequest, _socle_v1_AttachDiskRequest__Output>
      AttachNicRequest: MessageTypeDefinition<_socle_v1_AttachNicRequest, _socle_v1_AttachNicRequest__Output>
      AttachPciDeviceRequest: MessageTypeDefinition<_socle_v1_AttachPciDeviceRequest, _socle_v1_AttachPciDeviceRequest__Output>
      CancelOperationRequest: MessageTypeDefinition<_socle_v1_CancelOperationRequest, _socle_v1_CancelOperationRequest__Output>
      CdromDrive: MessageTypeDefinition<_socle_v1_CdromDrive, _socle_v1_CdromDrive__Output>
      CellPolicy: EnumTypeDefinition
      ChangeMediaRequest: MessageTypeDefinition<_socle_v1_ChangeMediaRequest, _socle_v1_ChangeMediaRequest__Output>
      ChangeSeedRequest: MessageTypeDefinition<_socle_v1_ChangeSeedRequest, _socle_v1_ChangeSeedRequest__Output>
      CloudInit: MessageTypeDefinition<_socle_v1_CloudInit, _socle_v1_CloudInit__Output>
      ConsoleRequest: MessageTypeDefinition<_socle_v1_ConsoleRequest, _socle_v1_ConsoleRequest__Output>
      ConsoleResponse: MessageTypeDefinition<_socle_v1_ConsoleResponse, _socle_v1_ConsoleResponse__Output>
      CpuMode: EnumTypeDefinition
      CpuTopology: MessageTypeDefinition<_socle_v1_CpuTopology, _socle_v1_CpuTopology__Output>
      CrashPolicy: EnumTypeDefinition
      CreateVmRequest: MessageTypeDefinition<_socle_v1_CreateVmRequest, _socle_v1_CreateVmRequest__Output>
      DeleteVmRequest: MessageTypeDefinition<_socle_v1_DeleteVmRequest, _socle_v1_DeleteVmRequest__Output>
      DetachDiskRequest: MessageTypeDefinition<_socle_v1_DetachDiskRequest, _socle_v1_DetachDiskRequest__Output>
      DetachNicRequest: MessageTypeDefinition<_socle_v1_DetachNicRequest, _socle_v1_DetachNicRequest__Output>
      DetachPciDeviceRequest: MessageTypeDefinition<_socle_v1_DetachPciDeviceRequest, _socle_v1_DetachPciDeviceRequest__Output>
      DiscardSavedStateRequest: MessageTypeDefinition<_socle_v1_DiscardSavedStateRequest, _socle_v1_DiscardSavedStateRequest__Output>
      Disk: MessageTypeDefinition<_socle_v1_Disk, _socle_v1_Disk__Output>
      DiskFormat: EnumTypeDefinition
      DiskLimits: MessageTypeDefinition<_socle_v1_DiskLimits, _socle_v1_DiskLimits__Output>
      DumpFormat: EnumTypeDefinition
      DumpMemoryRequest: MessageTypeDefinition<_socle_v1_DumpMemoryRequest, _socle_v1_DumpMemoryRequest__Output>
      Firmware: EnumTypeDefinition
      GetOperationRequest: MessageTypeDefinition<_socle_v1_GetOperationRequest, _socle_v1_GetOperationRequest__Output>
      GetVmRequest: MessageTypeDefinition<_socle_v1_GetVmRequest, _socle_v1_GetVmRequest__Output>
      Graphics: EnumTypeDefinition
      InjectNmiRequest: MessageTypeDefinition<_socle_v1_InjectNmiRequest, _socle_v1_InjectNmiRequest__Output>
      KernelBoot: MessageTypeDefinition<_socle_v1_KernelBoot, _socle_v1_KernelBoot__Output>
      LaunchSecurity: EnumTypeDefinition
      LifecycleState: EnumTypeDefinition
      ListOperationsRequest: MessageTypeDefinition<_socle_v1_ListOperationsRequest, _socle_v1_ListOperationsRequest__Output>
      ListOperationsResponse: MessageTypeDefinition<_socle_v1_ListOperationsResponse, _socle_v1_ListOperationsResponse__Output>
      ListVmsRequest: MessageTypeDefinition<_socle_v1_ListVmsRequest, _socle_v1_ListVmsRequest__Output>
      ListVmsResponse: MessageTypeDefinition<_socle_v1_ListVmsResponse, _socle_v1_ListVmsResponse__Output>
      ManagedFilter: EnumTypeDefinition
      MoveDiskRequest: MessageTypeDefinition<_socle_v1_MoveDiskRequest, _socle_v1_MoveDiskRequest__Output>
      NewDumpVolume: MessageTypeDefinition<_socle_v1_NewDumpVolume, _socle_v1_NewDumpVolume__Output>
      NewVolume: MessageTypeDefinition<_socle_v1_NewVolume, _socle_v1_NewVolume__Output>
      Nic: MessageTypeDefinition<_socle_v1_Nic, _socle_v1_Nic__Output>
      NicAddress: MessageTypeDefinition<_socle_v1_NicAddress, _socle_v1_NicAddress__Output>
      NicAddressSource: EnumTypeDefinition
      NicLimits: MessageTypeDefinition<_socle_v1_NicLimits, _socle_v1_NicLimits__Output>
      NicLink: EnumTypeDefinition
      NicStatus: MessageTypeDefinition<_socle_v1_NicStatus, _socle_v1_NicStatus__Output>
      Observation: MessageTypeDefinition<_socle_v1_Observation, _socle_v1_Observation__Output>
      Operation: MessageTypeDefinition<_socle_v1_Operation, _socle_v1_Operation__Output>
      OperationService: SubtypeConstructor<typeof grpc.Client, _socle_v1_OperationServiceClient> & { service: _socle_v1_OperationServiceDefinition }
      PauseVmRequest: MessageTypeDefinition<_socle_v1_PauseVmRequest, _socle_v1_PauseVmRequest__Output>
      Placement: MessageTypeDefinition<_socle_v1_Placement, _socle_v1_Placement__Output>
      PlacementRequest: MessageTypeDefinition<_socle_v1_PlacementRequest, _socle_v1_PlacementRequest__Output>
      Position: MessageTypeDefinition<_socle_v1_Position, _socle_v1_Position__Output>
      Presence: EnumTypeDefinition
      RebootVmRequest: MessageTypeDefinition<_socle_v1_RebootVmRequest, _socle_v1_RebootVmRequest__Output>
      Rescue: MessageTypeDefinition<_socle_v1_Rescue, _socle_v1_Rescue__Output>
      RescueVmRequest: MessageTypeDefinition<_socle_v1_RescueVmRequest, _socle_v1_RescueVmRequest__Output>
      ResizeDiskRequest: MessageTypeDefinition<_socle_v1_ResizeDiskRequest, _socle_v1_ResizeDiskRequest__Output>
      ResumeVmRequest: MessageTypeDefinition<_socle_v1_ResumeVmRequest, _socle_v1_ResumeVmRequest__Output>
      SettleOperationRequest: MessageTypeDefinition<_socle_v1_SettleOperationRequest, _socle_v1_SettleOperationRequest__Output>
      StartVmRequest: MessageTypeDefinition<_socle_v1_StartVmRequest, _socle_v1_StartVmRequest__Output>
      StopVmRequest: MessageTypeDefinition<_socle_v1_StopVmRequest, _socle_v1_StopVmRequest__Output>
      SuspendVmRequest: MessageTypeDefinition<_socle_v1_SuspendVmRequest, _socle_v1_SuspendVmRequest__Output>
      Truth: EnumTypeDefinition
      UnrescueVmRequest: MessageTypeDefinition<_socle_v1_UnrescueVmRequest, _socle_v1_UnrescueVmRequest__Output>
      UpdateDiskRequest: MessageTypeDefinition<_socle_v1_UpdateDiskRequest, _socle_v1_UpdateDiskRequest__Output>
      UpdateNicRequest: MessageTypeDefinition<_socle_v1_UpdateNicRequest, _socle_v1_UpdateNicRequest__Output>
      UpdateVmRequest: MessageTypeDefinition<_socle_v1_UpdateVmRequest, _socle_v1_UpdateVmRequest__Output>
      Vm: MessageTypeDefinition<_socle_v1_Vm, _socle_v1_Vm__Output>
      VmFilter: MessageTypeDefinition<_socle_v1_VmFilter, _socle_v1_VmFilter__Output>
      VmRates: MessageTypeDefinition<_socle_v1_VmRates, _socle_v1_VmRates__Output>
      VmService: SubtypeConstructor<typeof grpc.Client, _socle_v1_VmServiceClient> & { service: _socle_v1_VmServiceDefinition }
      VmSpec: MessageTypeDefinition<_socle_v1_VmSpec, _socle_v1_VmSpec__Output>
      VmState: EnumTypeDefinition
      VmStats: MessageTypeDefinition<_socle_v1_VmStats, _socle_v1_VmStats__Output>
      VolumeEncryption: EnumTypeDefinition
      VolumeReference: MessageTypeDefinition<_socle_v1_VolumeReference, _socle_v1_VolumeReference__Output>
      WaitOperationRequest: MessageTypeDefinition<_socle_v1_WaitOperationRequest, _socle_v1_WaitOperationRequest__Output>
      WatchOperationsRequest: MessageTypeDefinition<_socle_v1_WatchOperationsRequest, _socle_v1_WatchOperationsRequest__Output>
      WatchVmsRequest: MessageTypeDefinition<_socle_v1_WatchVmsRequest, _socle_v1_WatchVmsRequest__Output>
      WatchVmsResponse: MessageTypeDefinition<_socle_v1_WatchVmsResponse, _socle_v1_WatchVmsResponse__Output>
      Watchdog: MessageTypeDefinition<_socle_v1_Watchdog, _socle_v1_Watchdog__Output>
      WatchdogAction: EnumTypeDefinition
      WatchdogModel: EnumTypeDefinition
    }
  }
}

